//! Hosts through any gateway. Every request names a state rather than a step, so that it may be sent again.

use super::kv::escaped;
use super::{Client, ClientError, json};
use crate::crawl::hosts::{HostObject, RobotsObject};
use crate::crawl::ledger::LedgerEntry;
use crate::crawl::opt_outs::OptOutObject;
use crate::crawl::urls::UrlStatus;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded::Serializer;

/// A list, or a piece of one.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Items<T> {
    /// The entries.
    pub(in crate::cli) items: Vec<T>,
    /// Hands out what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Client {
    /// The hosts that the ring has to do with, in a state or all.
    pub(in crate::cli) async fn hosts(&self, state: Option<&str>) -> Result<Items<HostObject>, ClientError> {
        self.pieces("/v1/hosts", state.map(|state| ("state", state)), usize::MAX).await
    }

    /// A host.
    pub(in crate::cli) async fn host(&self, host: &str) -> Result<Items<HostObject>, ClientError> {
        self.read(&at(host, "")).await
    }

    /// Requests that were made to a host, the oldest first; at most about `most`.
    pub(in crate::cli) async fn ledger(&self, host: &str, most: usize) -> Result<Items<LedgerEntry>, ClientError> {
        self.pieces(&at(host, "/ledger"), None, most).await
    }

    /// What is stored of a host's robots.txt.
    pub(in crate::cli) async fn robots(&self, host: &str) -> Result<Items<RobotsObject>, ClientError> {
        self.read(&at(host, "/robots")).await
    }

    /// Asks for more gentleness at a host.
    pub(in crate::cli) async fn limit_host(
        &self,
        host: &str,
        change: &Value,
    ) -> Result<Items<HostObject>, ClientError> {
        json(self.call(Method::PATCH, &at(host, ""), |request| request.json(change)).await?).await
    }

    /// Has a host tried again.
    pub(in crate::cli) async fn reset_breaker(&self, host: &str) -> Result<Items<HostObject>, ClientError> {
        json(self.call(Method::DELETE, &at(host, "/breaker"), |request| request).await?).await
    }

    /// Every host that no job visits.
    pub(in crate::cli) async fn opt_outs(&self) -> Result<Items<OptOutObject>, ClientError> {
        self.read("/v1/optouts").await
    }

    /// Keeps every job away from a host.
    pub(in crate::cli) async fn opt_out(&self, asked: &Value) -> Result<OptOutObject, ClientError> {
        json(self.call(Method::POST, "/v1/optouts", |request| request.json(asked)).await?).await
    }

    /// Lets jobs visit a host again.
    pub(in crate::cli) async fn opt_in(&self, host: &str) -> Result<(), ClientError> {
        let path = format!("/v1/optouts/{}", escaped(host));
        self.call(Method::DELETE, &path, |request| request).await.map(|_| ())
    }

    /// What became of a URL in each job.
    pub(in crate::cli) async fn url(&self, url: &str) -> Result<Items<UrlStatus>, ClientError> {
        let query = Serializer::new(String::new()).append_pair("url", url).finish();
        self.read(&format!("/v1/urls?{query}")).await
    }

    async fn pieces<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: Option<(&str, &str)>,
        most: usize,
    ) -> Result<Items<T>, ClientError> {
        let mut all: Items<T> = Items { items: Vec::new(), next: None };
        loop {
            let cursor = all.next.take();
            let pairs = filter.into_iter().chain(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
            let Items { items, next } = self.read(&format!("{path}?{query}")).await?;
            all.items.extend(items);
            all.next = next.filter(|_| all.items.len() < most);
            if all.next.is_none() {
                all.items.truncate(most);
                return Ok(all);
            }
        }
    }
}

fn at(host: &str, part: &str) -> String {
    format!("/v1/hosts/{}{part}", escaped(host))
}
