//! What peers ask of this node's frontier. Messages are checked here; who sent them was checked before.

use super::bodies::PageId;
use super::coordinator::Order;
use super::doors::moment;
use super::jobs::{FetchedPage, PageHistory, StoredResponse, Try};
use super::shards::Found;
use super::{Crawl, coordinator};
use crate::rpc::convert::{self, Malformed};
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::record::{self, Items, JobId, LinkRecord, PageResult, UrlRecord, UrlState, decode};
use scrapering_core::frontier::shard::{Control, ResultKind};
use scrapering_core::id::{Key, Partition};
use scrapering_core::job::SkipReason;
use scrapering_core::register::Versioned;
use scrapering_core::schedule::ScheduleKey;
use scrapering_proto::v1;
use scrapering_proto::v1::results_request::Kind;
use std::collections::BTreeMap;
use tonic::Status;

/// Most links in one message from a peer.
const MAX_LINKS: usize = 100_000;
/// Most results in one answer, and most bytes of them; at least one result is given however large.
const MAX_RESULTS: usize = 1000;
/// Results whose contents are read at once: an answer is full, or has enough entries, long before all are in memory.
const RESULTS_AT_ONCE: usize = 16;
const MAX_RESULT_BYTES: usize = 8 * 1024 * 1024;

/// When an answer about results holds enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Enough {
    /// So many records.
    pub(super) results: usize,
    /// So many entries in them: one record may hold thousands of items, or none. 0 for no bound.
    pub(super) entries: usize,
}

impl Crawl {
    /// Links from another node's pages.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; nothing was done.
    pub async fn handle_follow(&self, message: v1::FollowRequest) -> Result<v1::FollowReply, Status> {
        let job = convert::job(&message.job)?;
        if message.links.len() > MAX_LINKS {
            return Err(Malformed("links").into());
        }
        let links = message.links.into_iter().map(convert::frontier::link).collect::<Result<Vec<_>, _>>()?;
        let refused = self.shards.links(job, links).await;
        Ok(v1::FollowReply { not_owned: refused.into_iter().map(|partition| u32::from(partition.0)).collect() })
    }

    /// A job to be coordinated here.
    ///
    /// # Errors
    /// `UNAVAILABLE`; the job may or may not be stored, and may be submitted again under the same id.
    pub async fn handle_submit(&self, message: v1::SubmitRequest) -> Result<v1::SubmitReply, Status> {
        let job = convert::job(&message.job)?;
        let taken = coordinator::submit(self, job, &message.file)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(v1::SubmitReply { not_owned: !taken })
    }

