//! The fetcher against servers on loopback that behave as badly as servers do.

mod bodies;
mod guarded;
mod redirects;
mod robots;
mod server;
mod tls;

use super::*;
use resolver::LookupFuture;
use scrapering_core::frontier::record::ErrorClass;
use scrapering_core::job::{Auth, Credentials, Proxies, Proxy, ProxyKind, Secret, SkipReason};

use server::{Reply, Server};

/// Patience for everything that is expected to happen.
const LONG: Duration = Duration::from_secs(20);
/// The same for each step of a request.
const PATIENT: Timeouts = Timeouts { connect: LONG, first_byte: LONG, total: LONG };
/// Patience for what is expected not to happen.
const SHORT: Duration = Duration::from_millis(200);

fn config() -> FetcherConfig {
    FetcherConfig {
        allowed_private_cidrs: vec!["127.0.0.0/8".parse().unwrap()],
        idle_timeout: LONG,
        ..FetcherConfig::default()
    }
}

fn fetcher() -> Fetcher {
    Fetcher::new(&config()).unwrap()
}

fn options() -> RequestOptions {
    RequestOptions {
        user_agent: "testbot/1.0 (+https://bot.example)".to_owned(),
        headers: vec![("x-api-key".to_owned(), "secret".to_owned())],
        credentials: Credentials::default(),
        takes_cookies: true,
        proxies: Proxies::default(),
        timeouts: PATIENT,
        max_redirects: 5,
        redirects_leave_scope: false,
    }
}

fn url(text: &str) -> NormalizedUrl {
    NormalizedUrl::parse(text).unwrap()
}

async fn fetch_with(fetcher: &Fetcher, options: &RequestOptions, url: &NormalizedUrl) -> Result<Fetched, FetchError> {
    let request = FetchRequest {
        url,
        options,
        cookies: None,
        max_body_bytes: 1024 * 1024,
        accept: AcceptedTypes::Pages,
        validators: None,
    };
    fetcher.begin(request).await?.finish().await
}

async fn fetch(server: &Server, path: &str) -> Result<Fetched, FetchError> {
    fetch_with(&fetcher(), &options(), &server.url(path)).await
}

#[tokio::test]
async fn a_page_is_fetched_with_the_jobs_headers_and_user_agent() {
    let server = Server::start(|_| {
        Reply::page(200, "x-robots-tag: noindex\r\nX-Robots-Tag: bot: none\r\nretry-after: 7\r\n", "<p>hi")
    })
    .await;
    let fetched = fetch(&server, "/a?b=c").await.unwrap();
    assert_eq!(fetched.status, 200);
    assert!(fetched.is_success());
    assert_eq!(&fetched.body[..], b"<p>hi");
    assert!(fetched.latency > Duration::ZERO);
    assert_eq!(fetched.headers.content_type.as_deref(), Some("text/html"));
    assert_eq!(fetched.headers.x_robots_tag, ["noindex", "bot: none"]);
    assert_eq!(fetched.headers.retry_after.as_deref(), Some("7"));
    let head = server.requests().remove(0);
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    for line in [
        "user-agent: testbot/1.0 (+https://bot.example)\r\n",
        "x-api-key: secret\r\n",
        "accept: text/html,",
        "accept-encoding: ",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("referer"), "{head}");
}

#[tokio::test]
async fn a_status_is_an_answer_and_only_a_success_has_a_body() {
    for status in [404, 410, 401, 304, 501, 408, 425, 429, 500, 502, 503, 504] {
        let body = if status == 304 { "" } else { "no" };
        let server = Server::start(move |_| Reply::page(status, "", body)).await;
        let fetched = fetch(&server, "/").await.unwrap();
        assert_eq!((fetched.status, fetched.is_success(), fetched.body.len()), (status, false, 0));
    }
}

