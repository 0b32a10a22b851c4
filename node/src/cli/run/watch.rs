//! Watches a job: writes its items as they come, shows how far it is, and pauses it on Ctrl-C.

use super::super::client::{Client, ClientError};
use super::super::failure::Status;
use super::super::output::Output;
use super::super::progress::Progress;
use super::super::signals::Signals;
use crate::crawl::jobs::Phase;
use crate::gateway::object::JobObject;
use scrapering_core::frontier::record::JobId;
use std::time::{Duration, Instant};

/// Pause after a look that found nothing new.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the state is read.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);
/// How long a paused job's pages in flight are waited for.
const LANDING_TIMEOUT: Duration = Duration::from_secs(30);

/// The job is not there any more, so nobody can go on with it.
#[derive(Debug, thiserror::Error)]
#[error("there is no job {0} in this ring any more; was it deleted?")]
pub(super) struct Gone(JobId);

/// How watching ended.
pub(super) enum Ending {
    /// The job did, and everything it found is written.
    Ended(Box<JobObject>),
    /// It was paused by a signal, and what had come is written.
    Paused(Status),
    /// A signal came that left no time to pause it.
    LeftAlone(Status),
}

/// One job being watched.
pub(super) struct Watch<'a> {
    client: &'a Client,
    id: JobId,
    output: &'a mut Output,
    cursor: String,
    progress: Progress,
    began: Instant,
    status_read: Option<Instant>,
    phase: Phase,
}

impl<'a> Watch<'a> {
    /// Begins where `output` ends.
    pub(super) fn begin(client: &'a Client, job: &JobObject, output: &'a mut Output) -> anyhow::Result<Self> {
        let id = job.metadata.uid;
        let cursor = output.begin(id)?;
        let mut progress = Progress::start();
        progress.update(&job.status);
        let phase = job.status.phase;
        Ok(Self { client, id, output, cursor, progress, began: Instant::now(), status_read: None, phase })
    }

    /// Watches until the job has ended or a signal comes.
    pub(super) async fn until_the_end(&mut self, signals: &mut Signals) -> anyhow::Result<Ending> {
        loop {
            let status = tokio::select! {
                biased;
                status = signals.next() => status,
                look = self.look() => match look? {
                    Some(job) => return Ok(Ending::Ended(Box::new(job))),
                    None => continue,
                },
            };
            self.progress.say("Pausing the job; press Ctrl-C again to leave at once.");
            return tokio::select! {
                biased;
                status = signals.next() => Ok(Ending::LeftAlone(status)),
                paused = self.pause() => Ok(paused?.map_or(Ending::Paused(status), |job| Ending::Ended(Box::new(job)))),
            };
        }
    }

    /// Leaves the last state standing; says how long it was watched.
    pub(super) fn stop(self) -> Duration {
        self.progress.stop();
        self.began.elapsed()
    }

    /// Looks once; the job, if it has ended and everything is written. May be dropped at any wait.
    async fn look(&mut self) -> anyhow::Result<Option<JobObject>> {
        let (is_new, complete) = self.take().await?;
        if complete {
            return self.read_status().await.map(Some);
        }
        if self.status_read.is_none_or(|read| read.elapsed() >= STATUS_INTERVAL) {
            let job = self.read_status().await?;
            self.tell_phase(job.status.phase);
        }
        if !is_new {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(None)
    }

    /// Writes what is new; whether there was something, and whether nothing follows.
    async fn take(&mut self) -> anyhow::Result<(bool, bool)> {
        let piece = self.client.piece(self.id, "items", &self.cursor).await.map_err(|error| self.gone(error))?;
        let is_new = !piece.lines.is_empty();
        if is_new {
            self.output.append(self.id, &piece.lines, &piece.cursor)?;
        }
        self.cursor = piece.cursor;
        Ok((is_new, piece.complete))
    }

    async fn read_status(&mut self) -> anyhow::Result<JobObject> {
        let job = self.client.job(self.id).await.map_err(|error| self.gone(error))?;
        self.status_read = Some(Instant::now());
        self.progress.update(&job.status);
        Ok(job)
    }

    fn tell_phase(&mut self, phase: Phase) {
        if phase.is_suspended() && !self.phase.is_suspended() {
            self.progress.say(&format!("The job is paused; it goes on with: scrapering job resume {}", self.id));
        }
        self.phase = phase;
    }

    /// Pauses the job and writes what still comes in; the job, if it has ended meanwhile.
    async fn pause(&mut self) -> anyhow::Result<Option<JobObject>> {
        match self.client.steer(self.id, "pause").await {
            // It may have ended between the look and the pause.
            Err(ClientError::Problem(problem)) if problem.slug() == "conflict" => {}
            Err(error) => return Err(self.gone(error)),
            Ok(_) => {}
        }
        let deadline = Instant::now() + LANDING_TIMEOUT;
        loop {
            let (is_new, complete) = self.take().await?;
            if complete {
                return self.read_status().await.map(Some);
            }
            if !is_new {
                let job = self.read_status().await?;
                if job.status.phase == Phase::Paused && self.is_drained().await? || Instant::now() > deadline {
                    return Ok(None);
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Looks once more: the last page may have landed between its items being read and its count.
    async fn is_drained(&mut self) -> anyhow::Result<bool> {
        self.take().await.map(|(is_new, _)| !is_new)
    }

    fn gone(&self, error: ClientError) -> anyhow::Error {
        if error.is_no_job() {
            return Gone(self.id).into();
        }
        error.into()
    }
}
