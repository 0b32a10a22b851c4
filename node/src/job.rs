//! From what a user wrote to a job that can run: the one place where a `ScrapeJob` is judged.
//!
//! Every door (command line, REST, the operator through REST) comes through here, so their verdicts agree. All
//! faults are collected, each with the path of its field, so that a file is mended in one go.

mod credentials;
mod extract;
mod fetch;
mod follow;
mod labels;
pub mod output;
mod politeness;
mod proxy;
mod recrawl;
mod report;
pub mod schedule;
mod scope;
mod seeds;
pub mod webhook;
pub mod window;

use scrapering_core::job::{ContentIdentity, Dedup, ExtractRule, FollowRule, UrlRules, ValidatedJob};
use scrapering_crds::job::{self as spec, OutputSpec, ScrapeJobSpec, StoreBody};
use scrapering_crds::{JobFileError, JobMetadata, ScrapeJobFile};

use labels::Labels;
pub use report::FieldError;
use report::{Faults, Place};

/// Longest name of a query parameter, bytes.
const PARAM_BYTES_MAX: usize = 64;

/// A job document that passed every check.
#[derive(Clone, Debug)]
pub struct LoadedJob {
    /// As it was written, defaults filled in.
    pub file: ScrapeJobFile,
    /// What runs.
    pub job: ValidatedJob,
}

/// Why a job was refused. The writer of the job is at fault; nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Not a job document.
    #[error(transparent)]
    File(#[from] JobFileError),
    /// A job document with fields that make no sense.
    #[error("{}", report::sentence(.0))]
    Invalid(Vec<FieldError>),
}

impl JobError {
    /// The faults one by one; the path is empty where no field is to blame, as for a syntax error.
    #[must_use]
    pub fn field_errors(&self) -> Vec<FieldError> {
        match self {
            Self::File(JobFileError::Field { path, message }) => {
                vec![FieldError { path: path.clone(), message: message.clone() }]
            }
            Self::File(error) => vec![FieldError { path: String::new(), message: error.to_string() }],
            Self::Invalid(errors) => errors.clone(),
        }
    }
}

/// Reads and checks a job document, YAML or JSON.
///
/// # Errors
/// See [`JobError`].
pub fn load(text: &str) -> Result<LoadedJob, JobError> {
    let file = ScrapeJobFile::parse(text)?;
    let job = validate(&file.metadata, &file.spec).map_err(JobError::Invalid)?;
    Ok(LoadedJob { file, job })
}

/// The times in which a checked job may fetch; empty for always.
#[must_use]
pub fn windows(spec: &ScrapeJobSpec) -> Vec<window::Window> {
    politeness::windows(&spec.politeness, &Place::root("spec"), &mut Faults::default())
}

/// Where the files of a checked job go.
#[must_use]
pub fn buckets(spec: &ScrapeJobSpec) -> Vec<output::Bucket> {
    output::buckets(spec, &Place::root("spec"), &mut Faults::default())
}

/// Where the files of an export of a checked job go.
///
/// # Errors
/// What is wrong with the fields of `output`.
pub fn export(spec: &ScrapeJobSpec, output: &OutputSpec) -> Result<output::Bucket, Vec<FieldError>> {
    output::export(output, store_body(spec) != StoreBody::None)
}

/// Which of its pages a checked job keeps.
#[must_use]
pub fn store_body(spec: &ScrapeJobSpec) -> StoreBody {
    output::store_body(&spec.outputs)
}

/// Who is told what becomes of a checked job.
#[must_use]
pub fn webhooks(spec: &ScrapeJobSpec) -> Vec<webhook::Webhook> {
    webhook::webhooks(&spec.webhooks, &Place::root("spec"), &mut Faults::default())
}

/// Turns a spec into a job that can run. Whether an address may be visited is judged when it is fetched, not here.
///
/// # Errors
/// Every fault that was found, in the order of the fields; never an empty list.
pub fn validate(metadata: &JobMetadata, spec: &ScrapeJobSpec) -> Result<ValidatedJob, Vec<FieldError>> {
    let mut faults = Faults::default();
    metadata_names(metadata, &mut faults);
    let at = Place::root("spec");
    let mut labels = Labels::default();
    let seeds = seeds::seeds(&spec.seeds, &mut labels, &at.field("seeds"), &mut faults);
    let scope = scope::scope(&spec.scope, &seeds, &at.field("scope"), &mut faults);
    let url_rules = url_rules(&spec.url, &at.field("url"), &mut faults);
    let follow = follow::rules(&spec.follow, &mut labels, &at.field("follow"), &mut faults);
    let extract = extract::rules(&spec.extract, &mut labels.known(), &at.field("extract"), &mut faults);
    let politeness = politeness::politeness(spec, &at, &mut faults);
    let request = fetch::request(&spec.request, &seeds, &at.field("request"), &mut faults);
    let limits = fetch::limits(spec, &at, &mut faults);
    let retry = fetch::retry(&spec.retry, &at.field("retry"), &mut faults);
    let dedup = dedup(&spec.dedup, &at.field("dedup"), &mut faults);
    output::buckets(spec, &at, &mut faults);
    webhook::webhooks(&spec.webhooks, &at.field("webhooks"), &mut faults);
    if spec.priority > spec::PRIORITY_MAX {
        let message = format!("is {}; use 0 to {}", spec.priority, spec::PRIORITY_MAX);
        faults.add(&at.field("priority"), message);
    }
    if let Some(most) = spec.parallelism.filter(|most| !(1..=spec::PARALLELISM_MAX).contains(most)) {
        let message = format!("is {most}; use 1 to {}, or leave it out for no limit", spec::PARALLELISM_MAX);
        faults.add(&at.field("parallelism"), message);
    }
    let recrawl = spec.recrawl.as_ref().map(|written| recrawl::recrawl(written, &at.field("recrawl"), &mut faults));
    faults.into_result()?;
    let labels = labels.into_names();
    Ok(ValidatedJob {
        name: metadata.name.clone(),
        // Checked above.
        weight: spec.priority.saturating_add(1),
        parallelism: spec.parallelism,
        seeds,
        labels,
        scope,
        url_rules,
        follow,
        extract,
        politeness,
        request,
        limits,
        retry,
        dedup,
        recrawl,
    })
}

