//! The head of an answer as it came, for who keeps pages.

use std::net::IpAddr;

use http::header::SET_COOKIE;
use reqwest::Response;

use super::headers::text;

/// Most bytes of names and values that are kept; what comes behind them is left out.
const HEADER_BYTES: usize = 16 * 1024;

/// Protocol, address and headers of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// `HTTP/1.1`, `HTTP/2.0`.
    pub protocol: String,
    /// The address that answered.
    pub address: Option<IpAddr>,
    /// Names in lower case; what is no text is made one. Without cookies: they open what the job's credentials open.
    pub headers: Vec<(String, String)>,
}

impl ResponseHead {
    pub(super) fn of(response: &Response) -> Self {
        let (mut headers, mut bytes) = (Vec::new(), 0);
        for (name, value) in response.headers().iter().filter(|(name, _)| *name != SET_COOKIE) {
            bytes += name.as_str().len() + value.len();
            if bytes > HEADER_BYTES {
                break;
            }
            headers.push((name.as_str().to_owned(), text(value)));
        }
        let address = response.remote_addr().map(|remote| remote.ip());
        Self { protocol: format!("{:?}", response.version()), address, headers }
    }
}
