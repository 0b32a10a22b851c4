//! What a look at the ring means for a job's status, as a pure function: the same look gives the same status and no write.

use k8s_openapi::jiff::Timestamp;
use scrapering_crds::job::{JobPhase, PageCounts};
use scrapering_crds::{Condition, ScrapeJob, ScrapeJobStatus, Span};

use crate::condition::{Verdict, holds};
use crate::gateway::{Phase, Progress, Report};

/// The ring has the job.
pub const ACCEPTED: &str = "Accepted";
/// The job is held.
pub const SUSPENDED: &str = "Suspended";
/// The job has ended as it should.
pub const COMPLETE: &str = "Complete";
/// The job has ended otherwise.
pub const FAILED: &str = "Failed";

/// What a reconcile found out about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Suspended from the start, so the ring has not been asked.
    Held,
    /// The ring does not have the job yet.
    Waiting {
        /// One word.
        reason: &'static str,
        /// A sentence.
        message: String,
    },
    /// The ring will never have the job, or has lost it.
    Refused {
        /// One word.
        reason: &'static str,
        /// A sentence.
        message: String,
    },
    /// The ring had the job before and does not answer now.
    Silent {
        /// A sentence.
        message: String,
    },
    /// What the ring says.
    Seen(Report),
}

/// Whether the job has ended, so that nothing is asked about it any more.
pub fn has_ended(job: &ScrapeJob) -> bool {
    job.status.as_ref().is_some_and(|status| holds(&status.conditions, COMPLETE) || holds(&status.conditions, FAILED))
}

/// The status to write, or `None` when the object says it already.
pub fn next(job: &ScrapeJob, finding: &Finding, now: Timestamp) -> Option<ScrapeJobStatus> {
    let before = job.status.clone().unwrap_or_default();
    let generation = job.metadata.generation;
    let mut next = ScrapeJobStatus { observed_generation: generation, ..before.clone() };
    if let Finding::Seen(report) = finding {
        observe(&mut next, report);
    }
    let verdicts = verdicts(job, finding);
    next.phase = Some(phase(&verdicts, finding, next.phase));
    next.conditions = verdicts.iter().map(|verdict| verdict.condition(&before.conditions, generation, now)).collect();
    // What a job was told before stays beside what is new: a failed job was accepted once.
    let kept = before.conditions.into_iter().filter(|old| next.conditions.iter().all(|new| new.type_ != old.type_));
    let kept: Vec<Condition> = kept.collect();
    next.conditions.extend(kept);
    next.conditions.sort_by_key(|condition| order(&condition.type_));
    (job.status.as_ref() != Some(&next)).then_some(next)
}

/// Takes over what the ring says in figures.
fn observe(status: &mut ScrapeJobStatus, report: &Report) {
    let Progress { pages, items, item_errors, start_time, completion_time, next_visit_time, .. } = &report.status;
    status.job_id = Some(report.metadata.uid.clone());
    status.pages = PageCounts {
        discovered: pages.discovered,
        succeeded: pages.succeeded,
        failed: pages.failed,
        skipped: pages.skipped,
        not_modified: pages.not_modified,
    };
    status.progress = Some(format!("{}/{}", pages.succeeded + pages.failed + pages.skipped, pages.discovered));
    (status.items, status.item_errors) = (*items, *item_errors);
    status.start_time.clone_from(start_time);
    status.completion_time.clone_from(completion_time);
    status.next_visit_time.clone_from(next_visit_time);
    status.duration = duration(start_time.as_deref(), completion_time.as_deref());
}

fn duration(start: Option<&str>, end: Option<&str>) -> Option<String> {
    let (start, end): (Timestamp, Timestamp) = (start?.parse().ok()?, end?.parse().ok()?);
    let seconds = u64::try_from(end.duration_since(start).as_secs()).unwrap_or_default();
    Some(Span(std::time::Duration::from_secs(seconds)).to_string())
}

