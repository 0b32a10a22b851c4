//! `scrapering job watch`: how far a job is, until it has ended.

use super::super::client::Client;
use super::super::failure::Status;
use super::super::progress::Progress;
use super::super::run::summary;
use super::super::signals::Signals;
use crate::crawl::jobs::Phase;
use anyhow::Context;
use scrapering_core::frontier::record::JobId;
use std::time::{Duration, Instant};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Watches until the job has ended or a signal comes; the job itself is left alone.
pub(super) async fn watch(client: &Client, id: JobId) -> anyhow::Result<Status> {
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let began = Instant::now();
    let mut job = client.job(id).await?;
    let mut progress = Progress::start();
    loop {
        progress.update(&job.status);
        if job.status.completion_time.is_some() {
            break;
        }
        job = tokio::select! {
            biased;
            status = signals.next() => {
                progress.stop();
                eprintln!("The job goes on; look again with: scrapering job watch {id}");
                return Ok(status);
            }
            job = async {
                tokio::time::sleep(INTERVAL).await;
                client.job(id).await
            } => job?,
        };
    }
    progress.stop();
    let unfetched = summary::unfetched(client, &job).await;
    eprint!("{}", summary::text(&job, began.elapsed(), &unfetched));
    Ok(if job.status.phase == Phase::Completed { Status::Done } else { Status::Failed })
}
