//! CPU time of processes, as Linux counts it in `/proc/<pid>/stat`.

use std::time::Duration;

/// Clock ticks a second in `/proc/<pid>/stat`: the kernel's `USER_HZ`, 100 on every architecture that Rust supports with Linux.
const TICKS_PER_SECOND: u64 = 100;

/// Where a process's own user and system time stand, counted behind the command's name: `utime` and `stime`.
const OWN: usize = 11;

/// Where the times of its waited-for children stand: `cutime` and `cstime`.
const CHILDREN: usize = 13;

/// Why the CPU time of a process is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such process (any more), or this system has no `/proc`.
    #[error("cannot read {path}: has the process ended?")]
    Read {
        /// The file that was asked for.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file does not have the fields of proc(5).
    #[error("{path} does not look like proc(5) says")]
    Format {
        /// The file that was read.
        path: String,
    },
}

/// User and system time that a process has used, to a hundredth of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuTime {
    /// Time in the process's own code.
    pub user: Duration,
    /// Time in the kernel on its behalf.
    pub system: Duration,
}

impl CpuTime {
    /// All threads of the process with this id, up to now.
    ///
    /// # Errors
    /// [`Error::Read`] when the process is gone.
    pub fn of_process(pid: u32) -> Result<Self, Error> {
        read(&pid.to_string(), OWN)
    }

    /// All threads of this process, up to now.
    ///
    /// # Errors
    /// [`Error::Read`] where there is no `/proc`.
    pub fn of_self() -> Result<Self, Error> {
        read("self", OWN)
    }

    /// All children of this process that have ended and been waited for, up to now.
    ///
    /// # Errors
    /// [`Error::Read`] where there is no `/proc`.
    pub fn of_ended_children() -> Result<Self, Error> {
        read("self", CHILDREN)
    }

    /// User and system time together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }
}

fn read(process: &str, place: usize) -> Result<CpuTime, Error> {
    let path = format!("/proc/{process}/stat");
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    parse(&text, place).ok_or(Error::Format { path })
}

fn parse(stat: &str, place: usize) -> Option<CpuTime> {
    // The command's name stands in parentheses and may itself hold spaces and parentheses: count behind the last one.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(place).map(|field| field.parse::<u64>().ok());
    Some(CpuTime { user: ticks(times.next()??), system: ticks(times.next()??) })
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_stand_behind_the_commands_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 250 75 10 5 20 0 1 0 12345 1000 50";
        let expected = CpuTime { user: Duration::from_millis(2500), system: Duration::from_millis(750) };
        assert_eq!(parse(stat, OWN), Some(expected));
        assert_eq!(expected.total(), Duration::from_millis(3250));
        let children = CpuTime { user: Duration::from_millis(100), system: Duration::from_millis(50) };
        assert_eq!(parse(stat, CHILDREN), Some(children));
    }

    #[test]
    fn a_text_that_is_not_a_stat_is_refused() {
        assert_eq!(parse("42 (a) S 1 2", OWN), None);
        assert_eq!(parse("", OWN), None);
    }

    #[test]
    fn this_process_has_a_cpu_time_that_never_falls() {
        let before = CpuTime::of_self().unwrap();
        assert!(CpuTime::of_process(std::process::id()).unwrap().total() >= before.total());
    }
}