fn verdicts(job: &ScrapeJob, finding: &Finding) -> Vec<Verdict> {
    match finding {
        Finding::Held => vec![
            Verdict::no(ACCEPTED, "Suspended", "the job is handed to the ring once spec.suspend is false"),
            Verdict::yes(SUSPENDED, "JobSuspended", "spec.suspend is true; the job has not begun"),
        ],
        Finding::Waiting { reason, message } => vec![Verdict::no(ACCEPTED, *reason, message.clone()), resumed()],
        Finding::Silent { message } => vec![Verdict::yes(ACCEPTED, "RingSilent", message.clone())],
        Finding::Refused { reason, message } => {
            let mut all = vec![Verdict::yes(FAILED, *reason, message.clone())];
            if job.status.as_ref().is_none_or(|status| status.job_id.is_none()) {
                all.push(Verdict::no(ACCEPTED, *reason, message.clone()));
            }
            all
        }
        Finding::Seen(report) => seen(job, report),
    }
}

fn resumed() -> Verdict {
    Verdict::no(SUSPENDED, "JobResumed", "spec.suspend is false")
}

fn seen(job: &ScrapeJob, report: &Report) -> Vec<Verdict> {
    let Progress { phase, reason, message, .. } = &report.status;
    let said = message.clone().unwrap_or_default();
    let mut all = vec![Verdict::yes(ACCEPTED, "Submitted", format!("the ring has the job as {}", report.metadata.uid))];
    all.push(match phase {
        Phase::Paused => Verdict::yes(SUSPENDED, "JobSuspended", "the ring holds the job; nothing is fetched"),
        _ => resumed(),
    });
    let word = reason.as_deref().map(camel);
    match phase {
        Phase::Completed if reason.as_deref() == Some("timeLimit") && job.spec.deadline_is_limit() => {
            all.push(Verdict::yes(FAILED, "DeadlineExceeded", "the job ran longer than spec.activeDeadlineSeconds"));
        }
        Phase::Completed => {
            let word = word.unwrap_or_else(|| "AllPagesSettled".to_owned());
            let said = if said.is_empty() {
                "every page in scope is settled, or a limit was reached".to_owned()
            } else {
                said
            };
            all.push(Verdict::yes(COMPLETE, word, said));
        }
        Phase::Failed => all.push(Verdict::yes(FAILED, word.unwrap_or_else(|| "RingGaveUp".to_owned()), said)),
        Phase::Deleting => {
            let said = "the job was deleted in the ring, by somebody other than the operator";
            all.push(Verdict::yes(FAILED, "DeletedInRing", said));
        }
        Phase::Stopped => {
            let said = "the job was stopped in the ring before all its pages were settled; what it found is kept";
            all.push(Verdict::yes(FAILED, "StoppedInRing", said));
        }
        Phase::Cancelled => {
            let said = "the job was cancelled in the ring; what it found is gone";
            all.push(Verdict::yes(FAILED, "CancelledInRing", said));
        }
        Phase::Pending | Phase::Running | Phase::Paused | Phase::Stopping | Phase::Cancelling | Phase::Other => {}
    }
    all
}

fn phase(verdicts: &[Verdict], finding: &Finding, before: Option<JobPhase>) -> JobPhase {
    let holds = |type_: &str| verdicts.iter().any(|verdict| verdict.type_ == type_ && verdict.holds);
    match finding {
        Finding::Seen(report) if report.status.phase == Phase::Stopped => JobPhase::Stopped,
        Finding::Seen(report) if report.status.phase == Phase::Cancelled => JobPhase::Cancelled,
        _ if holds(FAILED) => JobPhase::Failed,
        _ if holds(COMPLETE) => JobPhase::Complete,
        _ if holds(SUSPENDED) => JobPhase::Suspended,
        Finding::Silent { .. } => before.unwrap_or(JobPhase::Pending),
        Finding::Seen(report) if report.status.phase != Phase::Pending => JobPhase::Running,
        _ => JobPhase::Pending,
    }
}

/// `nothingFetched` as a condition's reason is written: `NothingFetched`.
fn camel(word: &str) -> String {
    let mut letters = word.chars().filter(char::is_ascii_alphanumeric);
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let word: String = first.into_iter().chain(letters).collect();
    if word.starts_with(|letter: char| letter.is_ascii_alphabetic()) { word } else { format!("Ring{word}") }
}

fn order(type_: &str) -> usize {
    [ACCEPTED, SUSPENDED, COMPLETE, FAILED].iter().position(|known| *known == type_).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
