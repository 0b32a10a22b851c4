//! What a benchmark needs: a child process whose CPU time is known to the tick, the price of an fsync, medians, a table.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::cpu::{self, CpuTime};

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Bytes of a child's error output that are shown when it failed.
const TAIL_BYTES: usize = 2_000;

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the benchmark cannot be written, read or synced.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program cannot be started or waited for.
    #[error("cannot run {program}: has it been built?")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The program ended with an error. What it cost says nothing.
    #[error("{program} ended with {status}:\n{tail}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr.
        tail: String,
    },
    /// The program took longer than it may and was killed.
    #[error("{program} was still running after {limit_s} seconds and was killed:\n{tail}")]
    TooLong {
        /// The program.
        program: String,
        /// How long it was given.
        limit_s: u64,
        /// The end of what it wrote to stderr.
        tail: String,
    },
    /// The CPU time is not known.
    #[error(transparent)]
    Cpu(#[from] cpu::Error),
}

/// What one run of a program cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// User and system time of the program and of every child that it waited for.
    pub cpu: Duration,
    /// Time from its start to its end.
    pub wall: Duration,
}

/// Runs a program to its end, its output going to `<name>.out` and `<name>.err` in `folder`.
///
/// Exact only while nothing else of this process waits for children at the same time.
///
/// # Errors
/// The program cannot be started, fails, or is still running after `limit`; then it is killed.
pub fn run(command: &mut Command, folder: &Path, name: &str, limit: Duration) -> Result<Cost, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let errors = folder.join(format!("{name}.err"));
    command.stdin(Stdio::null()).stdout(create(&folder.join(format!("{name}.out")))?).stderr(create(&errors)?);
    let before = CpuTime::of_ended_children()?;
    let begun = Instant::now();
    let system = |source| Error::Start { program: program.clone(), source };
    let mut child = command.spawn().map_err(system)?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(system)? {
            break status;
        }
        if begun.elapsed() > limit {
            child.kill().and_then(|()| child.wait()).map_err(system)?;
            return Err(Error::TooLong { program, limit_s: limit.as_secs(), tail: tail(&errors) });
        }
        std::thread::sleep(POLL);
    };
    let wall = begun.elapsed();
    if !status.success() {
        return Err(Error::Failed { program, status, tail: tail(&errors) });
    }
    let cpu = CpuTime::of_ended_children()?.total().saturating_sub(before.total());
    Ok(Cost { cpu, wall })
}

/// Makes `folder` anew, empty.
///
/// # Errors
/// [`Error::File`] when something in it cannot be removed, or it cannot be created.
pub fn empty(folder: &Path) -> Result<(), Error> {
    let removed = if folder.exists() { std::fs::remove_dir_all(folder) } else { Ok(()) };
    let made = removed.and_then(|()| std::fs::create_dir_all(folder));
    made.map_err(|source| Error::File { path: folder.to_owned(), source })
}

/// How long an append of 4 KiB and its fsync take on the disk of `folder`: `count` samples, sorted.
///
/// # Errors
/// [`Error::File`] when the disk does not let us.
pub fn fsync_latencies(folder: &Path, count: usize) -> Result<Vec<Duration>, Error> {
    let path = folder.join("fsync-probe");
    let failed = |source| Error::File { path: path.clone(), source };
    let mut file = create(&path)?;
    let block = [0x5a_u8; 4096];
    let mut samples = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        file.write_all(&block).and_then(|()| file.sync_data()).map_err(failed)?;
        samples.push(begun.elapsed());
    }
    std::fs::remove_file(&path).map_err(failed)?;
    samples.sort_unstable();
    Ok(samples)
}

/// The value in the middle of some figures, the lower one of two; zero when there is none.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

/// The sample below which this share of all sorted samples lies; zero when there is none.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * share.clamp(0.0, 1.0)).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

/// Lays rows out in columns; the first column is text, the others are figures.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().zip(&widths).enumerate();
        let padded = cells.map(
            |(place, (cell, &width))| if place == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") },
        );
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

fn create(path: &Path) -> Result<File, Error> {
    File::create(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_cpu_time_of_a_busy_child_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut busy = shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done");
        let cost = run(&mut busy, folder.path(), "busy", LIMIT).unwrap();
        assert!(cost.cpu > Duration::ZERO && cost.wall > Duration::ZERO, "{cost:?}");
        assert_eq!(std::fs::read_to_string(folder.path().join("busy.out")).unwrap(), "done\n");
    }

    #[test]
    fn a_child_that_fails_gives_its_last_words_and_no_figure() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(&mut shell("echo no such ring >&2; exit 3"), folder.path(), "bad", LIMIT).unwrap_err();
        assert!(error.to_string().contains("no such ring"), "{error}");
    }

    #[test]
    fn a_child_that_never_ends_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(&mut shell("exec sleep 600"), folder.path(), "slow", Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = run(&mut Command::new("/nowhere/scrapering"), folder.path(), "none", LIMIT).unwrap_err();
        assert!(error.to_string().contains("/nowhere/scrapering"), "{error}");
    }

    #[test]
    fn fsyncs_are_timed_and_their_file_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let samples = fsync_latencies(folder.path(), 5).unwrap();
        assert_eq!(samples.len(), 5);
        assert!(samples.is_sorted() && samples[0] > Duration::ZERO);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn medians_and_quantiles_take_the_right_place() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0]) - 1.0).abs() < f64::EPSILON);
        assert!(median([]).abs() < f64::EPSILON);
        let sorted: Vec<Duration> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.5), Duration::from_millis(51));
        assert_eq!(quantile(&sorted, 0.99), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn a_table_lines_its_columns_up() {
        let rows = [vec!["bare".to_owned(), "12".to_owned()], vec!["ring of 1".to_owned(), "7".to_owned()]];
        assert_eq!(table(&["tool", "pages"], &rows), "tool       pages\nbare          12\nring of 1      7\n");
    }
}
