//! `scrapering lock run`: a command that runs only while its lock is held.

use super::{TakeArgs, acquire, refused};
use crate::cli::client::{Client, ClientError};
use crate::cli::failure::Status;
use crate::cli::signals::Signals;
use crate::gateway::LockObject;
use anyhow::Context;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};

/// How long a command may take to end after SIGTERM.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// The holder trusts its lock for this part of the time to live: the rest is for clocks that run at other rates.
const TRUSTED: f64 = 0.8;

/// Takes the lock, runs the command, renews meanwhile, and gives the lock back.
pub(super) async fn run(client: &Client, take: &TakeArgs, command: &[OsString]) -> anyhow::Result<Status> {
    let (lock, since) = match acquire(client, take).await? {
        Ok(taken) => taken,
        Err(held) => return Ok(refused(&held)),
    };
    let [program, arguments @ ..] = command else { anyhow::bail!("there is no command to run") };
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("SCRAPERING_LOCK_TOKEN", lock.token.to_string())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.to_string_lossy()))?;
    let mut holder = Holder { client, take, lock, since };
    let ended = tokio::select! {
        ended = child.wait() => Ok(ended?),
        lost = holder.hold() => Err(lost),
        status = signals.next() => {
            end(&mut child).await?;
            holder.release().await;
            return Ok(status);
        }
    };
    match ended {
        Ok(ended) => {
            holder.release().await;
            Ok(status_of(ended))
        }
        Err(lost) => {
            end(&mut child).await?;
            Err(anyhow::Error::new(lost).context("the lock was lost and the command was stopped"))
        }
    }
}

struct Holder<'run> {
    client: &'run Client,
    take: &'run TakeArgs,
    lock: LockObject,
    /// Not later than the lock's last change.
    since: Instant,
}

impl Holder<'_> {
    /// Renews the lock again and again; returns why it is lost.
    async fn hold(&mut self) -> ClientError {
        loop {
            tokio::time::sleep((self.take.ttl / 3).saturating_sub(self.since.elapsed())).await;
            let asked = Instant::now();
            let left = self.take.ttl.mul_f64(TRUSTED).saturating_sub(self.since.elapsed());
            let renewal = self.client.renew(&self.take.name, self.lock.token);
            match tokio::time::timeout(left, renewal).await {
                Ok(Ok(lock)) => (self.lock, self.since) = (lock, asked),
                Ok(Err(error)) if !error.may_pass() => return error,
                Ok(Err(error)) if self.is_over() => return error,
                Ok(Err(_)) => {}
                Err(_) => {
                    let cause = "the lock could not be renewed in time".to_owned();
                    return ClientError::Unknown { operation: self.lock.token.to_string(), cause };
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= self.take.ttl.mul_f64(TRUSTED)
    }

    async fn release(&self) {
        if let Err(error) = self.client.release(&self.take.name, self.lock.token).await {
            eprintln!("the lock was not given back and ends by itself after {} s: {error}", self.take.ttl.as_secs());
        }
    }
}

/// Stops the command: SIGTERM, and SIGKILL if that does not help.
async fn end(child: &mut Child) -> anyhow::Result<()> {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself meanwhile.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(END_TIMEOUT, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

/// As shells report it: the command's own status, or 128 and the signal that ended it.
fn status_of(ended: ExitStatus) -> Status {
    let code = ended.code().or_else(|| ended.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Status::OfCommand(u8::try_from(code).unwrap_or(1))
}
