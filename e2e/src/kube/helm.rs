//! helm as a person runs it, against the test's own control plane.

use super::control_plane::ControlPlane;
use crate::program::{Ended, Process};
use anyhow::ensure;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a command of helm's may take on a busy machine; those that wait for something are given less.
const LIMIT: Duration = Duration::from_secs(600);

/// The program, and where it works.
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: PathBuf,
    /// Each run has files of its own for what it says.
    runs: AtomicU32,
}

impl Helm {
    /// The helm that the variable `HELM` names, that `scripts/chart.sh` got, or that is on the `PATH`; `None`, said aloud, where
    /// there is none.
    ///
    /// # Errors
    /// The working folder is gone.
    #[allow(clippy::print_stderr, reason = "a test that proves nothing must say so")]
    pub fn if_any(plane: &ControlPlane, folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = found() else {
            eprintln!("SKIPPED: there is no helm; see scripts/chart.sh");
            return Ok(None);
        };
        let kubeconfig = std::path::absolute(plane.folder().join("admin.kubeconfig"))?;
        Ok(Some(Self { program, kubeconfig, folder: folder.to_owned(), runs: AtomicU32::new(0) }))
    }

    /// Runs it; what it said, however it ended.
    ///
    /// # Errors
    /// It cannot be started, or does not end.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Ended> {
        let kubeconfig = ("KUBECONFIG".to_owned(), self.kubeconfig.display().to_string());
        let name = format!("helm-{}", self.runs.fetch_add(1, Ordering::Relaxed));
        Process::start_program_with(&self.program, &self.folder, &name, arguments, &[kubeconfig])?.ended(LIMIT).await
    }

    /// Runs a command that must succeed; what it wrote.
    ///
    /// # Errors
    /// As [`Helm::run`], or it ends with another status than 0.
    pub async fn done(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let ended = self.run(arguments).await?;
        ensure!(ended.code() == Some(0), "helm {}: {ended:?}", arguments.join(" "));
        Ok(ended.out)
    }
}

fn found() -> Option<PathBuf> {
    let told = Command::new("../scripts/chart.sh").arg("helm").output().ok().filter(|told| told.status.success())?;
    Some(PathBuf::from(String::from_utf8(told.stdout).ok()?.trim()))
}
