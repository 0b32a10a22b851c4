//! What a person wants to know when a job has ended.

use super::super::client::Client;
use crate::crawl::jobs::{Phase, Skipped};
use crate::gateway::object::JobObject;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Most answers of the list of skipped pages that are read for a summary; each holds up to a thousand.
const MOST_PIECES: usize = 50;

/// Failed pages that are shown with their reason; the list of skipped pages has the others.
const MOST_EXAMPLES: usize = 3;

/// What was not fetched.
#[derive(Debug, Default)]
pub(in super::super) struct Unfetched {
    /// How many URLs, by reason.
    reasons: BTreeMap<String, u64>,
    /// The first pages that failed.
    failures: Vec<Skipped>,
}

/// What was not fetched and why; empty if that cannot be read, since a summary is no reason to fail.
pub(in super::super) async fn unfetched(client: &Client, job: &JobObject) -> Unfetched {
    let mut unfetched = Unfetched::default();
    if job.status.pages.skipped + job.status.pages.failed == 0 {
        return unfetched;
    }
    let mut cursor = String::new();
    for _ in 0..MOST_PIECES {
        let Ok(piece) = client.piece(job.metadata.uid, "skipped", &cursor).await else { break };
        let lines = piece.lines.split(|byte| *byte == b'\n');
        lines.filter_map(|line| serde_json::from_slice(line).ok()).for_each(|page| unfetched.count(page));
        if piece.lines.is_empty() || piece.complete {
            break;
        }
        cursor = piece.cursor;
    }
    unfetched
}

impl Unfetched {
    fn count(&mut self, page: Skipped) {
        *self.reasons.entry(page.reason.clone()).or_default() += 1;
        let failed = matches!(page.reason.as_str(), "httpError" | "fetchError" | "hostBroken");
        if failed && self.failures.len() < MOST_EXAMPLES {
            self.failures.push(page);
        }
    }
}

/// `count` of a thing, with its plural.
fn counted(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// The summary, its last line ended.
pub(in super::super) fn text(job: &JobObject, watched: Duration, unfetched: &Unfetched) -> String {
    let (status, pages) = (&job.status, &job.status.pages);
    let seconds = duration(job).unwrap_or(watched).as_secs_f64();
    let speed = if seconds > 0.0 { (pages.succeeded + pages.failed) as f64 / seconds } else { 0.0 };
    let (fetched, items) = (counted(pages.succeeded, "page"), counted(status.items, "item"));
    let mut text = format!("{:?}: {fetched}, {items} in {seconds:.1} s ({speed:.1} pages/s)\n", status.phase);
    let reason =
        [status.reason.as_deref(), status.message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let mut line = |words: String| {
        let _ = writeln!(text, "  {words}");
    };
    if !reason.is_empty() {
        line(reason);
    }
    if pages.failed > 0 {
        line(format!("{} failed", counted(pages.failed, "page")));
    }
    for Skipped { url, reason, detail, .. } in &unfetched.failures {
        line(format!("  {url}: {reason}{}", detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default()));
    }
    if status.item_errors > 0 {
        line(format!(
            "{} left out, because a required field was missing or wrong",
            counted(status.item_errors, "item")
        ));
    }
    if !unfetched.reasons.is_empty() {
        let reasons: Vec<String> =
            unfetched.reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        line(format!("not fetched: {}", reasons.join(", ")));
    }
    if unfetched.reasons.contains_key("privateAddress") {
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
        let mut unfetched = Unfetched::default();
        let reasons = ["robotsTxt", "pageLimit", "httpError", "robotsTxt", "fetchError"];
        for (number, reason) in reasons.into_iter().enumerate() {
            let detail = (reason == "httpError").then(|| "status 404".to_owned());
            unfetched.count(Skipped {
                url: format!("http://a.test/{number}"),
                reason: reason.to_owned(),
                detail,
                tries: Vec::new(),
            });
        }
        assert_eq!(
            text(&job, Duration::from_secs(99), &unfetched),
            "Completed: 20 pages, 40 items in 10.0 s (2.2 pages/s)\n  pageLimit\n  2 pages failed\n    \
             http://a.test/2: httpError (status 404)\n    http://a.test/4: fetchError\n  \
             1 item left out, because a required field was missing or wrong\n  \
             not fetched: fetchError 1, httpError 1, pageLimit 1, robotsTxt 2\n  \
             each of them, and why: scrapering job skipped 0198c1d2-7f3e-7abc-9def-0123456789ab\n"
        );
    }

    #[test]
    fn a_plain_success_is_one_line() {
        let job = job(json!({"phase": "Completed", "items": 1, "itemErrors": 0,
            "pages": {"discovered": 1, "queued": 0, "inFlight": 0, "succeeded": 1, "failed": 0, "skipped": 0}}));
        assert_eq!(
            text(&job, Duration::from_secs(2), &Unfetched::default()),
            "Completed: 1 page, 1 item in 2.0 s (0.5 pages/s)\n"
        );
    }
}
