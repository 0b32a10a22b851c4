//! What a person wants to know when a job has ended.

use super::super::client::Client;
use crate::crawl::jobs::{Phase, Skipped};
use crate::gateway::object::JobObject;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Most answers of the list of skipped pages that are read for a summary; each holds up to a thousand.
const MOST_PIECES: usize = 50;

/// How many pages were left out, by reason; empty if that cannot be read, since a summary is no reason to fail.
pub(super) async fn skipped(client: &Client, job: &JobObject) -> BTreeMap<String, u64> {
    let mut reasons = BTreeMap::new();
    if job.status.pages.skipped == 0 {
        return reasons;
    }
    let mut cursor = String::new();
    for _ in 0..MOST_PIECES {
        let Ok(piece) = client.piece(job.metadata.uid, "skipped", &cursor).await else { break };
        for line in piece.lines.split(|byte| *byte == b'\n') {
            if let Ok(page) = serde_json::from_slice::<Skipped>(line) {
                *reasons.entry(page.reason).or_default() += 1;
            }
        }
        if piece.lines.is_empty() || piece.complete {
            break;
        }
        cursor = piece.cursor;
    }
    reasons
}

/// The summary, its last line ended.
pub(super) fn text(job: &JobObject, watched: Duration, skipped: &BTreeMap<String, u64>) -> String {
    let (status, pages) = (&job.status, &job.status.pages);
    let seconds = duration(job).unwrap_or(watched).as_secs_f64();
    let speed = if seconds > 0.0 { (pages.succeeded + pages.failed) as f64 / seconds } else { 0.0 };
    let mut text = format!(
        "{:?}: {} pages, {} items in {seconds:.1} s ({speed:.1} pages/s)\n",
        status.phase, pages.succeeded, status.items
    );
    let reason =
        [status.reason.as_deref(), status.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let mut line = |words: String| {
        let _ = writeln!(text, "  {words}");
    };
    if !reason.is_empty() {
        line(reason);
    }
    if pages.failed > 0 {
        line(format!("{} pages failed", pages.failed));
    }
    if status.item_errors > 0 {
        line(format!("{} items left out, because a required field was missing", status.item_errors));
    }
    if pages.skipped > 0 {
        let reasons: Vec<String> = skipped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
        line(format!("{} URLs skipped{reasons}", pages.skipped));
    }
    if skipped.contains_key("privateAddress") {
        line("to fetch from private addresses on purpose, start the ring with --allow-private-cidr CIDR".to_owned());
    }
    if pages.failed + pages.skipped > 0 || status.phase == Phase::Failed {
        line(format!("each of them, and why: scrapering job skipped {}", job.metadata.uid));
    }
    text
}

/// From the job's start to its end, as the ring saw them.
fn duration(job: &JobObject) -> Option<Duration> {
    let time = |text: &Option<String>| text.as_deref()?.parse::<jiff::Timestamp>().ok();
    let took = time(&job.status.completion_time)?.duration_since(time(&job.status.start_time)?);
    Duration::try_from(took).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(status: serde_json::Value) -> JobObject {
        serde_json::from_value(json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob", "spec": {},
            "metadata": {"name": "j", "uid": "0198c1d2-7f3e-7abc-9def-0123456789ab", "creationTimestamp": "2026-01-02T03:04:05Z"},
            "status": status,
        }))
        .expect("a job")
    }

    #[test]
    fn the_summary_names_pages_items_failures_and_reasons_of_skipping() {
        let job = job(json!({"phase": "Completed", "items": 40, "itemErrors": 1,
            "startTime": "2026-01-02T03:04:05Z", "completionTime": "2026-01-02T03:04:15Z", "reason": "pageLimit",
            "pages": {"discovered": 30, "queued": 0, "inFlight": 0, "succeeded": 20, "failed": 2, "skipped": 8}}));
        let skipped = [("robotsTxt".to_owned(), 5), ("pageLimit".to_owned(), 3)].into_iter().collect();
        let text = text(&job, Duration::from_secs(99), &skipped);
        assert_eq!(
            text,
            "Completed: 20 pages, 40 items in 10.0 s (2.2 pages/s)\n  pageLimit\n  2 pages failed\n  \
             1 items left out, because a required field was missing\n  8 URLs skipped: pageLimit 3, robotsTxt 5\n  \
             each of them, and why: scrapering job skipped 0198c1d2-7f3e-7abc-9def-0123456789ab\n"
        );
    }

    #[test]
    fn a_plain_success_is_one_line() {
        let job = job(json!({"phase": "Completed", "items": 1, "itemErrors": 0,
            "pages": {"discovered": 1, "queued": 0, "inFlight": 0, "succeeded": 1, "failed": 0, "skipped": 0}}));
        assert_eq!(
            text(&job, Duration::from_secs(2), &BTreeMap::new()),
            "Completed: 1 pages, 1 items in 2.0 s (0.5 pages/s)\n"
        );
    }
}
