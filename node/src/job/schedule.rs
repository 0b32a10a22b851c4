//! From what a user wrote to a schedule that can be kept: the one place where a `ScrapeSchedule` is judged by the ring.

use super::report::{Faults, Place};
use super::{FieldError, JobError, metadata_names, validate as validate_job};
use jiff::Timestamp;
use scrapering_core::schedule::{Concurrency, Rules, Run};
use scrapering_crds::file::JOB_KIND;
use scrapering_crds::schedule::clock::{Clock, Error as ClockError};
use scrapering_crds::schedule::{ConcurrencyPolicy, DEADLINE_SECONDS, HISTORY_MAX, NAME_LENGTH_MAX};
use scrapering_crds::{API_VERSION, JobMetadata, ScrapeJobFile, ScrapeScheduleFile};

/// Label of a job: the name of its schedule.
pub const SCHEDULE_LABEL: &str = "scrapering.io/schedule";
/// Annotation of a job: the time that it was made for, RFC 3339.
pub const SCHEDULED_AT: &str = "scrapering.io/scheduled-at";
/// Where the fields of the jobs stand.
const TEMPLATE: &str = "spec.jobTemplate";

/// A schedule document that passed every check.
#[derive(Clone, Debug)]
pub struct LoadedSchedule {
    /// As it was written, defaults filled in.
    pub file: ScrapeScheduleFile,
    /// Its times.
    pub clock: Clock,
    /// How it is kept.
    pub rules: Rules,
}

/// Reads and checks a schedule document, YAML or JSON.
///
/// # Errors
/// See [`JobError`].
pub fn load(text: &str) -> Result<LoadedSchedule, JobError> {
    validate(ScrapeScheduleFile::parse(text)?).map_err(JobError::Invalid)
}

/// Checks a schedule, and the jobs that it would make.
///
/// # Errors
/// Every fault that was found; never an empty list.
pub fn validate(file: ScrapeScheduleFile) -> Result<LoadedSchedule, Vec<FieldError>> {
    let mut faults = Faults::default();
    metadata_names(&file.metadata, &mut faults);
    let (name, spec) = (&file.metadata.name, &file.spec);
    if name.len() > NAME_LENGTH_MAX {
        let message = format!("has {} characters; the name of a schedule may have {NAME_LENGTH_MAX}", name.len());
        faults.add(&Place::root("metadata").field("name"), message);
    }
    let at = Place::root("spec");
    let clock = Clock::new(&spec.schedule, spec.time_zone.as_deref());
    if let Err(error) = &clock {
        let (field, whole) = match error {
            ClockError::Schedule { .. } => ("schedule", error.to_string()),
            ClockError::TimeZone(_) => ("timeZone", error.to_string()),
        };
        let message = whole.strip_prefix(&format!("spec.{field}: ")).unwrap_or(&whole).to_owned();
        faults.add(&at.field(field), message);
    }
    if let Some(seconds) = spec.starting_deadline_seconds.filter(|seconds| !DEADLINE_SECONDS.contains(seconds)) {
        let message = format!("is {seconds}; use {} to {}", DEADLINE_SECONDS.start(), DEADLINE_SECONDS.end());
        faults.add(&at.field("startingDeadlineSeconds"), message);
    }
    for (field, kept) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        if !(0..=HISTORY_MAX).contains(&kept) {
            faults.add(&at.field(field), format!("is {kept}; use 0 to {HISTORY_MAX}"));
        }
    }
    let mut found = faults.into_result().err().unwrap_or_default();
    let nameless = JobMetadata { name: "a".to_owned(), ..JobMetadata::default() };
    let of_jobs = validate_job(&nameless, &spec.job_template.spec).err().unwrap_or_default();
    found.extend(of_jobs.into_iter().map(|fault| FieldError { path: format!("{TEMPLATE}.{}", fault.path), ..fault }));
    match clock {
        Ok(clock) if found.is_empty() => Ok(LoadedSchedule { rules: rules(&file), clock, file }),
        _ => Err(found),
    }
}

