//! robots.txt by the letter of RFC 9309 section 2.3.1.

use super::*;

async fn ask(server: &Server) -> RobotsAnswer {
    fetcher().fetch_robots(&server.url("/deep/page?q"), &options(), "testbot").await
}

fn allows(answer: &RobotsAnswer, url: &NormalizedUrl) -> bool {
    answer.robots.allows(url.path_and_query())
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
    assert!(matches!(answer.outcome, RobotsOutcome::Found { .. }));
    assert!(!allows(&answer, &server.url("/private/x")));
    assert!(allows(&answer, &server.url("/public")));
    assert_eq!(server.paths(), ["/robots.txt"]);
}

#[tokio::test]
async fn an_absent_file_allows_everything_and_a_failing_server_nothing() {
    for (status, allowed) in
        [(401, true), (403, true), (404, true), (410, true), (429, false), (500, false), (503, false), (599, false)]
    {
        let server = Server::start(move |_| Reply::page(status, "retry-after: 3\r\n", RULES)).await;
        let answer = ask(&server).await;
        assert_eq!(allows(&answer, &server.url("/private/x")), allowed, "{status}");
        match answer.outcome {
            RobotsOutcome::Unavailable { status: found } => assert!(allowed && found == status),
            RobotsOutcome::ServerError { status: found, retry_after } => {
                assert!(!allowed && found == status && retry_after.as_deref() == Some("3"));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_keeps_silent_allows_nothing() {
    let server = Server::start(|_| Reply::Reset).await;
    let answer = ask(&server).await;
    assert!(matches!(&answer.outcome, RobotsOutcome::Unreachable(error) if error.is_retryable()));
    assert!(!allows(&answer, &server.url("/x")));

    let silent = Server::start(|_| Reply::Hang(vec![])).await;
    let options = RequestOptions { total_timeout: SHORT, ..options() };
    let answer = fetcher().fetch_robots(&silent.url("/"), &options, "testbot").await;
    assert!(matches!(answer.outcome, RobotsOutcome::Unreachable(FetchError::Timeout { phase: Phase::Total })));
    assert!(!allows(&answer, &silent.url("/x")));
}

#[tokio::test]
async fn five_redirects_are_followed_and_the_sixth_means_there_is_none() {
    for (count, found) in [(5, true), (6, false)] {
        let server = Server::start(move |path| {
            let hop: usize = path.trim_start_matches("/r").parse().unwrap_or(0);
            if hop == count { Reply::page(200, "", RULES) } else { Reply::redirect(301, &format!("/r{}", hop + 1)) }
        })
        .await;
        let answer = ask(&server).await;
        assert_eq!(matches!(answer.outcome, RobotsOutcome::Found { .. }), found);
        assert_eq!(allows(&answer, &server.url("/private/x")), !found);
        assert_eq!(server.requests().len(), 6);
    }
}

#[tokio::test]
async fn rules_may_stand_on_another_origin_which_gets_none_of_the_jobs_headers() {
    let other = Server::start(|_| Reply::page(200, "", RULES)).await;
    let target = other.url("/their-robots.txt").as_str().to_owned();
    let server = Server::start(move |_| Reply::redirect(302, &target)).await;
    let answer = ask(&server).await;
    assert!(!allows(&answer, &server.url("/private/x")));
    assert!(server.requests()[0].contains("x-api-key: secret"));
    let head = other.requests().remove(0);
    assert!(!head.contains("x-api-key"), "{head}");
    assert!(head.contains("user-agent: testbot/1.0"), "{head}");
}

#[tokio::test]
async fn a_redirect_of_the_rules_to_a_private_address_is_not_followed() {
    let metadata = Server::start(|_| Reply::redirect(302, "http://169.254.169.254/latest")).await;
    let answer = ask(&metadata).await;
    assert!(matches!(answer.outcome, RobotsOutcome::Unreachable(FetchError::AddressNotAllowed)));
    assert!(!allows(&answer, &metadata.url("/x")));
}

#[tokio::test]
async fn of_an_endless_file_the_beginning_counts() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
    let start = [&head[..], RULES.as_bytes()].concat();
    let server = Server::start(move |_| Reply::Endless(start.clone(), b"# x\n".repeat(1000))).await;
    let answer = ask(&server).await;
    assert!(matches!(answer.outcome, RobotsOutcome::Found { .. }));
    assert!(!allows(&answer, &server.url("/private/x")));
}
