//! A node's disk: an ext4 in a file, mounted through a loop device, whose power can be cut.
//!
//! The cut is ext4's own shutdown call with "no log flush": from then on nothing reaches the image, neither dirty pages nor
//! the journal's running transaction; mounted again, the file system is what the last commit left. Each cut carries its own
//! proof: a file that was synced must come back, and one that was not must be gone.

use anyhow::{Context, bail, ensure};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Size of a disk; the image is sparse and grows with what is written.
const SIZE: u64 = 1 << 30;

/// `EXT4_IOC_SHUTDOWN` (0x8004587d) with `EXT4_GOING_FLAGS_NOLOGFLUSH` (2) on every mount that is named. The workspace
/// forbids unsafe code, which every ioctl of Rust's is; perl is part of every Debian.
const SHUTDOWN: &str = r#"
    for my $path (@ARGV) {
        open(my $mount, "<", $path) or die "$path: $!\n";
        my $mode = pack("L", 2);
        ioctl($mount, 0x8004587d, $mode) or die "$path: $!\n";
    }"#;

/// How long a file system may stay busy after its last process was killed.
const BUSY_LIMIT: Duration = Duration::from_secs(20);
/// Pause between two attempts to unmount.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Synced when the disk is new: proves that the file system keeps its word. Not before each cut, because ext4 commits
/// everybody's changes together, and a node that forgets an fsync would be saved by this one.
const SYNCED: &str = "power-synced";
/// Written before each cut and not synced: proves that the power was cut.
const UNSYNCED: &str = "power-unsynced";
/// Bytes in each of the two.
const CANARY: [u8; 6000] = [0x5a; 6000];

/// Why there can be no power cuts here; nothing was tested.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unable(String);

/// Whether power can be cut on this machine: tries it on a small disk of its own in `folder`.
///
/// # Errors
/// [`Unable`] says what is missing, and how to get it.
pub fn check_able(folder: &Path) -> Result<(), Unable> {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if output("id", &["-u"]).as_deref() != Some("0") {
        return Err(Unable("mounting disks needs root: run it as root".to_owned()));
    }
    let tools = [
        ("mkfs.ext4", "-V", "e2fsprogs"),
        ("mount", "-V", "mount"),
        ("perl", "-v", "perl-base"),
        ("strace", "-V", "strace"),
    ];
    for (program, version, package) in tools {
        if output(program, &[version]).is_none() {
            return Err(Unable(format!("there is no {program}: install {package}, or run `scripts/setup.sh power`")));
        }
    }
    if !Path::new("/dev/loop-control").exists() {
        return Err(Unable("there are no loop devices (no /dev/loop-control): this may be a container".to_owned()));
    }
    let path = folder.join("trial");
    try_cut(&path).map_err(|error| Unable(format!("a power cut was tried and did not work: {error:#}")))
}

fn try_cut(mount: &Path) -> anyhow::Result<()> {
    let disk = Disk::make(mount)?;
    disk.plant()?;
    cut(&[&disk])?;
    disk.unmount()?;
    disk.mount()?;
    disk.check_cut()
}

/// Cuts the power of all `disks`, one right after the other. Who writes to them must have been stopped.
///
/// # Errors
/// A file system refuses.
pub fn cut(disks: &[&Disk]) -> anyhow::Result<()> {
    let mut command = Command::new("perl");
    command.args(["-e", SHUTDOWN]).args(disks.iter().map(|disk| &disk.mount));
    run(&mut command).map(drop)
}