fn rules(file: &ScrapeScheduleFile) -> Rules {
    let spec = &file.spec;
    Rules {
        concurrency: match spec.concurrency_policy {
            ConcurrencyPolicy::Allow => Concurrency::Allow,
            ConcurrencyPolicy::Forbid => Concurrency::Forbid,
            ConcurrencyPolicy::Replace => Concurrency::Replace,
        },
        deadline_s: spec.starting_deadline_seconds,
        most_succeeded: usize::try_from(spec.successful_jobs_history_limit).unwrap_or_default(),
        most_failed: usize::try_from(spec.failed_jobs_history_limit).unwrap_or_default(),
    }
}

/// What the job of a run is called, as in Kubernetes: the minute that it was made for, or the second that a user chose.
#[must_use]
pub fn job_name(schedule: &str, run: &Run) -> String {
    format!("{schedule}-{}", if run.manual { run.due_s } else { run.due_s / 60 })
}

/// The document of the job of a run.
#[must_use]
pub fn job_file(schedule: &ScrapeScheduleFile, run: &Run) -> ScrapeJobFile {
    let template = &schedule.spec.job_template;
    let mut labels = template.metadata.labels.clone();
    labels.insert(SCHEDULE_LABEL.to_owned(), schedule.metadata.name.clone());
    let mut annotations = template.metadata.annotations.clone();
    let due = Timestamp::from_second(run.due_s).unwrap_or_default();
    annotations.insert(SCHEDULED_AT.to_owned(), due.to_string());
    ScrapeJobFile {
        api_version: API_VERSION.to_owned(),
        kind: JOB_KIND.to_owned(),
        metadata: JobMetadata {
            name: job_name(&schedule.metadata.name, run),
            namespace: schedule.metadata.namespace.clone(),
            labels,
            annotations,
        },
        spec: template.spec.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scrapering_core::schedule::ScheduleRecord;

    fn text(name: &str, spec: &str, seed: &str) -> String {
        format!(
            "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeSchedule\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n  jobTemplate:\n    metadata: {{labels: {{team: a}}}}\n    spec: {{seeds: [{{url: '{seed}'}}]}}\n"
        )
    }

    fn paths(text: &str) -> Vec<String> {
        let errors = load(text).map(|_| ()).expect_err(text).field_errors();
        errors.into_iter().map(|error| error.path).collect()
    }

    #[test]
    fn every_bad_field_of_a_schedule_is_named_by_its_path() {
        let good = "https://a.example/";
        let long = "x".repeat(53);
        for (text, expected) in [
            (text("daily", "schedule: '61 * * * *'", good), vec!["spec.schedule"]),
            (text("daily", "schedule: '@daily'\n  timeZone: Mars/Olympus", good), vec!["spec.timeZone"]),
            (
                text("daily", "schedule: '@daily'\n  startingDeadlineSeconds: 5", good),
                vec!["spec.startingDeadlineSeconds"],
            ),
            (
                text("daily", "schedule: '@daily'\n  failedJobsHistoryLimit: 101", good),
                vec!["spec.failedJobsHistoryLimit"],
            ),
            (text(&long, "schedule: '@daily'", good), vec!["metadata.name"]),
            (
                text("daily", "schedule: '@reboot'", "mailto:x"),
                vec!["spec.schedule", "spec.jobTemplate.spec.seeds[0].url"],
            ),
            (text("daily", "schedule: '@daily'\n  suspended: true", good), vec!["spec.suspended"]),
            (text("daily", "schedule: '@daily'", good).replace("ScrapeSchedule", "ScrapeJob"), vec!["kind"]),
        ] {
            assert_eq!(paths(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_job_is_named_after_its_time_and_labelled_with_its_schedule() {
        let loaded = load(&text("daily", "schedule: '0 4 * * *'", "https://a.example/")).expect("good");
        let mut record = ScheduleRecord::new(String::new(), [1; 16], 0);
        assert!(record.plan(&loaded.rules, 14_400));
        let job = job_file(&loaded.file, &record.runs[0]);
        assert_eq!((job.metadata.name.as_str(), job.metadata.labels[SCHEDULE_LABEL].as_str()), ("daily-240", "daily"));
        assert_eq!(job.metadata.labels["team"], "a");
        assert_eq!(job.metadata.annotations[SCHEDULED_AT], "1970-01-01T04:00:00Z");
        assert!(crate::job::validate(&job.metadata, &job.spec).is_ok());
    }
}
