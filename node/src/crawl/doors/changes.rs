//! What a user's change makes of a job's record: decided here, written by the doors.

use crate::crawl::jobs::{JobChange, JobsError, SeedStatus, SeedVerdict};
use scrapering_core::frontier::record::{JobId, JobPhase, JobRecord};
use scrapering_core::job::{NormalizedUrl, SkipReason};
use scrapering_crds::ScrapeJobFile;
use serde_json::Value;
use std::collections::BTreeSet;

/// Changes `record` as its user asks.
///
/// # Errors
/// [`JobsError::NotFound`], [`JobsError::Conflict`], [`JobsError::Invalid`]; the record may then be changed in part, and is not to be kept.
pub(super) fn apply(id: JobId, record: &mut JobRecord, change: &JobChange) -> Result<(), JobsError> {
    match change {
        JobChange::Patch { suspend, spec } => {
            if let Some(patch) = spec {
                must_run(id, record)?;
                revise(record, |spec| merge(spec, patch))?;
            }
            suspend.map_or(Ok(()), |suspended| pause(id, record, suspended))
        }
        JobChange::Stop => end(id, record, JobPhase::Closing(SkipReason::JobStopped)),
        JobChange::Cancel => end(id, record, JobPhase::Discarding),
        JobChange::RetryFailed => reopen(id, record),
        JobChange::Delete => {
            record.phase = JobPhase::Deleting;
            Ok(())
        }
    }
}

/// Adds seeds to a job; each has its own verdict.
///
/// # Errors
/// As [`apply`].
pub(super) fn add_seeds(id: JobId, record: &mut JobRecord, urls: &[String]) -> Result<Vec<SeedVerdict>, JobsError> {
    must_run(id, record)?;
    let (told, added) = judge_seeds(record, urls)?;
    if !added.is_empty() {
        revise(record, |spec| {
            if let Some(seeds) = spec.get_mut("seeds").and_then(Value::as_array_mut) {
                seeds.extend(added.iter().map(|url| serde_json::json!({ "url": url })));
            }
        })?;
    }
    Ok(told)
}

fn pause(id: JobId, record: &mut JobRecord, suspended: bool) -> Result<(), JobsError> {
    match record.phase {
        phase if phase.has_ended() => Err(JobsError::Conflict("the job has ended".to_owned())),
        JobPhase::Deleting => Err(JobsError::NotFound(id)),
        _ => {
            record.suspended = suspended;
            Ok(())
        }
    }
}

fn end(id: JobId, record: &mut JobRecord, phase: JobPhase) -> Result<(), JobsError> {
    must_run(id, record)?;
    record.phase = phase;
    record.suspended = false;
    Ok(())
}

fn reopen(id: JobId, record: &mut JobRecord) -> Result<(), JobsError> {
    match record.phase {
        JobPhase::Deleting => Err(JobsError::NotFound(id)),
        JobPhase::Cancelled => Err(JobsError::Conflict("the job was cancelled: its pages are gone".to_owned())),
        phase if !phase.has_ended() => {
            Err(JobsError::Conflict("the job has not ended: its failed pages are still being tried".to_owned()))
        }
        _ if record.totals.failed == 0 => Err(JobsError::Conflict("no page of the job has failed".to_owned())),
        _ => {
            record.phase = JobPhase::Reopening;
            record.errands = serde_json::from_str::<ScrapeJobFile>(&record.file)
                .is_ok_and(|file| crate::crawl::errands::has_any(&file.spec));
            Ok(())
        }
    }
}

/// Only a job that has not ended, and is not ending, can be changed.
fn must_run(id: JobId, record: &JobRecord) -> Result<(), JobsError> {
    match record.phase {
        JobPhase::Pending | JobPhase::Running | JobPhase::Reopening => Ok(()),
        JobPhase::Deleting => Err(JobsError::NotFound(id)),
        phase if phase.has_ended() => Err(JobsError::Conflict("the job has ended".to_owned())),
        _ => Err(JobsError::Conflict("the job is coming to its end".to_owned())),
    }
}

/// Changes the spec in a job's file, if the job can run with it.
fn revise(record: &mut JobRecord, change: impl FnOnce(&mut Value)) -> Result<(), JobsError> {
    let mut file: Value = serde_json::from_str(&record.file).map_err(|_| JobsError::Unavailable)?;
    if let Some(spec) = file.get_mut("spec") {
        change(spec);
    }
    let loaded = crate::job::load(&file.to_string()).map_err(|error| JobsError::Invalid(error.field_errors()))?;
    let revised = serde_json::to_string(&loaded.file).map_err(|_| JobsError::Unavailable)?;
    let before = std::mem::replace(&mut record.file, revised);
    record.accepted.get_or_insert(before);
    record.revision += 1;
    Ok(())
}