/// Checks rules on their own, without the job around them.
///
/// # Errors
/// As [`validate`]; the paths begin with `extract` and `follow`.
pub fn rules(
    extract: &[spec::ExtractSpec],
    follow: &[spec::FollowSpec],
) -> Result<(Vec<ExtractRule>, Vec<FollowRule>), Vec<FieldError>> {
    let mut faults = Faults::default();
    let mut labels = Labels::default();
    let follow = follow::rules(follow, &mut labels, &Place::root("follow"), &mut faults);
    let extract = extract::rules(extract, &mut labels.any(), &Place::root("extract"), &mut faults);
    faults.into_result()?;
    Ok((extract, follow))
}

fn metadata_names(metadata: &JobMetadata, faults: &mut Faults) {
    let at = Place::root("metadata");
    let mut check = |field: &str, name: &str| {
        if !is_dns_label(name) {
            let shown = report::excerpt(name);
            faults.add(
                &at.field(field),
                format!(
                    "`{shown}` is not a DNS label; use 1 to 63 of a-z, 0-9 and `-`, with a letter or digit at both ends"
                ),
            );
        }
    };
    check("name", &metadata.name);
    if let Some(namespace) = &metadata.namespace {
        check("namespace", namespace);
    }
}

/// RFC 1123 label, as Kubernetes reads it.
fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

fn url_rules(written: &spec::UrlSpec, at: &Place, faults: &mut Faults) -> UrlRules {
    if written.drop_params.len() > spec::PATTERNS_MAX {
        faults.add(
            &at.field("dropParams"),
            format!("has {} entries; at most {} are allowed", written.drop_params.len(), spec::PATTERNS_MAX),
        );
    }
    for (index, name) in written.drop_params.iter().enumerate() {
        let plain = name.strip_suffix('*').unwrap_or(name);
        if plain.is_empty() || name.len() > PARAM_BYTES_MAX || plain.contains(['*', '&', '=', '#', ' ']) {
            let shown = report::excerpt(name);
            faults.add(
                &at.field("dropParams").index(index),
                format!(
                    "`{shown}` is not the name of a parameter; write it as it stands in URLs, such as sid or utm_*"
                ),
            );
        }
    }
    let mut check = |field: &str, value: u32, least: u32, most: u32| {
        if !(least..=most).contains(&value) {
            faults.add(&at.field(field), format!("is {value}; use {least} to {most}"));
        }
    };
    check("maxLength", written.max_length, 64, 2_083);
    check("maxRepeatedSegments", written.max_repeated_segments, 1, 1_000);
    check("maxQueryVariantsPerPath", written.max_query_variants_per_path, 1, 1_000_000);
    UrlRules {
        drop_params: written.drop_params.clone(),
        sort_query: written.sort_query,
        max_length: written.max_length as usize,
        max_repeated_segments: written.max_repeated_segments,
        max_query_variants_per_path: written.max_query_variants_per_path,
    }
}

fn dedup(written: &spec::DedupSpec, at: &Place, faults: &mut Faults) -> Dedup {
    if let Some(bits) = written.simhash_distance.filter(|bits| !(1..=spec::dedup::SIMHASH_DISTANCE_MAX).contains(bits))
    {
        let most = spec::dedup::SIMHASH_DISTANCE_MAX;
        faults.add(
            &at.field("simhashDistance"),
            format!("is {bits}; use 1 to {most}, or leave it out for equal pages only"),
        );
    }
    let content = match written.content {
        spec::ContentIdentity::None => ContentIdentity::Nothing,
        spec::ContentIdentity::Body => ContentIdentity::Body,
        spec::ContentIdentity::Text => ContentIdentity::Text,
    };
    Dedup { content, simhash_distance: written.simhash_distance }
}
