//! A job as one document of YAML or JSON, read without Kubernetes: the file of the command line, the body of a request.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::API_VERSION;
use crate::job::ScrapeJobSpec;

/// Largest document, bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// `kind` of a job.
pub const JOB_KIND: &str = "ScrapeJob";

/// A whole job document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScrapeJobFile {
    /// Always `scrapering.io/v1alpha1`.
    pub api_version: String,
    /// Always `ScrapeJob`.
    pub kind: String,
    /// What the job is called.
    pub metadata: JobMetadata,
    /// What the job does.
    pub spec: ScrapeJobSpec,
}

/// The part of a Kubernetes object's metadata that people write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobMetadata {
    /// Name of the job: lower-case letters, digits and `-`, at most 63.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// The namespace (tenant) it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// Labels to find it by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Notes of other tools; kept by Kubernetes, not read by the ring.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Why a text is not a job document. Always the writer's to mend; nothing has been changed.
#[derive(Debug, thiserror::Error)]
pub enum JobFileError {
    /// More than [`FILE_BYTES_MAX`].
    #[error("the document has {bytes} bytes; it may have {FILE_BYTES_MAX}")]
    TooLarge {
        /// Size of the text.
        bytes: usize,
    },
    /// Nothing but blanks and comments.
    #[error("the document is empty; write apiVersion, kind, metadata and spec")]
    Empty,
    /// Not YAML, or YAML that grows beyond bounds.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Counted from 1; 0 if the parser could not tell.
        line: u64,
        /// Counted from 1; 0 if the parser could not tell.
        column: u64,
        /// What the parser found.
        message: String,
    },
    /// `---` between two documents.
    #[error("the text holds several documents, the second from line {line}; give one at a time")]
    MultipleDocuments {
        /// Line on which the second begins.
        line: u64,
    },
    /// A field that is missing, unknown, or of the wrong type.
    #[error("{path}: {message}")]
    Field {
        /// Path of the field, such as `spec.extract[0].fields[2].type`; `.` is the document itself.
        path: String,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl ScrapeJobFile {
    /// Reads one document of YAML or JSON.
    ///
    /// # Errors
    /// See [`JobFileError`]; only shape is judged here, not meaning.
    pub fn parse(text: &str) -> Result<Self, JobFileError> {
        parse(text, JOB_KIND)
    }
}

/// Reads one document of `kind`.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, kind: &str) -> Result<T, JobFileError> {
    let value = document(text)?;
    check_head(&value, kind)?;
    typed(value)
}

/// Reads one document of YAML or JSON as it is written; what it means is not judged.
///
/// # Errors
/// See [`JobFileError`].
pub fn document(text: &str) -> Result<Value, JobFileError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(JobFileError::TooLarge { bytes: text.len() });
    }
    serde_saphyr::from_str_with_options(text, yaml_options()).map_err(yaml_error)
}

/// Gives a document its type; a fault names the field.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, JobFileError> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| JobFileError::Field { path: error.path().to_string(), message: error.inner().to_string() })
}

/// Aliases may be used, but what they unfold to stays in proportion to the largest document allowed.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 400_000,
            max_nodes: 200_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_depth: 32,
            max_documents: 2,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: 2 * FILE_BYTES_MAX,
            max_recorded_anchor_bytes: 2 * FILE_BYTES_MAX,
            max_recorded_anchor_events: 100_000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn yaml_error(error: serde_saphyr::Error) -> JobFileError {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
    match error {
        serde_saphyr::Error::MultipleDocuments { .. } => JobFileError::MultipleDocuments { line },
        serde_saphyr::Error::Eof { .. } => JobFileError::Empty,
        other => JobFileError::Syntax { line, column, message: other.to_string() },
    }
}

/// The head decides what the rest means, so it is named before any other fault.
fn check_head(value: &Value, kind: &str) -> Result<(), JobFileError> {
    let fault = |path: &str, message: String| Err(JobFileError::Field { path: path.to_owned(), message });
    let Some(document) = value.as_object() else {
        if value.is_null() {
            return Err(JobFileError::Empty);
        }
        return fault(".", format!("expected a {kind} with apiVersion, kind, metadata and spec"));
    };
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", kind)] {
        match document.get(field) {
            Some(Value::String(found)) if found == expected => {}
            Some(Value::String(found)) => {
                let found: String = found.chars().take(64).collect();
                return fault(field, format!("is `{found}`; this version reads `{expected}`"));
            }
            Some(_) => return fault(field, format!("must be the text `{expected}`")),
            None => return fault(field, format!("is missing; write `{field}: {expected}`")),
        }
    }
    Ok(())
}
