//! Writes a job's outputs and exports into object stores when the job has ended: part by part, each noted when it is there.

mod register;
mod source;
mod status;

pub use status::{OutputProgress, OutputStatus, OutputWord};

pub(super) use status::of_job;

use super::errands::Owner;
use super::jobs::JobRef;
use super::{Crawl, exports};
use crate::driver::registers::Unavailable;
use crate::job::output::Bucket;
use crate::output::{Destination, DestinationError, ExportError, Part, SUCCESS, success};
use bytes::Bytes;
use register::Register;
use scrapering_core::frontier::keys::{Name, job_partition};
use scrapering_core::frontier::output::{MOST_PARTS, OutputRecord, PartRecord};
use scrapering_core::frontier::record::{JobId, JobPhase};
use scrapering_crds::ScrapeJobFile;
use source::{Filled, Source};
use std::time::Duration;

/// How often it is looked whether the job has ended, and whether an attempt is due.
const LOOK: Duration = Duration::from_secs(1);

/// Why an attempt ended.
enum Fault {
    /// The ring does not answer, or the partition is another node's.
    Ring,
    /// The store, or what was asked of it, is at fault.
    Store(String),
}

impl From<Unavailable> for Fault {
    fn from(_: Unavailable) -> Self {
        Self::Ring
    }
}

impl From<DestinationError> for Fault {
    fn from(error: DestinationError) -> Self {
        Self::Store(sentence(&error))
    }
}

impl From<ExportError> for Fault {
    fn from(error: ExportError) -> Self {
        Self::Store(sentence(&error))
    }
}

/// An error and its cause; what lies deeper speaks of the network that the ring stands in.
fn sentence(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// One output of a job.
struct Output<'a> {
    job: JobRef,
    file: &'a ScrapeJobFile,
    register: Register,
    bucket: Bucket,
    /// Below the output's prefix.
    folder: String,
}

/// Writes every output and export of the job, once the job has ended and as often as it takes.
///
/// # Errors
/// [`Unavailable`]: the ring did not answer, or the partition is another node's; it is gone on with later.
pub(super) async fn serve(crawl: &Crawl, job: JobId, file: &ScrapeJobFile, owner: Owner) -> Result<(), Unavailable> {
    let tenant = super::doors::tenant_named(file.metadata.namespace.as_deref());
    let of_file = crate::job::buckets(&file.spec).into_iter().zip(0..);
    let of_file = of_file.map(|(bucket, place)| (bucket, job.to_string(), Register::of_output(job, place)));
    let asked = exports::of_job(crawl, job).await?.into_iter().filter(|export| !export.record.is_settled());
    let asked = asked.filter_map(|exports::Entry { id, record, .. }| {
        let output = serde_json::from_str(&record.output).ok()?;
        let bucket = crate::job::export(&file.spec, &output).ok()?;
        Some((bucket, id.to_string(), Register::of_export(job, id, record)))
    });
    let outputs = of_file.chain(asked).map(|(bucket, folder, register)| {
        let output = Output { job: JobRef { tenant: tenant.clone(), id: job }, file, register, bucket, folder };
        async move { output.serve(crawl, owner).await }
    });
    futures::future::try_join_all(outputs.collect::<Vec<_>>()).await.map(|_| ())
}

/// Removes what is noted of a job's outputs and exports; the files stay. Whether all is gone.
pub(super) async fn forget(crawl: &Crawl, job: JobId, file: &str) -> Result<bool, Unavailable> {
    let outputs = serde_json::from_str::<ScrapeJobFile>(file).map_or(0, |file| file.spec.outputs.len());
    let partition = job_partition(job);
    let keys = (0..u16::try_from(outputs).unwrap_or(u16::MAX)).map(|place| Name::Output(job, place).key(partition));
    Ok(crawl.driver.remove_all(partition, keys).await && exports::forget(crawl, job).await?)
}

