//! `scrapering-operator check URL`: what a test of the installation runs, since the image holds no other program.

use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

/// How long the other side may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why the operator is not well. Nothing was changed.
#[derive(Debug, Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("{url} does not answer")]
    Silent {
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It answers, and says no.
    #[error("{url} answers {status}")]
    Unwell {
        /// Where.
        url: String,
        /// What it says.
        status: StatusCode,
    },
}

/// Asks once.
///
/// # Errors
/// [`Error`].
pub async fn check(url: &str) -> Result<(), Error> {
    let silent = |source| Error::Silent { url: url.to_owned(), source };
    // Plain HTTP within the cluster; the client is made without any certificate.
    let client = reqwest::Client::builder().tls_certs_only([]).no_proxy().timeout(LIMIT).build().map_err(silent)?;
    let status = client.get(url).send().await.map_err(silent)?.status();
    if status.is_success() { Ok(()) } else { Err(Error::Unwell { url: url.to_owned(), status }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;

    async fn asked(path: &str) -> Result<(), Error> {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}{path}", listener.local_addr().expect("an address"));
        let router = Router::new().route("/readyz", get(async || "ok\n"));
        let served = tokio::spawn(async move { axum::serve(listener, router).await });
        let answer = check(&url).await;
        served.abort();
        answer
    }

    #[tokio::test]
    async fn an_operator_that_is_well_passes_and_another_answer_does_not() {
        assert!(asked("/readyz").await.is_ok());
        assert!(matches!(asked("/elsewhere").await, Err(Error::Unwell { status: StatusCode::NOT_FOUND, .. })));
        assert!(matches!(check("http://127.0.0.1:1/readyz").await, Err(Error::Silent { .. })));
    }
}
