//! Small files that are whole or absent: written beside, synced, renamed; secrets readable by their owner only.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest file read here, bytes. The largest is a keyring of some thousand keys.
const LONGEST_FILE_BYTES: u64 = 1 << 20;

/// Who may read a file that is written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody on the machine (mode 0644): certificates, public keys.
    Everybody,
    /// The owner alone (mode 0600): keys.
    Owner,
}

/// Why a small file could not be read or written. Nothing changed, unless the sync of the folder itself failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A key that others can read is no secret.
    #[error("{path} can be read by other users of this machine (mode {mode:04o}); run: chmod 600 {path}")]
    TooOpen {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not one of our files.
    #[error("{path} is larger than {LONGEST_FILE_BYTES} bytes, which no such file is; is it the right one?")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Written by another version of this program.
    #[error(
        "{path} has format {found}, and this version of scrapering knows format {known}; use the version that wrote it"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The words in the file are not what they should be.
    #[error("{path} is damaged or is another kind of file; restore it from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the reading stopped.
        #[source]
        source: serde_json::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { action, path: path.to_owned(), source }
}

/// Makes `folder` and its parents, open to the owner only; an existing folder is left as it is.
///
/// # Errors
/// [`FileError::Io`].
pub fn create_folder(folder: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create the folder", folder))?;
    match folder.parent() {
        Some(parent) if parent != Path::new("") => sync_folder(parent),
        _ => Ok(()),
    }
}

/// Makes names that were created, renamed or removed in `folder` survive a power cut.
///
/// # Errors
/// [`FileError::Io`].
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder", folder))
}

/// Removes everything in `folder`: `last` after everything else is durably gone, and never `lost+found`, which belongs to
/// the file system of a volume.
///
/// # Errors
/// [`FileError::Io`]; what was removed stays so.
pub fn empty_folder(folder: &Path, last: &str) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(failed("list the folder", folder))? {
        let entry = entry.map_err(failed("list the folder", folder))?;
        let path = entry.path();
        if entry.file_name() == last || entry.file_name() == "lost+found" {
            continue;
        }
        let is_folder = entry.file_type().map_err(failed("look at", &path))?.is_dir();
        let removed = if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(failed("remove", &path))?;
    }
    sync_folder(folder)?;
    let last = folder.join(last);
    fs::remove_file(&last).map_err(failed("remove", &last))?;
    sync_folder(folder)
}

/// Puts `bytes` under `path`, replacing what was there; after a power cut there is the old file or the new one.
///
/// One writer at a time: callers hold the lock of the folder.
///
/// # Errors
/// [`FileError::Io`].
pub fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), FileError> {
    let beside = beside(path);
    let mode = match readers {
        Readers::Everybody => 0o644,
        Readers::Owner => 0o600,
    };
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &beside)(error)),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(failed("write", &beside))?;
    fs::rename(&beside, path).map_err(failed("replace", path))?;
    sync_folder(path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")))
}

/// As [`write`], for a value as JSON.
///
/// # Errors
/// [`FileError::Io`].
pub fn write_json(path: &Path, value: &impl Serialize, readers: Readers) -> Result<(), FileError> {
    let mut text =
        serde_json::to_vec_pretty(value).expect("our file types have string keys and no failing serializers");
    text.push(b'\n');
    write(path, &text, readers)
}

/// Where [`write`] keeps the file before it is whole.
#[must_use]
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// The bytes of `path`; `None` when there is no such file.
///
/// # Errors
/// [`FileError::Io`], [`FileError::TooLarge`].
pub fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, FileError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed("open", path))?,
    };
    read_open(file, path).map(Some)
}

/// As [`read`], for a JSON object whose member `format` must be `known`.
///
/// # Errors
/// As [`read`], and [`FileError::UnknownFormat`], [`FileError::Damaged`].
pub fn read_json<T: DeserializeOwned>(path: &Path, known: u32) -> Result<Option<T>, FileError> {
    #[derive(Deserialize)]
    struct Header {
        format: u32,
    }
    let Some(text) = read(path)? else { return Ok(None) };
    let damaged = |source| FileError::Damaged { path: path.to_owned(), source };
    // A file of another format may have other members: its format is looked at alone first.
    let Header { format: found } = serde_json::from_slice(&text).map_err(damaged)?;
    if found != known {
        return Err(FileError::UnknownFormat { path: path.to_owned(), found, known });
    }
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

/// The bytes of a key file, which must exist and be closed to others.
///
/// The owner alone may read a file of our own user; a file of another user (root, as kubelet writes Secrets
/// into a volume with `fsGroup`) may be readable by its group too.
///
/// # Errors
/// [`FileError`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(failed("open the key file", path))?;
    let metadata = file.metadata().map_err(failed("look at", path))?;
    let mode = metadata.mode() & 0o7777;
    // A file we may read but do not own reached us through its group.
    let ours = own_user().is_none_or(|user| user == metadata.uid());
    let forbidden = if ours { 0o077 } else { 0o027 };
    if mode & forbidden != 0 {
        return Err(FileError::TooOpen { path: path.to_owned(), mode });
    }
    read_open(file, path)
}

fn read_open(file: File, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.len() as u64 > LONGEST_FILE_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// The user this process runs as; `None` where there is no `/proc`.
fn own_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_is_written_for_its_owner_alone_and_replaced_whole() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("secret");
        write(&path, b"old and longer", Readers::Owner).expect("write");
        write(&path, b"new", Readers::Owner).expect("replace");
        assert_eq!(read_secret(&path).expect("read").as_slice(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert!(!beside(&path).exists());
    }

    #[test]
    fn what_a_crash_left_beside_the_file_is_not_in_the_way() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("secret");
        fs::write(beside(&path), b"half").expect("leftover");
        write(&path, b"whole", Readers::Owner).expect("write");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(read(&path).expect("read").expect("there").as_slice(), b"whole");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("secret");
        write(&path, b"key", Readers::Owner).expect("write");
        for open in [0o640, 0o604, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).expect("chmod");
            let error = read_secret(&path).expect_err("refused").to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_file_without_end_is_not_read_into_memory() {
        assert!(matches!(read(Path::new("/dev/zero")), Err(FileError::TooLarge { .. })));
    }
}