impl Output<'_> {
    async fn serve(&self, crawl: &Crawl, owner: Owner) -> Result<(), Unavailable> {
        let (mut record, mut version) = self.register.read(crawl).await?;
        loop {
            if !owner.holds(crawl).await {
                return Err(Unavailable);
            }
            let Some((job, _)) = crawl.specs.record(self.job.id).await? else { return Ok(()) };
            let (now_ms, run_ms) = (crawl.driver.clock().wall_ms(), self.register.run_ms(&job));
            match job.phase {
                // Whoever cancels a job wants nothing of it.
                JobPhase::Deleting | JobPhase::Cancelled => return Ok(()),
                phase if phase.has_ended() && record.is_settled(run_ms) => return Ok(()),
                phase if !phase.has_ended() || record.retry_ms > now_ms => {
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                _ => {}
            }
            match self.write(crawl, owner, run_ms, &mut record, &mut version).await {
                Ok(()) => {}
                Err(Fault::Ring) => return Err(Unavailable),
                Err(Fault::Store(fault)) => {
                    tracing::warn!(job = %self.job.id, fault, "an output of a job could not be written");
                    record.handle_failure(&fault, run_ms, crawl.driver.clock().wall_ms(), rand::random());
                    self.register.note(crawl, &record, &mut version).await?;
                }
            }
        }
    }

    /// Writes what is not there yet, and then the marker; ends early if the job goes on.
    async fn write(
        &self,
        crawl: &Crawl,
        owner: Owner,
        run_ms: u64,
        record: &mut OutputRecord,
        version: &mut u64,
    ) -> Result<(), Fault> {
        let _turn = crawl.writers.acquire().await;
        if !self.is_wanted(crawl).await? {
            return Ok(());
        }
        // From here on nobody can note anything who began before: what was put and not noted is this writer's to replace.
        self.register.note(crawl, record, version).await?;
        let destination = Destination::of_bucket(&self.bucket, &self.folder, &crawl.fetcher)?;
        let mut source = Source::new(&self.job, self.file, &self.bucket, record);
        loop {
            let filled = source.fill(crawl).await?;
            if !owner.holds(crawl).await {
                return Err(Fault::Ring);
            }
            if filled == Filled::Little {
                if !self.is_wanted(crawl).await? {
                    return Ok(());
                }
                continue;
            }
            let parts = source.take().await?;
            if !parts.is_empty() {
                let mut next = OutputRecord { after: source.after(), numbers: source.numbers(), ..record.clone() };
                put(&destination, &mut next, parts).await?;
                self.register.note(crawl, &next, version).await?;
                *record = next;
            }
            if filled == Filled::All {
                break;
            }
        }
        let parts: Vec<Part> = record.parts.iter().map(part).collect();
        destination.replace(SUCCESS, success(&parts)).await?;
        let mut next = OutputRecord { done: Some(run_ms), after: source.after(), ..record.clone() };
        next.handle_progress();
        self.register.note(crawl, &next, version).await?;
        *record = next;
        Ok(())
    }

    /// Whether the job has ended and what it found is there.
    async fn is_wanted(&self, crawl: &Crawl) -> Result<bool, Unavailable> {
        let job = crawl.specs.record(self.job.id).await?;
        Ok(job.is_some_and(|(job, _)| job.phase.has_ended() && job.phase != JobPhase::Cancelled))
    }
}

/// Puts parts, and enters them in what is to be noted.
async fn put(destination: &Destination, record: &mut OutputRecord, parts: Vec<(Part, Bytes)>) -> Result<(), Fault> {
    if record.done.take().is_some() {
        // The marker of the run before does not name what comes now.
        destination.remove(SUCCESS).await?;
    }
    for (part, content) in parts {
        if record.parts.len() >= MOST_PARTS {
            return Err(Fault::Store(format!("the job found more than fits {MOST_PARTS} parts")));
        }
        destination.replace(&part.name, content).await?;
        let Part { name, items, bytes, sha256 } = part;
        record.parts.push(PartRecord { name, entries: items as u64, bytes: bytes as u64, sha256 });
    }
    record.handle_progress();
    Ok(())
}

fn part(record: &PartRecord) -> Part {
    let PartRecord { name, entries, bytes, sha256 } = record.clone();
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Part { name, items: whole(entries), bytes: whole(bytes), sha256 }
}