/// RFC 7396, section 2.
pub(in crate::crawl) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Some(object) = target.as_object_mut() else { return };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(name);
        } else {
            merge(object.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// What becomes of each URL, and those to be added.
fn judge_seeds(record: &JobRecord, urls: &[String]) -> Result<(Vec<SeedVerdict>, Vec<String>), JobsError> {
    let loaded = crate::job::load(&record.file).map_err(|_| JobsError::Unavailable)?;
    let mut known: BTreeSet<NormalizedUrl> = loaded.job.seeds.into_iter().map(|seed| seed.url).collect();
    let mut added = Vec::new();
    let judge = |url: &String| {
        let (status, detail) = match NormalizedUrl::parse(url) {
            Err(error) => (SeedStatus::Fail, Some(format!("it {error}"))),
            Ok(parsed) if known.insert(parsed.clone()) => {
                added.push(parsed.as_str().to_owned());
                (SeedStatus::Ok, None)
            }
            Ok(_) => (SeedStatus::Skipped, None),
        };
        SeedVerdict { url: url.clone(), status, detail }
    };
    let told = urls.iter().map(judge).collect();
    Ok((told, added))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> JobRecord {
        let text = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: a}\nspec: {seeds: [{url: 'https://a.example/'}], scope: {exclude: ['x']}}\n";
        let file = crate::job::load(text).expect("a job").file;
        JobRecord {
            file: serde_json::to_string(&file).expect("JSON"),
            accepted: None,
            revision: 3,
            seeded: 3,
            phase: JobPhase::Running,
            suspended: false,
            submitted_ms: 1,
            started_ms: 1,
            completed_ms: 0,
            totals: scrapering_core::frontier::record::Counters::default(),
            message: None,
            errands: false,
        }
    }

    #[test]
    fn a_merge_patch_replaces_adds_and_removes() {
        for (mut target, patch, expected) in [
            (json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
            (json!({"a": 1}), json!({"a": null, "b": {"c": null, "d": 1}}), json!({"b": {"d": 1}})),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (json!({"a": "x"}), json!({"a": {"b": "c"}}), json!({"a": {"b": "c"}})),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, expected);
        }
    }

    #[test]
    fn a_revision_counts_up_and_one_that_cannot_run_changes_nothing() {
        let mut good = record();
        revise(&mut good, |spec| merge(spec, &json!({"scope": {"exclude": ["/private/"]}}))).expect("a good change");
        assert_eq!(good.revision, 4);
        assert!(good.file.contains("/private/"), "{}", good.file);
        revise(&mut good, |spec| merge(spec, &json!({"scope": {"exclude": []}}))).expect("a good change");
        assert_eq!(good.accepted, Some(record().file), "what was submitted is known however often it was changed");
        let mut bad = record();
        let error =
            revise(&mut bad, |spec| merge(spec, &json!({"scope": {"exclude": ["("]}}))).expect_err("no pattern");
        assert!(matches!(error, JobsError::Invalid(errors) if errors[0].path == "spec.scope.exclude[0]"));
        assert_eq!(bad, record());
    }

    #[test]
    fn a_patch_that_pauses_and_changes_does_both_or_neither() {
        let id = JobId([1; 16]);
        let patch = |exclude: &str| JobChange::Patch {
            suspend: Some(true),
            spec: Some(json!({"scope": {"exclude": [exclude]}})),
        };
        let mut job = record();
        apply(id, &mut job, &patch("/private/")).expect("a good change");
        assert!(job.suspended && job.file.contains("/private/") && job.revision == 4);
        assert!(matches!(apply(id, &mut record(), &patch("(")), Err(JobsError::Invalid(_))));
        let mut ended = JobRecord { phase: JobPhase::Completed(None), ..record() };
        assert!(matches!(apply(id, &mut ended, &patch("x")), Err(JobsError::Conflict(_))));
    }

    #[test]
    fn each_seed_that_is_added_has_its_own_verdict() {
        let urls =
            ["https://a.example", "https://b.example/", "mailto:x", "https://b.example/#part"].map(str::to_owned);
        let (told, added) = judge_seeds(&record(), &urls).expect("verdicts");
        let statuses: Vec<SeedStatus> = told.iter().map(|verdict| verdict.status).collect();
        assert_eq!(statuses, [SeedStatus::Skipped, SeedStatus::Ok, SeedStatus::Fail, SeedStatus::Skipped]);
        assert_eq!(added, ["https://b.example/"]);
    }
}
