//! A job file, a schedule or an output, as a command is given it: read whole, checked before anything is sent.

use super::client::ClientError;
use super::failure::BadInput;
use crate::job;
use scrapering_crds::file::{self, FILE_BYTES_MAX};
use scrapering_crds::job::OutputSpec;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What the ring calls a document that it does not take.
const REFUSED: [&str; 3] = ["invalid-job", "invalid-schedule", "invalid-body"];

/// A job file that passed every check, as it was written.
pub(super) struct Document {
    /// Where it was read; `-` is standard input.
    pub(super) path: PathBuf,
    /// What it says.
    pub(super) text: String,
    /// What the job or the schedule is called.
    pub(super) name: String,
}

impl Document {
    /// Reads the job in `path`, or on standard input if that is `-`.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Self::read_as(path, |text| job::load(text).map(|loaded| loaded.file.metadata.name))
    }

    /// Reads the schedule in `path`, or on standard input if that is `-`.
    pub(super) fn read_schedule(path: &Path) -> anyhow::Result<Self> {
        Self::read_as(path, |text| job::schedule::load(text).map(|loaded| loaded.file.metadata.name))
    }

    /// `load` judges the text and says what it calls itself.
    fn read_as(path: &Path, load: impl Fn(&str) -> Result<String, job::JobError>) -> anyhow::Result<Self> {
        let shown = path.display();
        let bytes = bytes(path).map_err(|error| BadInput::one(format!("{shown} cannot be read: {error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| BadInput::one(format!("{shown} is not a text file in UTF-8; give a job in YAML or JSON")))?;
        let name = match load(&text) {
            Ok(name) => name,
            Err(error) => {
                let lines = error.field_errors().iter().map(|field| format!("{shown}: {field}")).collect();
                return Err(BadInput(lines).into());
            }
        };
        Ok(Self { path: path.to_owned(), text, name })
    }

    /// A ring of another version may refuse what was accepted here.
    pub(super) fn refused(&self, error: ClientError) -> anyhow::Error {
        refused(&self.path, error)
    }
}

/// The same of any document that was sent.
pub(super) fn refused(path: &Path, error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Problem(problem) if REFUSED.contains(&problem.slug()) => {
            let lines =
                problem.errors.iter().map(|field| format!("{}: {}: {}", path.display(), field.path, field.message));
            BadInput(lines.collect()).into()
        }
        other => other.into(),
    }
}

/// Reads the output of an export in `path`, or on standard input if that is `-`.
pub(super) fn read_output(path: &Path) -> anyhow::Result<OutputSpec> {
    let shown = path.display();
    let bytes = bytes(path).map_err(|error| BadInput::one(format!("{shown} cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| BadInput::one(format!("{shown} is not a text file in UTF-8")))?;
    let document = file::document(&text).map_err(|error| BadInput::one(format!("{shown}: {error}")))?;
    let output = serde_path_to_error::deserialize(document);
    output.map_err(|error| BadInput::one(format!("{shown}: {}: {}", error.path(), error.inner())))
}

/// One byte more than a job may have, so that it is noticed.
fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_field_of_a_job_file_is_a_line_with_its_path() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("job.yaml");
        let faults = |text: &str| {
            std::fs::write(&path, text).expect("file");
            let error = Document::read(&path).map(|_| ()).expect_err("bad").downcast::<BadInput>().expect("bad input");
            error.0
        };
        let head = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: books}\n";
        let typo = faults(&format!("{head}spec: {{seedz: []}}\n"));
        assert!(typo.len() == 1 && typo[0].starts_with(&format!("{}: spec", path.display())), "{typo:?}");
        assert!(faults("a: [")[0].contains("job.yaml: line "));
        std::fs::write(&path, b"\xff").expect("file");
        assert!(Document::read(&path).map(|_| ()).expect_err("bad").to_string().contains("UTF-8"));
        let missing = Document::read(&folder.path().join("none.yaml")).map(|_| ()).expect_err("missing").to_string();
        assert!(missing.contains("none.yaml cannot be read"), "{missing}");
    }
}
