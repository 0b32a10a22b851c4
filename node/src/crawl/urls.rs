//! What became of one URL, in every job of a tenant.

use super::Jobs;
use super::jobs::{JobRef, JobsError, Try};
use crate::auth::Tenant;
use schemars::JsonSchema;
use scrapering_core::frontier::keys::{Name, url_partition};
use scrapering_core::frontier::record::{JobId, LinkRecord, PageResult, UrlHash, UrlRecord, UrlState, decode};
use scrapering_core::job::NormalizedUrl;
use serde::{Deserialize, Serialize};

/// Where a URL stands in a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UrlStanding {
    /// It waits, or is being fetched.
    Open,
    /// A page was fetched.
    Fetched,
    /// It was given up.
    Failed,
    /// It was not requested.
    Skipped,
    /// A page links to it, and the job does not follow that.
    NotFollowed,
}

/// A URL in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlStatus {
    /// The job.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub job: JobId,
    /// As the job writes it.
    pub url: String,
    /// Where it stands.
    pub state: UrlStanding,
    /// Why it was not fetched, from the closed list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// More, if there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Links followed from a seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// The requests that were made for it, the oldest first; at most the last 32.
    pub tries: Vec<Try>,
}

impl Jobs {
    /// What became of `url` in every job of `tenant` that knows it.
    ///
    /// # Errors
    /// [`JobsError::Unavailable`].
    pub async fn url_statuses(&self, tenant: &Tenant, url: &NormalizedUrl) -> Result<Vec<UrlStatus>, JobsError> {
        let mut found = Vec::new();
        for job in self.list(tenant).await? {
            let job = JobRef { tenant: tenant.clone(), id: job.id };
            let Some(spec) = self.spec(&job).await? else { continue };
            let canonical = spec.url_rules.canonical(url.clone());
            let (partition, hash) = (url_partition(&canonical), UrlHash::of(&canonical));
            let keys = [Name::Url(job.id, hash), Name::Link(job.id, hash)].map(|name| name.key(partition));
            let values = self.crawl.driver.read(partition, keys.into()).await?;
            let mut contents = values.into_iter().map(|value| value.and_then(|value| value.content));
            let (page, link) = (contents.next().flatten(), contents.next().flatten());
            let page = page.and_then(|content| decode::<UrlRecord>(&content).ok());
            let link = link.and_then(|content| decode::<LinkRecord>(&content).ok());
            found.extend(page.map(|page| of_page(job.id, page)).or(link.map(|link| of_link(job.id, link))));
        }
        Ok(found)
    }
}

fn of_page(job: JobId, page: UrlRecord) -> UrlStatus {
    let (state, reason, detail) = match page.state {
        UrlState::Open => (UrlStanding::Open, None, None),
        UrlState::Closed { result: PageResult::Fetched(_), .. } => (UrlStanding::Fetched, None, None),
        UrlState::Closed { result: PageResult::Failed { reason, detail }, .. } => {
            (UrlStanding::Failed, Some(reason), Some(detail))
        }
        UrlState::Closed { result: PageResult::Skipped { reason, detail }, .. } => {
            (UrlStanding::Skipped, Some(reason), detail)
        }
    };
    UrlStatus {
        job,
        url: page.url,
        state,
        reason: reason.map(|reason| reason.to_string()),
        detail,
        depth: Some(page.depth),
        tries: page.attempts.last.iter().map(Try::from).collect(),
    }
}

fn of_link(job: JobId, link: LinkRecord) -> UrlStatus {
    UrlStatus {
        job,
        url: link.url,
        state: UrlStanding::NotFollowed,
        reason: Some(link.reason.to_string()),
        detail: None,
        depth: None,
        tries: Vec::new(),
    }
}