    /// How far a job is that is coordinated here.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub async fn handle_status(&self, message: v1::StatusRequest) -> Result<v1::StatusReply, Status> {
        let job = convert::job(&message.job)?;
        let owned = self.shards.owned(job_partition(job)).await.is_some();
        let progress = self.coordinators.progress(job);
        Ok(v1::StatusReply {
            not_owned: !owned,
            counters: progress.map(|progress| convert::counters_to_wire(progress.counters)),
            at_rest: progress.is_some_and(|progress| progress.at_rest),
        })
    }

    /// What a job is to do here, and this node's counters of it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; nothing was done.
    pub async fn handle_report(&self, message: v1::ReportRequest) -> Result<v1::ReportReply, Status> {
        let job = convert::job(&message.job)?;
        let reason = || message.reason.parse().map_err(|_| Malformed("reason"));
        let control = match message.control() {
            v1::report_request::Control::Hold => Control::Hold,
            v1::report_request::Control::Run => Control::Run,
            v1::report_request::Control::Close => Control::Close(reason()?),
            v1::report_request::Control::Revisit => Control::Revisit(reason()?),
        };
        let reports =
            coordinator::report(self, job, Order { control, revision: message.revision }, message.confirm).await;
        let partitions = reports.into_iter().map(|(partition, token, counters)| v1::report_reply::Partition {
            partition: u32::from(partition.0),
            token: token.0,
            counters: Some(convert::counters_to_wire(counters)),
        });
        Ok(v1::ReportReply { partitions: partitions.collect() })
    }

    /// Committed results.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; `UNAVAILABLE` if records cannot be read.
    pub async fn handle_results(&self, message: v1::ResultsRequest) -> Result<v1::ResultsReply, Status> {
        let job = convert::job(&message.job)?;
        let kind = message.kind();
        let after = message.after.into_iter().map(|(number, sequence)| Ok((convert::partition(number)?, sequence)));
        let after = after.collect::<Result<BTreeMap<_, _>, Malformed>>()?;
        let enough = Enough { results: message.limit as usize, entries: message.entries as usize };
        self.results(job, after, enough, kind).await
    }

    /// A job's records are to go.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; nothing was done.
    pub async fn handle_purge(&self, message: v1::PurgeRequest) -> Result<v1::PurgeReply, Status> {
        let purged = self.shards.purge(convert::job(&message.job)?).await;
        Ok(v1::PurgeReply { partitions: purged.into_iter().map(|partition| u32::from(partition.0)).collect() })
    }

    /// A job's failed pages are to be opened again.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; nothing was done.
    pub async fn handle_reopen(&self, message: v1::ReopenRequest) -> Result<v1::ReopenReply, Status> {
        let reopened = super::reopen::here(self, convert::job(&message.job)?).await;
        Ok(v1::ReopenReply { partitions: reopened.into_iter().map(|partition| u32::from(partition.0)).collect() })
    }

    /// A schedule is to be kept here.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `UNAVAILABLE`; it may be asked for again.
    pub async fn handle_keep(&self, message: v1::KeepRequest) -> Result<v1::KeepReply, Status> {
        let key = message.schedule.as_ref().try_into().map_err(|_| Malformed("schedule"))?;
        let kept = self.keep_if_owned(ScheduleKey(key)).await;
        Ok(v1::KeepReply { not_owned: !kept.map_err(|error| Status::unavailable(error.to_string()))? })
    }

    /// Committed results of this node's partitions, with what is in them.
    pub(super) async fn results(
        &self,
        job: JobId,
        after: BTreeMap<Partition, u64>,
        enough: Enough,
        kind: Kind,
    ) -> Result<v1::ResultsReply, Status> {
        let pages = matches!(kind, Kind::Items | Kind::Pages);
        let found = self.shards.results(job, after, enough.results.clamp(1, MAX_RESULTS), pages).await;
        let (mut results, mut bytes, mut entries) = (Vec::new(), 0, 0);
        let is_enough = |bytes, entries| bytes > MAX_RESULT_BYTES || (enough.entries > 0 && entries >= enough.entries);
        'full: for some in found.results.chunks(RESULTS_AT_ONCE) {
            let mut contents = self.contents(job, some, kind).await?;
            for &Found { partition, sequence, .. } in some {
                if is_enough(bytes, entries) {
                    break 'full;
                }
                let content = contents.remove(&(partition, sequence)).unwrap_or_default();
                bytes += content.len();
                entries += entries_of(kind, &content);
                results.push(v1::results_reply::Result { partition: u32::from(partition.0), sequence, content });
            }
        }
        let more = found.more || results.len() < found.results.len();
        let owned = found
            .owned
            .into_iter()
            .map(|(partition, token)| v1::results_reply::Owned { partition: u32::from(partition.0), token: token.0 });
        Ok(v1::ResultsReply { results, owned: owned.collect(), more })
    }

    async fn contents(
        &self,
        job: JobId,
        found: &[Found],
        kind: Kind,
    ) -> Result<BTreeMap<(Partition, u64), String>, Status> {
        let mut by_partition: BTreeMap<Partition, Vec<(u64, Key)>> = BTreeMap::new();
        for found in found {
            let name =
                if found.kind == ResultKind::Link { Name::Link(job, found.url) } else { Name::Url(job, found.url) };
            by_partition.entry(found.partition).or_default().push((found.sequence, name.key(found.partition)));
        }
        let mut contents = BTreeMap::new();
        for (partition, places) in by_partition {
            let (sequences, keys): (Vec<u64>, Vec<Key>) = places.into_iter().unzip();
            let values = self
                .driver
                .read(partition, keys.clone())
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            for ((sequence, key), value) in sequences.into_iter().zip(keys).zip(values) {
                contents.insert((partition, sequence), self.content(&key, value, kind).await?);
            }
        }
        Ok(contents)
    }

    /// What a reader gets of one record; empty if it holds nothing of the kind.
    async fn content(&self, key: &Key, value: Option<Versioned>, kind: Kind) -> Result<String, Status> {
        let Some(bytes) = value.and_then(|value| value.content) else { return Ok(String::new()) };
        let damaged = |_| Status::data_loss("a record is damaged");
        if let Some(Name::Link(..)) = Name::parse(key) {
            let link: LinkRecord = decode(&bytes).map_err(damaged)?;
            return Ok(format!("{}\n{}\n", link.url, link.reason));
        }
        let record: UrlRecord = decode(&bytes).map_err(damaged)?;
        let UrlState::Closed { result, .. } = record.state else { return Ok(String::new()) };
        let tries: Vec<Try> = record.attempts.last.iter().map(Try::from).collect();
        Ok(match result {
            PageResult::Fetched(page) if kind == Kind::Pages => {
                let Some(Name::Url(_, hash)) = Name::parse(key) else { return Ok(String::new()) };
                let id = PageId { partition: key.partition, hash };
                page_line(id, record.url, record.depth, page, tries)
            }
            PageResult::Fetched(page) => match page.content {
                Items::Inline(items) => items,
                Items::Body(hash) => {
                    let body = self
                        .driver
                        .body(key.partition, hash)
                        .await
                        .ok_or_else(|| Status::unavailable("no node that answers holds the items"))?;
                    String::from_utf8_lossy(&body).into_owned()
                }
            },
            PageResult::Failed { reason, detail } => unfetched(&record.url, reason, &detail, &tries),
            PageResult::Skipped { reason, detail } => {
                unfetched(&record.url, reason, &detail.unwrap_or_default(), &tries)
            }
        })
    }
}