/// An ext4 of its own. Dropped, it is unmounted, and its loop device goes with it.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes a new disk in the file `MOUNT.img` and mounts it at `mount`, which is made if absent.
    ///
    /// # Errors
    /// It cannot be made or mounted.
    pub fn make(mount: &Path) -> anyhow::Result<Self> {
        let image = mount.with_extension("img");
        fs::create_dir_all(mount).with_context(|| format!("{} cannot be made", mount.display()))?;
        let file = File::create(&image).with_context(|| format!("{} cannot be made", image.display()))?;
        file.set_len(SIZE)?;
        // Nothing may write to the disk later but those whose words are tested.
        let mut command = Command::new("mkfs.ext4");
        command.args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(&image);
        run(&mut command)?;
        let disk = Self { image, mount: mount.to_owned() };
        disk.mount()?;
        let mut synced = File::create(mount.join(SYNCED))?;
        synced.write_all(&CANARY)?;
        synced.sync_all()?;
        File::open(mount)?.sync_all()?;
        Ok(disk)
    }

    /// Mounts it.
    ///
    /// # Errors
    /// As `mount` says.
    pub fn mount(&self) -> anyhow::Result<()> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mount)).map(drop)
    }

    /// Unmounts it as soon as the last process that used it is gone; the loop device frees itself.
    ///
    /// # Errors
    /// It stays busy.
    pub fn unmount(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            match run(Command::new("umount").arg(&self.mount)) {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > BUSY_LIMIT => return Err(error),
                Err(_) => std::thread::sleep(BUSY_PAUSE),
            }
        }
    }

    /// Writes a file that is not synced; call it right before the cut.
    ///
    /// # Errors
    /// From the file system.
    pub fn plant(&self) -> anyhow::Result<()> {
        File::create(self.mount.join(UNSYNCED))?.write_all(&CANARY)?;
        Ok(())
    }

    /// Whether the cut was one: mounted again, the synced file is whole and the other one has no bytes.
    ///
    /// # Errors
    /// The cut was none, or the file system has lost what it had synced: in both cases the run says nothing about the ring.
    pub fn check_cut(&self) -> anyhow::Result<()> {
        let synced = fs::read(self.mount.join(SYNCED));
        ensure!(
            synced.is_ok_and(|bytes| bytes == CANARY),
            "{}: the file system has lost a file that it had synced",
            self.mount.display()
        );
        let kept = fs::read(self.mount.join(UNSYNCED)).unwrap_or_default();
        ensure!(
            kept.is_empty(),
            "{}: the power was not cut, {} bytes that nobody had synced are still there",
            self.mount.display(),
            kept.len()
        );
        let _ = fs::remove_file(self.mount.join(UNSYNCED));
        Ok(())
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if !is_mounted(&self.mount) {
            return;
        }
        // Its processes are being killed at this moment. A lazy unmount lets go of it when the last one is gone.
        if self.unmount().is_err() {
            let _ = run(Command::new("umount").arg("-l").arg(&self.mount));
        }
    }
}

/// Unmounts whatever an earlier run that was killed has left below `folder`.
///
/// # Errors
/// It cannot be unmounted.
pub fn clear(folder: &Path) -> anyhow::Result<()> {
    for mount in mounts_below(&fs::read_to_string("/proc/self/mounts")?, folder) {
        run(Command::new("umount").arg("-l").arg(&mount)).context("an earlier run has left it mounted")?;
    }
    Ok(())
}

fn is_mounted(path: &Path) -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mounts") else { return true };
    mounts_below(&mounts, path).iter().any(|mount| mount == path)
}

/// The mount points at and below `folder`, the last one mounted first.
fn mounts_below(mounts: &str, folder: &Path) -> Vec<PathBuf> {
    // fstab(5): a space in a path is written as \040.
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(|point| point.replace("\\040", " "));
    let mut points: Vec<PathBuf> = points.map(PathBuf::from).filter(|point| point.starts_with(folder)).collect();
    points.reverse();
    points
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?} cannot be started"))?;
    if !output.status.success() {
        bail!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_at_and_below_a_folder_and_not_beside_it() {
        let mounts = "/dev/loop0 /data/a/ring-0 ext4 rw 0 0\n/dev/loop1 /data/ab ext4 rw 0 0\nx /data/a y\nz /data/a/b\\040c w\n";
        let found = mounts_below(mounts, Path::new("/data/a"));
        assert_eq!(found, ["/data/a/b c", "/data/a", "/data/a/ring-0"].map(PathBuf::from));
    }
}
