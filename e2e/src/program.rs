//! The program `scrapering` as a user has it: started as a process, signalled, waited for, its words read.
//!
//! Nothing of it outlives the test: a process that is dropped is killed, and its output stands in files of the test's folder.

use anyhow::{Context, bail, ensure};
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// Bytes of a process's own words that are shown when it did not do as it should.
const TAIL_BYTES: usize = 3_000;

/// Where `scrapering` was built: beside the test's own executable.
///
/// # Errors
/// It was not built.
pub fn scrapering() -> anyhow::Result<PathBuf> {
    built("scrapering")
}

/// Where a program of this workspace was built.
///
/// # Errors
/// It was not built.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this test does not know where it stands")?;
    // Test executables stand in `deps`, one below the programs.
    let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    let program = folder.context("this test stands in no folder")?.join(name);
    if !program.is_file() {
        bail!("there is no {}: build it first, with `make build`", program.display());
    }
    Ok(program)
}

/// A running `scrapering`; dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    out: PathBuf,
    err: PathBuf,
}

/// How a process ended and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// The exit status as a number; `None` when a signal ended the process.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }
}

impl Process {
    /// Starts `scrapering` with `arguments`; its output goes to `NAME.out` and `NAME.err` in `folder`, after what stands there already.
    ///
    /// # Errors
    /// It was not built, or cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        folder: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        Self::start_behind(folder, name, &[], arguments)
    }

    /// As [`Process::start`], by way of a command that becomes the program, such as `ip netns exec NAME`.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn start_behind<A: AsRef<OsStr>>(
        folder: &Path,
        name: &str,
        before: &[String],
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        let program = scrapering()?;
        let command = match before.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        Self::spawn(command, folder, name, arguments, &[])
    }

    /// As [`Process::start`], of another program.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_program<A: AsRef<OsStr>>(
        program: &Path,
        folder: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        Self::spawn(Command::new(program), folder, name, arguments, &[])
    }

    /// As [`Process::start_program`], with these variables.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_program_with<A: AsRef<OsStr>>(
        program: &Path,
        folder: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        variables: &[(String, String)],
    ) -> anyhow::Result<Self> {
        Self::spawn(Command::new(program), folder, name, arguments, variables)
    }

    fn spawn<A: AsRef<OsStr>>(
        mut command: Command,
        folder: &Path,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        variables: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let (out, err) = (output(folder, name, "out"), output(folder, name, "err"));
        // A variable of the user's must not lead a command to another ring than the test's.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.args(arguments).current_dir(folder).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(append(&out)?).stderr(append(&err)?);
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { child, name: name.to_owned(), out, err })
    }

    /// Its process id; `None` once its end is known.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends a signal, such as `INT` or `TERM`.
    ///
    /// # Errors
    /// The process has ended already.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self.child.id().with_context(|| format!("{} has ended already:\n{}", self.name, self.tail()))?;
        // The shell's own `kill`: there need be no program of that name.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -s {signal} {pid}")).status().await?;
        if !sent.success() {
            bail!("{} could not be sent to {} ({pid})", signal, self.name);
        }
        Ok(())
    }

    /// Sends SIGKILL and does not wait for the end.
    ///
    /// # Errors
    /// The process has ended already.
    pub fn start_kill(&mut self) -> anyhow::Result<()> {
        self.child.start_kill().with_context(|| format!("{} could not be killed:\n{}", self.name, self.tail()))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The process is still running after `limit`; it is killed.
    pub async fn ended(&mut self, limit: Duration) -> anyhow::Result<Ended> {
        let Ok(status) = tokio::time::timeout(limit, self.child.wait()).await else {
            self.child.kill().await?;
            bail!("{} was still running after {limit:?} and was killed:\n{}", self.name, self.tail());
        };
        let words = |path: &Path| std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Ended { status: status?, out: words(&self.out)?, err: words(&self.err)? })
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// From the operating system.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// The end of what it has said so far, on both outputs.
    pub fn tail(&self) -> String {
        let end = |path: &Path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]).into_owned()
        };
        format!("{}{}", end(&self.out), end(&self.err))
    }
}

/// Runs a command to its end; what stood in its output files before is gone.
///
/// # Errors
/// It cannot be started, or is still running after `limit`.
pub async fn run<A: AsRef<OsStr>>(
    folder: &Path,
    name: &str,
    limit: Duration,
    arguments: impl IntoIterator<Item = A>,
) -> anyhow::Result<Ended> {
    for output in [output(folder, name, "out"), output(folder, name, "err")] {
        File::create(&output).with_context(|| format!("{} cannot be written", output.display()))?;
    }
    Process::start(folder, name, arguments)?.ended(limit).await
}

/// What a command that must succeed has written.
///
/// # Errors
/// As [`run`], or it ends with another status than 0.
pub async fn done(folder: &Path, limit: Duration, arguments: &[&str]) -> anyhow::Result<String> {
    let ended = run(folder, "command", limit, arguments).await?;
    ensure!(ended.code() == Some(0), "{arguments:?}: {ended:?}");
    Ok(ended.out)
}

fn output(folder: &Path, name: &str, stream: &str) -> PathBuf {
    folder.join(format!("{name}.{stream}"))
}

fn append(path: &Path) -> anyhow::Result<File> {
    let file = File::options().create(true).append(true).open(path);
    file.with_context(|| format!("{} cannot be written", path.display()))
}
