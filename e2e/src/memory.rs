//! Memory of processes, as Linux counts it in `/proc/<pid>/status`.

use anyhow::Context;

/// What a process holds in memory, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Now (`VmRSS`).
    pub resident: u64,
    /// At most so far (`VmHWM`).
    pub peak: u64,
}

impl Memory {
    /// Of the process with this id.
    ///
    /// # Errors
    /// It is gone, or this system has no `/proc`.
    pub fn of_process(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/status");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        parse(&text).with_context(|| format!("{path} does not look like proc(5) says"))
    }
}

fn parse(status: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    };
    Some(Memory { resident: field("VmRSS")?, peak: field("VmHWM")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_and_peak_are_read_in_bytes() {
        let status = "Name:\ta\nVmPeak:\t  900 kB\nVmHWM:\t   300 kB\nVmRSS:\t   200 kB\n";
        assert_eq!(parse(status), Some(Memory { resident: 200 * 1024, peak: 300 * 1024 }));
        assert_eq!(parse("Name:\ta\n"), None);
    }

    #[test]
    fn this_process_holds_something() {
        let memory = Memory::of_process(std::process::id()).expect("this process lives");
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
    }
}
