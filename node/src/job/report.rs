//! Faults of a job, gathered with the paths of their fields.

use std::fmt;

use serde::Serialize;

/// Most faults told at once; a file with more is broken as a whole.
const FAULTS_MAX: usize = 100;

/// One fault of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path of the field, such as `spec.extract[0].fields[1].selector`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A place in the document.
#[derive(Clone, Debug)]
pub(super) struct Place(String);

impl Place {
    pub(super) fn root(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(super) fn field(&self, name: &str) -> Self {
        // A document that is a part of another one has no name before its fields.
        Self(if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) })
    }

    pub(super) fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FieldError>);

impl Faults {
    pub(super) fn add(&mut self, at: &Place, message: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(FieldError { path: at.0.clone(), message: message.into() });
        }
    }

    pub(super) fn into_result(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

/// All faults on one line.
pub(super) fn sentence(errors: &[FieldError]) -> String {
    let parts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    parts.join("; ")
}

/// The beginning of what the user wrote: an answer must not carry megabytes back.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}