/// Entries in what a reader gets of one record.
fn entries_of(kind: Kind, content: &str) -> usize {
    match kind {
        Kind::Items => content.lines().count(),
        Kind::Unfetched | Kind::Pages => usize::from(!content.is_empty()),
    }
}

/// A fetched page as the doors see it, JSON.
fn page_line(id: PageId, url: String, depth: u32, page: record::FetchedPage, tries: Vec<Try>) -> String {
    let record::FetchedPage { status, fetched_ms, attempts, bytes, items, item_errors, content: _, stored, history } =
        page;
    let fetched_at = moment(fetched_ms).unwrap_or_default();
    let id = id.to_string();
    let stored = stored.map(stored_response);
    let history = history.map(|history| PageHistory::from(*history));
    let page =
        FetchedPage { id, url, depth, status, fetched_at, attempts, bytes, items, item_errors, tries, stored, history };
    serde_json::to_string(&page).expect("texts and numbers always become JSON")
}

/// A URL that was not fetched: URL, reason, detail and attempts, a line each.
fn unfetched(url: &str, reason: SkipReason, detail: &str, tries: &[Try]) -> String {
    let tries = serde_json::to_string(tries).expect("texts and numbers always become JSON");
    format!("{url}\n{reason}\n{}\n{tries}", one_line(detail))
}

fn stored_response(stored: record::StoredResponse) -> StoredResponse {
    let record::StoredResponse { body, read_ms, protocol, address, headers } = stored;
    StoredResponse {
        sha256: data_encoding::HEXLOWER.encode(&body.0),
        read_at: moment(read_ms).unwrap_or_default(),
        protocol,
        address: address.map(|address| address.to_string()),
        headers: headers.into_iter().map(|(name, value)| [name, value]).collect(),
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}
