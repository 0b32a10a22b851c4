//! Redirects: followed inside the origin hop by hop, reported outside of it.

use super::*;

#[tokio::test]
async fn redirects_inside_the_origin_are_followed_and_the_gate_is_asked_for_each() {
    let server = Server::start(|path| match path {
        "/1" => Reply::redirect(301, "/2"),
        "/2" => Reply::redirect(302, "3?x=y"),
        "/3?x=y" => Reply::redirect(303, "/4"),
        "/4" => Reply::redirect(307, "/5"),
        "/5" => Reply::redirect(308, "/6#part"),
        _ => Reply::page(200, "", "end"),
    })
    .await;
    let start = server.url("/1");
    let mut gate = Open::default();
    let request = FetchRequest { url: &start, options: &options(), max_body_bytes: 100, accept: AcceptedTypes::Pages };
    let fetched = fetcher().fetch(request, &mut gate).await.unwrap();
    let hops = ["/2", "/3?x=y", "/4", "/5", "/6"].map(|path| server.url(path));
    assert_eq!(fetched.redirects, hops);
    assert_eq!(gate.0, hops);
    assert_eq!(fetched.final_url, hops[4]);
    assert_eq!(&fetched.body[..], b"end");
    assert!(
        server.requests().iter().all(|head| head.contains("x-api-key: secret")),
        "the job's headers belong to its origin"
    );
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_reported_and_not_dialled() {
    let canary = Server::start(|_| Reply::page(200, "", "other")).await;
    let elsewhere = canary.url("/x");
    let port = canary.port();
    let target = elsewhere.as_str().to_owned();
    let server = Server::start(move |path| match path {
        "/port" => Reply::redirect(302, &target),
        "/host" => Reply::redirect(302, &format!("http://other.example:{port}/y")),
        "/relative" => Reply::redirect(302, &format!("//127.0.0.2:{port}/z")),
        _ => Reply::redirect(302, "/port"),
    })
    .await;
    for (path, location) in [
        ("/port", elsewhere.as_str().to_owned()),
        ("/host", format!("http://other.example:{port}/y")),
        ("/relative", format!("http://127.0.0.2:{port}/z")),
        ("/later", elsewhere.as_str().to_owned()),
    ] {
        let error = fetch(&server, path).await.unwrap_err();
        assert!(
            matches!(&error, FetchError::RedirectElsewhere { location: found, latency } if found.as_str() == location && *latency > Duration::ZERO),
            "{path}: {error:?}"
        );
        assert!(!error.is_retryable());
        assert_eq!(error.skip_reason(), SkipReason::DuplicateUrl);
    }
    assert_eq!(canary.requests().len(), 0);
}

#[tokio::test]
async fn circles_and_long_chains_end() {
    let server = Server::start(|path| match path {
        "/self" => Reply::redirect(302, "/self"),
        "/ping" => Reply::redirect(302, "/pong"),
        "/pong" => Reply::redirect(302, "/ping"),
        path => Reply::redirect(302, &format!("{path}x")),
    })
    .await;
    for (path, requests) in [("/self", 1), ("/ping", 2)] {
        let before = server.requests().len();
        let error = fetch(&server, path).await.unwrap_err();
        assert!(matches!(&error, FetchError::RedirectLoop { location } if *location == server.url(path)), "{error:?}");
        assert_eq!(server.requests().len() - before, requests);
    }
    let before = server.requests().len();
    let error = fetch(&server, "/chain").await.unwrap_err();
    assert!(matches!(error, FetchError::TooManyRedirects { limit: 5 }), "{error:?}");
    assert_eq!(server.requests().len() - before, 6);
}

/// Refuses one path and takes its time for the others.
struct Slow(&'static str, Duration);

impl RedirectGate for Slow {
    async fn may_follow(&mut self, location: &NormalizedUrl) -> Result<(), SkipReason> {
        tokio::time::sleep(self.1).await;
        if location.as_str().ends_with(self.0) { Err(SkipReason::OutOfScope) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_hop_the_gate_refuses_is_not_requested_and_has_its_reason() {
    let server = Server::start(|_| Reply::redirect(302, "/no")).await;
    let start = server.url("/");
    let request = FetchRequest { url: &start, options: &options(), max_body_bytes: 100, accept: AcceptedTypes::Pages };
    let mut gate = Slow("/no", Duration::ZERO);
    let error = fetcher().fetch(request, &mut gate).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::RedirectRefused { location, .. } if *location == server.url("/no")),
        "{error:?}"
    );
    assert_eq!(error.skip_reason(), SkipReason::OutOfScope);
    assert_eq!(server.paths(), ["/"]);
}

#[tokio::test]
async fn the_wait_for_politeness_does_not_count_towards_the_timeout() {
    let server = Server::start(|path| match path {
        "/" => Reply::redirect(302, "/end"),
        _ => Reply::page(200, "", "end"),
    })
    .await;
    let start = server.url("/");
    let options = RequestOptions { total_timeout: Duration::from_secs(2), ..options() };
    let request = FetchRequest { url: &start, options: &options, max_body_bytes: 100, accept: AcceptedTypes::Pages };
    let mut gate = Slow("/none", Duration::from_millis(2_500));
    let fetched = fetcher().fetch(request, &mut gate).await.unwrap();
    assert_eq!(fetched.final_url, server.url("/end"));
}

#[tokio::test]
async fn redirects_to_what_is_no_web_page_are_errors_and_without_location_answers() {
    for location in ["file:///etc/passwd", "javascript:alert(1)", "ftp://a.example/", "http://[::1", "http:///"] {
        let server = Server::start(move |_| Reply::redirect(302, location)).await;
        let error = fetch(&server, "/").await.unwrap_err();
        assert!(
            matches!(&error, FetchError::BadRedirect { location: found } if found == location),
            "{location}: {error:?}"
        );
    }
    let server = Server::start(|_| Reply::page(302, "", "no location")).await;
    let fetched = fetch(&server, "/").await.unwrap();
    assert_eq!((fetched.status, fetched.class()), (302, StatusClass::Permanent));
}