#[tokio::test]
async fn credentials_go_to_their_own_origin_and_to_no_other() {
    let (own, other) =
        (Server::start(|_| Reply::page(200, "", "")).await, Server::start(|_| Reply::page(200, "", "")).await);
    let credentials = |auth| Credentials {
        origins: [own.url("/").origin()].into(),
        auth: Some(auth),
        headers: vec![("x-token".to_owned(), Secret::new("hush".to_owned()))],
        cookies: Vec::new(),
    };
    let basic = Auth::Basic { username: "aladdin".to_owned(), password: Secret::new("open sesame".to_owned()) };
    for (auth, expected) in [
        (basic, "authorization: basic ywxhzgrpbjpvcgvuihnlc2ftzq==\r\n"),
        (Auth::Bearer(Secret::new("abc".to_owned())), "authorization: bearer abc\r\n"),
    ] {
        let options = RequestOptions { credentials: credentials(auth), ..options() };
        for server in [&own, &other] {
            fetch_with(&fetcher(), &options, &server.url("/")).await.unwrap();
            fetcher().fetch_robots(&server.url("/"), None, &options).await;
        }
        let heads = own.requests();
        let page = heads.iter().rev().find(|head| head.starts_with("get / ")).unwrap();
        assert!(page.contains(expected) && page.contains("x-token: hush\r\n"), "{page}");
        let robots = heads.iter().rev().find(|head| head.starts_with("get /robots.txt ")).unwrap();
        for head in other.requests().iter().chain([robots]) {
            assert!(!head.contains("authorization") && !head.contains("x-token"), "{head}");
        }
    }
}

#[tokio::test]
async fn cookies_are_sent_and_those_of_an_answer_are_told_also_with_a_redirect() {
    let server = Server::start(|path| match path {
        "/moved" => Reply::page(302, "location: /\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n", ""),
        _ => Reply::page(200, "set-cookie: c=3\r\n", ""),
    })
    .await;
    let (options, fetcher) = (options(), fetcher());
    for (path, expected) in [("/moved", vec!["a=1", "b=2"]), ("/", vec!["c=3"])] {
        let url = server.url(path);
        let request = FetchRequest {
            url: &url,
            options: &options,
            cookies: Some("sid=7; x=y"),
            max_body_bytes: 1024,
            accept: AcceptedTypes::Pages,
            validators: None,
        };
        assert_eq!(fetcher.begin(request).await.unwrap().set_cookies(), expected);
    }
    assert!(server.requests().iter().all(|head| head.contains("cookie: sid=7; x=y\r\n")), "{:?}", server.requests());
}

