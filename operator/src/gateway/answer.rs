//! What a gateway answers about jobs, as far as the operator needs it.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;

/// What a problem's `type` begins with.
const PROBLEMS: &str = "https://scrapering.io/problems/";
/// Most bad fields that are repeated to the user; the gateway tells of all.
const FIELDS_SHOWN: usize = 5;
/// Longest text of a problem that is repeated, characters.
const LONGEST_TEXT: usize = 2048;

/// A job as the ring sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// Who it is.
    pub metadata: Identity,
    /// What it was asked to do.
    #[serde(default)]
    pub spec: Asked,
    /// How far it is.
    pub status: Progress,
}

/// Who a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// Its id in the ring.
    pub uid: String,
}

/// What a job was asked to do, as far as that may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// Its share; a ring that does not tell cannot change it either.
    #[serde(default)]
    pub priority: Option<u32>,
    /// Its limit of pages fetched at once, if it has one.
    #[serde(default)]
    pub parallelism: Option<u32>,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Progress {
    /// Where it stands.
    pub phase: Phase,
    /// A word for why, in camelCase.
    pub reason: Option<String>,
    /// A sentence for people.
    pub message: Option<String>,
    /// Pages by what became of them.
    pub pages: Counts,
    /// Items committed.
    pub items: i64,
    /// Items dropped because a required field was missing.
    pub item_errors: i64,
    /// RFC 3339; absent while pending.
    pub start_time: Option<String>,
    /// RFC 3339; absent until the job has ended.
    pub completion_time: Option<String>,
    /// RFC 3339; only while the job waits for nothing but the next visit.
    pub next_visit_time: Option<String>,
}

/// Pages by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// Known and in scope.
    pub discovered: i64,
    /// Fetched and kept.
    pub succeeded: i64,
    /// Given up.
    pub failed: i64,
    /// Not fetched, for a reason.
    pub skipped: i64,
    /// Further visits that found a page as it was before.
    pub not_modified: i64,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Phase {
    /// Taken, not begun.
    #[default]
    Pending,
    /// Pages are fetched.
    Running,
    /// Held.
    Paused,
    /// Ended as it should.
    Completed,
    /// Ended without result.
    Failed,
    /// Ending at its user's word; what was found is kept.
    Stopping,
    /// Ended at its user's word; what was found is kept.
    Stopped,
    /// Ending at its user's word; what was found goes.
    Cancelling,
    /// Ended at its user's word; what was found is gone.
    Cancelled,
    /// Being removed.
    Deleting,
    /// A word of a newer ring.
    #[serde(other)]
    Other,
}

/// A refusal: RFC 9457, or whatever else stood in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status of the answer.
    pub status: StatusCode,
    /// The last part of the problem's type; empty if it is not one of the gateway's.
    pub slug: String,
    /// What happened and what to do.
    pub text: String,
    /// The job that the answer points to.
    pub job: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    errors: Vec<Field>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Field {
    path: String,
    message: String,
}

impl Problem {
    /// Reads the refusal in an answer.
    pub fn read(status: StatusCode, location: Option<String>, body: &[u8]) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let mut text = match body.errors.as_slice() {
            [] | [_] => body.detail,
            fields => {
                let shown = fields.iter().take(FIELDS_SHOWN).map(|field| format!("{}: {}", field.path, field.message));
                let rest = fields.len().saturating_sub(FIELDS_SHOWN);
                let more = (rest > 0).then(|| format!("and {rest} more"));
                shown.chain(more).collect::<Vec<_>>().join("; ")
            }
        };
        if text.is_empty() {
            text = format!("the gateway answered {status}");
        }
        Self {
            status,
            slug: body.kind.strip_prefix(PROBLEMS).unwrap_or_default().to_owned(),
            text: text.chars().take(LONGEST_TEXT).collect(),
            job: location.and_then(|location| location.strip_prefix("/v1/jobs/").map(str::to_owned)),
        }
    }

    /// Whether another node, or the same one later, may well say otherwise.
    pub fn is_passing(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// Whether it is the change that was asked for that cannot be made now, rather than the job that is missing.
    pub fn is_about_a_change(&self) -> bool {
        matches!(self.status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(status: u16, body: &serde_json::Value) -> Problem {
        let status = StatusCode::from_u16(status).expect("a status");
        Problem::read(status, Some("/v1/jobs/0198".to_owned()), body.to_string().as_bytes())
    }

    #[test]
    fn a_problem_keeps_its_kind_its_fields_and_the_job_that_it_points_to() {
        let body = json!({
            "type": "https://scrapering.io/problems/invalid-job", "detail": "2 fields are not valid; see errors",
            "errors": [{ "path": "spec.seeds", "message": "is empty" }, { "path": "spec.scope", "message": "is odd" }],
        });
        let problem = read(422, &body);
        assert_eq!((problem.slug.as_str(), problem.job.as_deref()), ("invalid-job", Some("0198")));
        assert_eq!(problem.text, "spec.seeds: is empty; spec.scope: is odd");
        assert!(!problem.is_passing());
    }

    #[test]
    fn an_answer_of_something_else_is_told_by_its_status() {
        let problem = Problem::read(StatusCode::BAD_GATEWAY, None, b"<html>");
        assert_eq!((problem.slug.as_str(), problem.job.as_deref()), ("", None));
        assert_eq!(problem.text, "the gateway answered 502 Bad Gateway");
        assert!(problem.is_passing());
    }

    #[test]
    fn a_job_with_a_hundred_faults_is_told_in_a_few() {
        let errors: Vec<_> = (0..100).map(|n| json!({ "path": format!("f{n}"), "message": "is bad" })).collect();
        let problem = read(422, &json!({ "errors": errors }));
        assert!(problem.text.ends_with("f4: is bad; and 95 more"), "{}", problem.text);
    }

    #[test]
    fn phases_of_a_newer_ring_are_no_fault() {
        let report: Report =
            serde_json::from_value(json!({ "metadata": { "uid": "1" }, "status": { "phase": "Archived", "new": 1 } }))
                .expect("a report");
        assert_eq!(report.status.phase, Phase::Other);
    }
}
