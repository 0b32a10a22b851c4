//! The names of the frontier's registers. They hold ids and hashes only: keys are not sealed on disk.

use super::delivery::DeliveryId;
use super::export::ExportId;
use super::record::{JobId, UrlHash};
use crate::id::{Key, Partition};
use crate::job::NormalizedUrl;
use crate::schedule::ScheduleKey;
use sha1::{Digest, Sha1};
use uuid::Uuid;

const OWNER: u8 = b'O';
const JOB: u8 = b'J';
const BUDGET: u8 = b'B';
const HOST: u8 = b'H';
const URL: u8 = b'U';
const LINK: u8 = b'L';
const CONTENT: u8 = b'C';
const DELIVERY: u8 = b'D';
const SCHEDULE: u8 = b'S';
const JAR: u8 = b'K';
const OPT_OUTS: u8 = b'P';
const OUTPUT: u8 = b'E';
const EXPORT: u8 = b'F';

/// Every name of the frontier is below this; those of the key-value store and of locks are above.
pub const END: &[u8] = b"V";

/// What a register of the frontier is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Who owns the partition.
    Owner,
    /// A job's file and phase.
    Job(JobId),
    /// A job's page budget.
    Budget(JobId),
    /// A host's robots.txt.
    Host([u8; 20]),
    /// A URL of a job.
    Url(JobId, UrlHash),
    /// A link that a page of this partition showed and the job does not follow.
    Link(JobId, UrlHash),
    /// The pages of a job with this content, or with this block of a simhash.
    Content(JobId, [u8; 20]),
    /// A message to a webhook of a job.
    Delivery(DeliveryId),
    /// A schedule and its runs.
    Schedule(ScheduleKey),
    /// The cookies of a job at an origin with this hash.
    Jar(JobId, [u8; 20]),
    /// Hosts that are not to be visited.
    OptOuts,
    /// How far an output of a job is.
    Output(JobId, u16),
    /// An export of a job.
    Export(JobId, ExportId),
}

/// Where a job's own registers live.
#[must_use]
pub fn job_partition(job: JobId) -> Partition {
    Partition::of(format!("job/{job}").as_bytes())
}

/// Where everything of a host lives. `origin` is `scheme://host:port`.
#[must_use]
pub fn host_partition(origin: &str) -> Partition {
    Partition::of(format!("host/{origin}").as_bytes())
}

/// Where a URL lives.
#[must_use]
pub fn url_partition(url: &NormalizedUrl) -> Partition {
    host_partition(&url.origin())
}

/// Where the pages of a job with this content are known.
#[must_use]
pub fn content_partition(job: JobId, hash: &[u8; 20]) -> Partition {
    Partition::of(&[&job.0[..], hash].concat())
}

/// The hash that stands for an origin in a key.
#[must_use]
pub fn origin_hash(origin: &str) -> [u8; 20] {
    Sha1::digest(origin.as_bytes()).into()
}

impl Name {
    /// The register of this name in `partition`.
    #[must_use]
    pub fn key(&self, partition: Partition) -> Key {
        let mut name = Vec::with_capacity(1 + 16 + 20);
        match self {
            Self::Owner => name.push(OWNER),
            Self::Job(job) => extend(&mut name, JOB, &[&job.0]),
            Self::Budget(job) => extend(&mut name, BUDGET, &[&job.0]),
            Self::Host(hash) => extend(&mut name, HOST, &[hash]),
            Self::Url(job, url) => extend(&mut name, URL, &[&job.0, &url.0]),
            Self::Link(job, url) => extend(&mut name, LINK, &[&job.0, &url.0]),
            Self::Content(job, hash) => extend(&mut name, CONTENT, &[&job.0, hash]),
            Self::Delivery(DeliveryId { job, hook, number }) => {
                extend(&mut name, DELIVERY, &[&job.0, &hook.to_be_bytes(), &number.to_be_bytes()]);
            }
            Self::Schedule(key) => extend(&mut name, SCHEDULE, &[&key.0]),
            Self::Jar(job, hash) => extend(&mut name, JAR, &[&job.0, hash]),
            Self::OptOuts => name.push(OPT_OUTS),
            Self::Output(job, place) => extend(&mut name, OUTPUT, &[&job.0, &place.to_be_bytes()]),
            Self::Export(job, export) => extend(&mut name, EXPORT, &[&job.0, export.0.as_bytes()]),
        }
        Key::new(partition, name)
    }