#[tokio::test]
async fn headers_that_frame_the_request_cannot_be_set_by_a_job() {
    let server = Server::start(|_| Reply::page(200, "", "")).await;
    for (name, value) in [
        ("host", "other.example"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("x-bad", "a\r\nb: c"),
        ("bad name", "x"),
    ] {
        let mut options = options();
        options.headers = vec![(name.to_owned(), value.to_owned())];
        let error = fetch_with(&fetcher(), &options, &server.url("/")).await.unwrap_err();
        assert!(matches!(&error, FetchError::BadHeader { name: named, .. } if named == name), "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_broken_connection_can_be_tried_again_and_a_broken_protocol_cannot() {
    let many_headers: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let huge_header = format!("x: {}\r\n", "y".repeat(2_000_000));
    let many: &'static str = many_headers.leak();
    let huge: &'static str = huge_header.leak();
    for (name, reply, retryable) in [
        ("reset", Reply::Reset, true),
        ("closed", Reply::Close(b"".to_vec()), true),
        ("half a header", Reply::Close(b"HTTP/1.1 200 O".to_vec()), true),
        ("half a body", Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab".to_vec()), true),
        ("not http", Reply::Close(b"220 mail.example ESMTP\r\n\r\n".to_vec()), false),
        ("many headers", Reply::page(200, many, "x"), false),
        ("huge header", Reply::page(200, huge, "x"), false),
        ("bad chunk", Reply::Close(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc".to_vec()), false),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        let error = fetch(&server, "/").await.unwrap_err();
        let expected =
            if retryable { matches!(error, FetchError::Reset(_)) } else { matches!(error, FetchError::Protocol(_)) };
        assert!(expected, "{name}: {error:?}");
        assert_eq!(error.is_retryable(), retryable, "{name}");
        assert_eq!(error.skip_reason(), SkipReason::FetchError, "{name}");
    }
}

#[tokio::test]
async fn a_refused_connection_can_be_tried_again() {
    let server = Server::start(|_| Reply::Reset).await;
    let url = server.url("/");
    server.stop().await;
    let error = fetch_with(&fetcher(), &options(), &url).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect(_)), "{error:?}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn each_clock_ends_a_fetch_on_its_own() {
    let first_byte = RequestOptions { timeouts: Timeouts { first_byte: SHORT, ..PATIENT }, ..options() };
    let idle = FetcherConfig { idle_timeout: SHORT, ..config() };
    let short_total = RequestOptions { timeouts: Timeouts { total: SHORT, ..PATIENT }, ..options() };
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nx".to_vec();
    let hundreds = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    let drip = Reply::Drip {
        head: b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n".to_vec(),
        piece: b"x".to_vec(),
        pause: SHORT / 10,
    };
    for (name, config, options, reply, phase) in [
        ("silent", config(), first_byte.clone(), Reply::Hang(vec![]), Phase::FirstByte),
        ("half a header", config(), first_byte.clone(), Reply::Hang(b"HTTP/1.1 200".to_vec()), Phase::FirstByte),
        (
            "endless hints",
            config(),
            first_byte,
            Reply::Drip { head: vec![], piece: hundreds, pause: SHORT / 10 },
            Phase::FirstByte,
        ),
        ("silent body", idle, options(), Reply::Hang(head), Phase::Idle),
        ("dripping body", config(), short_total.clone(), drip, Phase::Total),
        ("silent, total first", config(), short_total, Reply::Hang(vec![]), Phase::Total),
    ] {
        let server = Server::start(move |_| reply.clone()).await;
        let fetcher = Fetcher::new(&config).unwrap();
        let error = fetch_with(&fetcher, &options, &server.url("/")).await.unwrap_err();
        assert!(matches!(error, FetchError::Timeout { phase: found } if found == phase), "{name}: {error:?}");
        assert!(error.is_retryable(), "{name}");
    }
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_told_from_an_answer_that_does_not_come() {
    // It waits for the end of the head of a request, and neither a handshake nor a greeting has one.
    let server = Server::start(|_| Reply::Hang(vec![])).await;
    let impatient = RequestOptions { timeouts: Timeouts { connect: SHORT, ..PATIENT }, ..options() };
    let secure = url(&format!("https://127.0.0.1:{}/", server.port()));
    let error = fetch_with(&fetcher(), &impatient, &secure).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { phase: Phase::Connect }), "{error:?}");
    assert!(error.is_retryable() && error.is_hosts_failure());
    assert_eq!(error.class(), Some(ErrorClass::ConnectTimeout));
    for kind in [ProxyKind::Http, ProxyKind::Socks5] {
        let proxy = Proxy { kind, host: "127.0.0.1".to_owned(), port: server.port(), login: None };
        let proxies = Proxies { list: vec![proxy], ..Proxies::default() };
        let through = RequestOptions { proxies, ..impatient.clone() };
        let error = fetch_with(&fetcher(), &through, &server.url("/")).await.unwrap_err();
        assert!(matches!(error, FetchError::Proxy(ProxyError::Timeout)), "{kind:?}: {error:?}");
        assert!(error.is_retryable() && !error.is_hosts_failure(), "{kind:?}: the host is not to blame");
        assert_eq!(error.class(), Some(ErrorClass::ConnectTimeout), "{kind:?}");
    }
    for (phase, class) in [
        (Phase::FirstByte, ErrorClass::FirstByteTimeout),
        (Phase::Idle, ErrorClass::IdleTimeout),
        (Phase::Total, ErrorClass::TotalTimeout),
    ] {
        assert_eq!(FetchError::Timeout { phase }.class(), Some(class));
    }
}

#[tokio::test]
async fn a_name_that_is_not_looked_up_in_time_counts_as_no_connection() {
    struct Silent;
    impl Lookup for Silent {
        fn lookup(&self, _host: &str) -> LookupFuture {
            Box::pin(std::future::pending())
        }
    }
    let fetcher = Fetcher::with_lookup(&config(), Arc::new(Silent)).unwrap();
    let timeouts = Timeouts { connect: SHORT, ..PATIENT };
    let (page, options) = (url("http://silent.example/"), RequestOptions { timeouts, ..options() });
    let early = fetcher.address(&page, timeouts).await.unwrap_err();
    assert!(matches!(early, FetchError::Timeout { phase: Phase::Connect }), "{early:?}");
    let late = fetch_with(&fetcher, &options, &page).await.unwrap_err();
    assert!(matches!(late, FetchError::Timeout { phase: Phase::Connect }), "{late:?}");
}
