//! Messages and files to addresses that users have named: through the same guard as pages, and with bounds of their own.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use reqwest::Response;
use scrapering_core::job::NormalizedUrl;
use url::Url;

use super::clock::Deadline;
use super::error::{FetchError, Phase};
use super::{Fetcher, body};

/// How long a receiver may take to be connected to and to begin its answer.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The HTTP status. A redirect is not followed.
    pub status: u16,
    /// `Retry-After`, to be read with [`super::retry_after::parse`].
    pub retry_after: Option<String>,
}

impl Fetcher {
    /// Posts `body` to `url`, with `headers` and no others of ours, within `total`. What the answer holds is not read.
    ///
    /// # Errors
    /// [`FetchError`]; an HTTP status is none. The receiver may have got the message all the same.
    pub async fn post(
        &self,
        url: &NormalizedUrl,
        headers: HeaderMap,
        body: Bytes,
        total: Duration,
    ) -> Result<Receipt, FetchError> {
        let deadline = Deadline::after(total);
        let calling = self.call(Method::POST, url.as_url().clone(), headers, body, total);
        let response = deadline.limit(PATIENCE, Phase::FirstByte, calling).await??;
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let receipt = Receipt { status: response.status().as_u16(), retry_after: retry_after.map(str::to_owned) };
        body::drain(response, deadline).await;
        Ok(receipt)
    }

    /// One request of any kind to `url`, its answer included within `total`; a redirect is not followed.
    ///
    /// # Errors
    /// [`FetchError`]; an HTTP status is none.
    pub(crate) async fn call(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
        total: Duration,
    ) -> Result<Response, FetchError> {
        self.guard.check_url(&url)?;
        let sent = self.client.request(method, url).headers(headers).body(body).timeout(total).send().await;
        sent.map_err(FetchError::from_client)
    }
}
