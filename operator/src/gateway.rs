//! The jobs of a ring, through the REST gateways of its nodes.
//!
//! Any node serves any job, so a request goes to the next node when one is silent or busy; every request here may be sent
//! twice. Pods are dialled at their addresses and prove by their certificates that they are nodes of the ring.

mod answer;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode, header};
use scrapering_crds::ScrapeJobFile;
use serde::Serialize;
use serde_json::json;
use thiserror::Error;

pub use answer::{Asked, Counts, Identity, Phase, Problem, Progress, Report};

use crate::ring::contract::GATEWAY_PORT;
use crate::ring::keys::Keys;

/// How long a node may take to connect and to answer; a submission is written to five disks.
const LIMIT: Duration = Duration::from_secs(15);
/// A job may have a document of 1 MiB, and the answer repeats it.
const LONGEST_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// What the operator's tokens allow.
const SCOPES: &str = "jobs:read jobs:write";

/// Why a request was not served.
#[derive(Debug, Error)]
pub enum Error {
    /// The keys or certificates of the ring are unusable.
    #[error("the ring's keys or certificates cannot be used to speak to its nodes")]
    Keys(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The ring has no pod with an address.
    #[error("the ring has no running node")]
    Nobody,
    /// No node answered. Whether the last one did what was asked is not known; it may be asked again.
    #[error("no node of the ring answers")]
    Silent(#[source] reqwest::Error),
    /// A node refused.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The answer is not what a gateway says.
    #[error("the answer of the gateway cannot be understood: {0}")]
    Strange(String),
}

impl Error {
    /// The refusal, if it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }
}

/// A node to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its DNS name, as in its certificate.
    pub name: String,
    /// The address of its pod.
    pub ip: IpAddr,
}

/// What of a job is changed; what is left out stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Pause or resume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Its share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Its limit of pages fetched at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<Parallelism>,
}

/// A limit of pages fetched at once, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Parallelism(pub Option<u32>);

/// What a reconcile asks of a ring.
pub trait Jobs: Send + Sync {
    /// Hands in a job; the same key always means the same job.
    fn submit(&self, key: &str, job: &ScrapeJobFile) -> impl Future<Output = Result<Report, Error>> + Send;
    /// How far a job is.
    fn read(&self, id: &str) -> impl Future<Output = Result<Report, Error>> + Send;
    /// Changes a job while it runs.
    fn change(&self, id: &str, change: &Change) -> impl Future<Output = Result<Report, Error>> + Send;
    /// Removes a job and its results. One that is not there is removed already.
    fn delete(&self, id: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The way to the gateways of a ring.
#[derive(Debug)]
pub struct Gateway {
    client: Client,
    keys: Keys,
    namespace: String,
    places: Vec<Place>,
}

impl Gateway {
    /// The way to the nodes at `places`, in this order, which prove themselves to the authorities in `trusted` (PEM).
    /// Jobs belong to the tenant called like their `namespace`.
    ///
    /// # Errors
    /// [`Error::Keys`], [`Error::Nobody`].
    pub fn new(keys: Keys, namespace: String, trusted: &[u8], places: Vec<Place>) -> Result<Self, Error> {
        if places.is_empty() {
            return Err(Error::Nobody);
        }
        let unusable = |error: reqwest::Error| Error::Keys(error.into());
        let mut builder = Client::builder()
            .tls_certs_only(Certificate::from_pem_bundle(trusted).map_err(unusable)?)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT);
        for place in &places {
            // The port of the URL wins over that of the address.
            builder = builder.resolve(&place.name, SocketAddr::new(place.ip, 0));
        }
        Ok(Self { client: builder.build().map_err(unusable)?, keys, namespace, places })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), Error> {
        let token =
            self.keys.token(SCOPES, &self.namespace, SystemTime::now()).map_err(|error| Error::Keys(error.into()))?;
        let mut failure = Error::Nobody;
        for place in &self.places {
            let url = format!("https://{}:{GATEWAY_PORT}/v1/{path}", place.name);
            let asked = fill(self.client.request(method.clone(), url).bearer_auth(&token)).send().await;
            let answered = match asked {
                Ok(response) => read(response).await,
                Err(error) => Err(Error::Silent(error)),
            };
            match answered {
                Ok(answer) => return Ok(answer),
                Err(Error::Refused(problem)) if !problem.is_passing() => return Err(Error::Refused(problem)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn report(
        &self,
        method: Method,
        path: &str,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Report, Error> {
        let (_, body) = self.ask(method, path, fill).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Strange(error.to_string()))
    }
}

impl Jobs for Gateway {
    async fn submit(&self, key: &str, job: &ScrapeJobFile) -> Result<Report, Error> {
        self.report(Method::POST, "jobs", |request| request.header("idempotency-key", key).json(job)).await
    }

    async fn read(&self, id: &str) -> Result<Report, Error> {
        self.report(Method::GET, &format!("jobs/{id}"), |request| request).await
    }

    async fn change(&self, id: &str, change: &Change) -> Result<Report, Error> {
        let patch = json!({ "spec": change }).to_string();
        let fill = |request: RequestBuilder| {
            request.header(header::CONTENT_TYPE, "application/merge-patch+json").body(patch.clone())
        };
        self.report(Method::PATCH, &format!("jobs/{id}"), fill).await
    }

    async fn delete(&self, id: &str) -> Result<(), Error> {
        match self.ask(Method::DELETE, &format!("jobs/{id}"), |request| request).await {
            Err(Error::Refused(problem)) if problem.status == StatusCode::NOT_FOUND => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

/// The whole answer, or the problem that it tells of.
async fn read(mut response: Response) -> Result<(StatusCode, Vec<u8>), Error> {
    let status = response.status();
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::Silent)? {
        if body.len() + chunk.len() > LONGEST_ANSWER_BYTES {
            return Err(Error::Strange(format!("it is longer than {LONGEST_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        Ok((status, body))
    } else {
        Err(Error::Refused(Box::new(Problem::read(status, location, &body))))
    }
}
