//! Redirects: reported, and not followed.

use super::*;

#[tokio::test]
async fn a_redirect_is_reported_with_its_target_and_nothing_is_sent_there() {
    let canary = Server::start(|_| Reply::page(200, "", "other")).await;
    let port = canary.port();
    let elsewhere = canary.url("/x").as_str().to_owned();
    for status in [301, 302, 303, 307, 308] {
        let target = elsewhere.clone();
        let server = Server::start(move |path| match path {
            "/port" => Reply::redirect(status, &target),
            "/host" => Reply::redirect(status, &format!("http://other.example:{port}/y")),
            "/relative" => Reply::redirect(status, "3?x=y#part"),
            _ => Reply::redirect(status, &format!("//127.0.0.2:{port}/z")),
        })
        .await;
        for (path, location) in [
            ("/port", elsewhere.clone()),
            ("/host", format!("http://other.example:{port}/y")),
            ("/relative", server.url("/3?x=y").as_str().to_owned()),
            ("/scheme", format!("http://127.0.0.2:{port}/z")),
        ] {
            let error = fetch(&server, path).await.unwrap_err();
            assert!(
                matches!(&error, FetchError::Redirected { location: found, latency, status: told } if *told == status && found.as_str() == location && *latency > Duration::ZERO),
                "{path}: {error:?}"
            );
            assert!(!error.is_retryable() && !error.is_hosts_failure());
            assert_eq!(error.skip_reason(), SkipReason::DuplicateUrl);
        }
        assert_eq!(server.requests().len(), 4);
    }
    assert_eq!(canary.requests().len(), 0);
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
    assert_eq!((fetched.status, fetched.is_success()), (302, false));
}
