//! robots.txt by the letter of RFC 9309 section 2.3.1.

use super::*;

async fn ask(server: &Server) -> RobotsAnswer {
    fetcher().fetch_robots(&server.url("/deep/page?q"), None, &options()).await
}

const RULES: &str = "User-agent: testbot\nDisallow: /private\n";

#[tokio::test]
async fn rules_are_found_at_the_root_of_the_origin() {
    let server = Server::start(|path| match path {
        "/robots.txt" => Reply::page(200, "content-type: application/octet-stream\r\n", RULES),
        _ => Reply::Reset,
    })
    .await;
    let answer = ask(&server).await;
    assert!(matches!(&answer.outcome, RobotsOutcome::Found { text } if text == RULES), "{answer:?}");
    assert!(answer.latency.is_some());
    assert_eq!(server.paths(), ["/robots.txt"]);
}

#[tokio::test]
async fn an_absent_file_is_told_from_a_failing_server() {
    for (status, absent) in
        [(401, true), (403, true), (404, true), (410, true), (429, false), (500, false), (503, false), (599, false)]
    {
        let server = Server::start(move |_| Reply::page(status, "retry-after: 3\r\n", RULES)).await;
        match ask(&server).await.outcome {
            RobotsOutcome::Unavailable { status: found } => assert!(absent && found == status),
            RobotsOutcome::ServerError { status: found, retry_after } => {
                assert!(!absent && found == status && retry_after.as_deref() == Some("3"));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_keeps_silent_is_told_as_such() {
    let server = Server::start(|_| Reply::Reset).await;
    let answer = ask(&server).await;
    assert!(matches!(&answer.outcome, RobotsOutcome::Unreachable(error) if error.is_retryable()));
    assert_eq!(answer.latency, None);

    let silent = Server::start(|_| Reply::Hang(vec![])).await;
    let options = RequestOptions { timeouts: Timeouts { total: SHORT, ..PATIENT }, ..options() };
    let answer = fetcher().fetch_robots(&silent.url("/"), None, &options).await;
    assert!(matches!(answer.outcome, RobotsOutcome::Unreachable(FetchError::Timeout { phase: Phase::Total })));
}

#[tokio::test]
async fn one_request_is_made_and_a_redirect_of_it_reported() {
    let server = Server::start(|path| match path {
        "/robots.txt" => Reply::redirect(301, "rules/here.txt"),
        "/rules/here.txt" => Reply::redirect(301, "there.txt"),
        _ => Reply::page(200, "", RULES),
    })
    .await;
    let RobotsOutcome::Moved(first) = ask(&server).await.outcome else { panic!("it has moved") };
    assert_eq!(first, server.url("/rules/here.txt"));
    let RobotsOutcome::Moved(second) = fetcher().fetch_robots(&server.url("/"), Some(&first), &options()).await.outcome
    else {
        panic!("it has moved again")
    };
    assert_eq!(second, server.url("/rules/there.txt"));
    let found = fetcher().fetch_robots(&server.url("/"), Some(&second), &options()).await.outcome;
    assert!(matches!(found, RobotsOutcome::Found { .. }), "{found:?}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn rules_may_stand_on_another_origin_which_gets_none_of_the_jobs_headers() {
    let other = Server::start(|_| Reply::page(200, "", RULES)).await;
    let server = Server::start(|_| Reply::page(200, "", RULES)).await;
    let moved = other.url("/their-robots.txt");
    let answer = fetcher().fetch_robots(&server.url("/"), Some(&moved), &options()).await;
    assert!(matches!(answer.outcome, RobotsOutcome::Found { .. }));
    ask(&server).await;
    assert!(server.requests()[0].contains("x-api-key: secret"));
    let head = other.requests().remove(0);
    assert!(!head.contains("x-api-key"), "{head}");
    assert!(head.contains("user-agent: testbot/1.0"), "{head}");
}

#[tokio::test]
async fn rules_that_moved_to_a_private_address_are_not_fetched() {
    let server = Server::start(|_| Reply::page(200, "", RULES)).await;
    let moved = url("http://169.254.169.254/latest");
    let answer = fetcher().fetch_robots(&server.url("/"), Some(&moved), &options()).await;
    assert!(matches!(answer.outcome, RobotsOutcome::Unreachable(FetchError::AddressNotAllowed)));
}

#[tokio::test]
async fn of_an_endless_file_the_beginning_counts() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
    let start = [&head[..], RULES.as_bytes()].concat();
    let server = Server::start(move |_| Reply::Endless(start.clone(), b"# x\n".repeat(1000))).await;
    let answer = ask(&server).await;
    assert!(
        matches!(answer.outcome, RobotsOutcome::Found { text } if text.starts_with(RULES) && text.len() == 500 * 1024)
    );
}
