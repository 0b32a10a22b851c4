//! How a command ends: its exit status, and one sentence for whatever went wrong.

use super::client::ClientError;
use std::io;
use std::process::ExitCode;

/// Exit status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It did what was asked; of `run`: the job completed.
    Done,
    /// It did not.
    Failed,
    /// The command line or the job file is wrong; nothing was begun.
    BadInput,
    /// A change may or may not have been made, and reading does not tell.
    Unknown,
    /// Another holds the lock, or the key is in another version.
    Conflict,
    /// As the command that was run.
    OfCommand(u8),
    /// Ctrl-C; what was begun is paused.
    Interrupted,
    /// SIGTERM; what was begun is paused.
    Terminated,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Done => 0,
            Status::Failed => 1,
            Status::BadInput => 2,
            Status::Unknown => 3,
            Status::Conflict => 4,
            Status::OfCommand(code) => code,
            // As shells report a process ended by signal 2 or 15.
            Status::Interrupted => 130,
            Status::Terminated => 143,
        })
    }
}

/// Input that is wrong before anything was begun: one line for each fault.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub(super) struct BadInput(pub(super) Vec<String>);

impl BadInput {
    /// One fault.
    pub(super) fn one(sentence: impl Into<String>) -> anyhow::Error {
        Self(vec![sentence.into()]).into()
    }
}

/// Tells the error on stderr and says how the command ends.
pub(super) fn report(error: &anyhow::Error) -> Status {
    match error.downcast_ref::<BadInput>() {
        Some(BadInput(lines)) => {
            for line in lines {
                eprintln!("{line}");
            }
            Status::BadInput
        }
        None => {
            eprintln!("error: {}", sentence(error));
            let is_unknown = matches!(error.downcast_ref(), Some(ClientError::Unknown { .. }));
            if is_unknown { Status::Unknown } else { Status::Failed }
        }
    }
}

/// The error with its causes in one sentence, and what to do where the system's own words do not say it.
pub(super) fn sentence(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::StorageFull) => {
            format!("{words}; the disk is full: free some space and start again, nothing that was acknowledged is lost")
        }
        Some(io::ErrorKind::AddrInUse) => {
            format!("{words}; stop the other program, or choose other addresses with --gateway and --ring-port")
        }
        _ if is_held(&words) => format!(
            "{words}; another scrapering process uses this folder: stop it first, or give another folder with --data"
        ),
        _ => words,
    }
}

/// Whether RocksDB says that another process holds the folder's lock; it tells so only in words.
fn is_held(words: &str) -> bool {
    words.contains("lock")
        && (words.contains("Resource temporarily unavailable") || words.contains("lock hold by current process"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_told_once_and_in_order() {
        let error = anyhow::anyhow!("permission denied").context("cannot open x: permission denied").context("no ring");
        assert_eq!(sentence(&error), "no ring: cannot open x: permission denied");
    }

    #[test]
    fn a_full_disk_and_a_used_port_are_told_with_what_to_do() {
        let failed = |kind: io::ErrorKind| {
            Err::<(), _>(io::Error::from(kind)).context("ring-0 did not start").expect_err("failed")
        };
        assert!(sentence(&failed(io::ErrorKind::StorageFull)).contains("free some space"));
        assert!(sentence(&failed(io::ErrorKind::AddrInUse)).contains("--gateway"));
        let held = anyhow::anyhow!("IO error: While lock file: /d/store/LOCK: Resource temporarily unavailable");
        assert!(sentence(&held).contains("another scrapering process"));
    }

    #[test]
    fn bad_input_has_a_status_of_its_own() {
        assert_eq!(report(&BadInput::one("job.yaml: spec: is wrong")), Status::BadInput);
        assert_eq!(report(&anyhow::anyhow!("no")), Status::Failed);
        let unknown = ClientError::Unknown { operation: "00".to_owned(), cause: "no answer in time".to_owned() };
        assert_eq!(report(&unknown.into()), Status::Unknown);
    }
}
