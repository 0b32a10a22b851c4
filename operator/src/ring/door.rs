//! Asks the nodes of a ring, one by one, through the administrator's part of their gateways.
//!
//! A pod is dialled at the address that was read from the server a moment ago, and proves by its certificate that it is
//! the node of that name: a name that still resolves to a former pod cannot answer for the new one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use reqwest::{Certificate, Client, StatusCode};
use thiserror::Error;

use super::contract;
use super::keys::Keys;
use super::report::Report;

/// How long a node may take to connect and to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of an answer: a ring of 1024 nodes has about 300 KiB.
const LONGEST_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Why a node could not be asked. Nothing changed, but for a [`Error::Silent`] leave, which is asked again.
#[derive(Debug, Error)]
pub enum Error {
    /// The keys or certificates of the ring are unusable.
    #[error("the ring's keys or certificates cannot be used to speak to its nodes")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer, or none that can be read.
    #[error("the node does not answer")]
    Silent(#[from] reqwest::Error),
    /// It refused.
    #[error("the node refused with {status}: {body}")]
    Refused {
        /// The status of the answer.
        status: StatusCode,
        /// Its text.
        body: String,
    },
    /// The answer is longer than a ring can be.
    #[error("the answer is too long")]
    TooLong,
    /// The answer is not what a node says.
    #[error("the answer cannot be understood")]
    Strange(#[from] serde_json::Error),
}

/// Where the node of an ordinal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its DNS name.
    pub name: String,
    /// The address of its pod.
    pub ip: IpAddr,
}

/// The way to all nodes of a ring.
#[derive(Debug)]
pub struct Door {
    client: Client,
    token: String,
    places: BTreeMap<u32, Place>,
}

impl Door {
    /// The way to the nodes at `places` of a ring in `namespace`, which prove themselves to the authorities in
    /// `trusted` (PEM).
    ///
    /// # Errors
    /// [`Error::Keys`].
    pub fn new(keys: &Keys, namespace: &str, trusted: &[u8], places: BTreeMap<u32, Place>) -> Result<Self, Error> {
        let unusable = |error: Box<dyn std::error::Error + Send + Sync>| Error::Keys(error);
        let token = keys.token("ring:admin", namespace, SystemTime::now()).map_err(|error| unusable(error.into()))?;
        let roots = Certificate::from_pem_bundle(trusted).map_err(|error| unusable(error.into()))?;
        let mut builder = Client::builder()
            .tls_certs_only(roots)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT);
        for place in places.values() {
            // The port of the URL wins over that of the address.
            builder = builder.resolve(&place.name, SocketAddr::new(place.ip, 0));
        }
        let client = builder.build().map_err(|error| unusable(error.into()))?;
        Ok(Self { client, token, places })
    }

    /// What every node says, by ordinal. Whoever does not answer, or is of no ring yet, is absent.
    pub async fn reports(&self) -> BTreeMap<u32, Report> {
        let asked = self.places.iter().map(async |(ordinal, place)| match self.report(place).await {
            Ok(report) if report.own.identity.name == place.name => Some((*ordinal, report)),
            Ok(report) => {
                tracing::warn!(node = place.name, answered = report.own.identity.name, "another node answered");
                None
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(tracing::field::display);
                tracing::debug!(node = place.name, cause, "{error}");
                None
            }
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Tells the ring, through any node that answers, that the node called `name` shall leave.
    ///
    /// # Errors
    /// The last node's error.
    pub async fn leave(&self, ordinal: u32, name: &str) -> Result<(), Error> {
        let mut failure = None;
        // Itself first: it knows best, and only when it is silent may another one remove it.
        let order = self
            .places
            .get(&ordinal)
            .into_iter()
            .chain(self.places.iter().filter(|(other, _)| **other != ordinal).map(|(_, place)| place));
        for place in order {
            let url = format!("https://{}:{}/v1/nodes/{name}", place.name, contract::GATEWAY_PORT);
            let asked = self.client.delete(url).bearer_auth(&self.token).send().await;
            match asked {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    let status = answer.status();
                    failure = Some(Error::Refused { status, body: answer.text().await.unwrap_or_default() });
                }
                Err(error) => failure = Some(error.into()),
            }
        }
        Err(failure.unwrap_or(Error::Refused { status: StatusCode::NOT_FOUND, body: "there is no node".to_owned() }))
    }

    async fn report(&self, place: &Place) -> Result<Report, Error> {
        let url = format!("https://{}:{}/v1/ring", place.name, contract::GATEWAY_PORT);
        let mut answer = self.client.get(url).bearer_auth(&self.token).send().await?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LONGEST_ANSWER_BYTES {
                return Err(Error::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(Error::Refused { status, body: String::from_utf8_lossy(&body).into_owned() });
        }
        Ok(serde_json::from_slice(&body)?)
    }
}