    /// What the names of all jobs' own registers begin with.
    #[must_use]
    pub fn jobs_prefix() -> Vec<u8> {
        vec![JOB]
    }

    /// What the names of all schedules begin with.
    #[must_use]
    pub fn schedules_prefix() -> Vec<u8> {
        vec![SCHEDULE]
    }

    /// What the names of all URLs of all jobs begin with.
    #[must_use]
    pub fn all_urls_prefix() -> Vec<u8> {
        vec![URL]
    }

    /// What the names of all URLs of a job begin with.
    #[must_use]
    pub fn urls_prefix(job: JobId) -> Vec<u8> {
        [&[URL], job.0.as_slice()].concat()
    }

    /// What the names of the contents of a job begin with.
    #[must_use]
    pub fn contents_prefix(job: JobId) -> Vec<u8> {
        [&[CONTENT], job.0.as_slice()].concat()
    }

    /// What the names of the messages of a job begin with; they come by webhook, and then in order.
    #[must_use]
    pub fn deliveries_prefix(job: JobId) -> Vec<u8> {
        [&[DELIVERY], job.0.as_slice()].concat()
    }

    /// What the names of the exports of a job begin with.
    #[must_use]
    pub fn exports_prefix(job: JobId) -> Vec<u8> {
        [&[EXPORT], job.0.as_slice()].concat()
    }

    /// The name in `key`; `None` if it is not one of the frontier's.
    #[must_use]
    pub fn parse(key: &Key) -> Option<Self> {
        let (kind, rest) = key.name.split_first()?;
        let job_url = || {
            let (job, url) = rest.split_first_chunk::<16>()?;
            Some((JobId(*job), UrlHash(url.try_into().ok()?)))
        };
        match *kind {
            OWNER if rest.is_empty() => Some(Self::Owner),
            OPT_OUTS if rest.is_empty() => Some(Self::OptOuts),
            JOB => Some(Self::Job(JobId(rest.try_into().ok()?))),
            BUDGET => Some(Self::Budget(JobId(rest.try_into().ok()?))),
            HOST => Some(Self::Host(rest.try_into().ok()?)),
            URL => job_url().map(|(job, url)| Self::Url(job, url)),
            LINK => job_url().map(|(job, url)| Self::Link(job, url)),
            CONTENT => job_url().map(|(job, hash)| Self::Content(job, hash.0)),
            DELIVERY => {
                let (job, rest) = rest.split_first_chunk::<16>()?;
                let (hook, number) = rest.split_first_chunk::<2>()?;
                let (hook, number) = (u16::from_be_bytes(*hook), u32::from_be_bytes(number.try_into().ok()?));
                Some(Self::Delivery(DeliveryId { job: JobId(*job), hook, number }))
            }
            SCHEDULE => Some(Self::Schedule(ScheduleKey(rest.try_into().ok()?))),
            JAR => job_url().map(|(job, hash)| Self::Jar(job, hash.0)),
            OUTPUT => {
                let (job, place) = rest.split_first_chunk::<16>()?;
                Some(Self::Output(JobId(*job), u16::from_be_bytes(place.try_into().ok()?)))
            }
            EXPORT => {
                let (job, export) = rest.split_first_chunk::<16>()?;
                Some(Self::Export(JobId(*job), ExportId(Uuid::from_slice(export).ok()?)))
            }
            _ => None,
        }
    }
}

fn extend(name: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    name.push(kind);
    parts.iter().for_each(|part| name.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_from_its_key() {
        let (job, url) = (JobId([7; 16]), UrlHash([9; 20]));
        for name in [
            Name::Owner,
            Name::Job(job),
            Name::Budget(job),
            Name::Host([3; 20]),
            Name::Url(job, url),
            Name::Link(job, url),
            Name::Content(job, [4; 20]),
            Name::Delivery(DeliveryId { job, hook: 2, number: 300 }),
            Name::Schedule(ScheduleKey([5; 20])),
            Name::Jar(job, [5; 20]),
            Name::OptOuts,
            Name::Output(job, 258),
            Name::Export(job, ExportId(Uuid::from_u128(9))),
        ] {
            let key = name.key(Partition(5));
            assert!(key.name.as_slice() < END && END < crate::kv::PREFIX);
            assert_eq!(Name::parse(&key), Some(name));
        }
        assert_eq!(Name::parse(&Key::new(Partition(5), [b'U', 1, 2])), None);
    }
}
