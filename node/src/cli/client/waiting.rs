//! What a job still has before it, through any gateway: the URLs that wait, and the patterns of those that it leaves out.

use super::{Client, ClientError, json};
use crate::crawl::waiting::WaitingPage;
use crate::gateway::Exclusions;
use reqwest::Method;
use scrapering_core::frontier::record::JobId;
use url::form_urlencoded::Serializer;

impl Client {
    /// Some of the URLs that wait, behind a cursor.
    pub(in crate::cli) async fn waiting(
        &self,
        id: JobId,
        host: Option<&str>,
        pattern: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<WaitingPage, ClientError> {
        let pairs = [("host", host), ("pattern", pattern), ("cursor", cursor)];
        let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.read(&format!("/v1/jobs/{id}/frontier?{query}")).await
    }

    /// The patterns of URLs that a job leaves out.
    pub(in crate::cli) async fn exclusions(&self, id: JobId) -> Result<Exclusions, ClientError> {
        self.read(&path(id)).await
    }

    /// Leaves out one pattern more.
    pub(in crate::cli) async fn exclude(&self, id: JobId, pattern: &str) -> Result<Exclusions, ClientError> {
        let body = serde_json::json!({ "pattern": pattern });
        json(self.call(Method::POST, &path(id), |request| request.json(&body)).await?).await
    }

    /// Takes a pattern back.
    pub(in crate::cli) async fn include(&self, id: JobId, pattern: &str) -> Result<Exclusions, ClientError> {
        let query = Serializer::new(String::new()).append_pair("pattern", pattern).finish();
        json(self.call(Method::DELETE, &format!("{}?{query}", path(id)), |request| request).await?).await
    }
}

fn path(id: JobId) -> String {
    format!("/v1/jobs/{id}/exclusions")
}
