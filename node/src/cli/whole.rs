//! Files that get their name when they are whole: as they are, or sealed for chosen people before anything touches the disk.
//!
//! Half of such a file is of no use to anybody, and cannot be gone on with: the key of a sealed one lives only as long as
//! the command, and a table's columns are found through its end.

use super::failure::BadInput;
use age::stream::StreamWriter;
use age::x25519::Recipient;
use anyhow::Context;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file in the making. Dropped before it is finished, nothing of it stays.
pub(super) struct WholeFile {
    path: PathBuf,
    part: PathBuf,
    sink: Option<Sink>,
}

enum Sink {
    Plain(BufWriter<File>),
    Sealed(Box<StreamWriter<File>>),
}

impl WholeFile {
    /// Begins a file at `path`, where there must be none yet; with `recipients`, each of them and nobody else can open it.
    pub(super) fn create(path: &Path, recipients: &[Recipient]) -> anyhow::Result<Self> {
        if path.exists() {
            let message = format!("{} is there already; choose another --output, or remove it", path.display());
            return Err(BadInput::one(message));
        }
        let part = part_of(path);
        let cannot = |error: io::Error| {
            BadInput::one(format!("{} cannot be written: {error}; choose another --output", part.display()))
        };
        let mode = if recipients.is_empty() { 0o666 } else { 0o600 };
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part).map_err(cannot)?;
        let sink = match recipients {
            [] => Sink::Plain(BufWriter::new(file)),
            _ => {
                let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
                let encryptor = age::Encryptor::with_recipients(recipients).context("nobody could open the file")?;
                Sink::Sealed(Box::new(encryptor.wrap_output(file).with_context(|| not_written(&part))?))
            }
        };
        Ok(Self { path: path.to_owned(), part, sink: Some(sink) })
    }

    /// Appends.
    pub(super) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.write_all(bytes).with_context(|| not_written(&self.part))
    }

    /// Ends the file and gives it its name.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let file = match self.sink.take() {
            None => return Ok(()),
            Some(Sink::Plain(writer)) => writer.into_inner().map_err(io::IntoInnerError::into_error),
            Some(Sink::Sealed(writer)) => writer.finish(),
        };
        let whole = file.and_then(|file| file.sync_all()).and_then(|()| fs::rename(&self.part, &self.path));
        if whole.is_err() {
            self.remove();
        }
        whole.with_context(|| not_written(&self.path))
    }

    fn remove(&self) {
        // What stays is told by its name, and the next run writes over it.
        let _ = fs::remove_file(&self.part);
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            None => Err(io::Error::other("the file is finished already")),
            Some(Sink::Plain(writer)) => writer.write(bytes),
            Some(Sink::Sealed(writer)) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            None => Ok(()),
            Some(Sink::Plain(writer)) => writer.flush(),
            Some(Sink::Sealed(writer)) => writer.flush(),
        }
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if self.sink.take().is_some() {
            self.remove();
        }
    }
}

fn not_written(path: &Path) -> String {
    format!("{} could not be written", path.display())
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::sealed;
    use super::*;
    use age::x25519::Identity;

    #[test]
    fn what_is_sealed_comes_back_for_each_recipient_and_for_nobody_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("items.age");
        let keys: Vec<Identity> = (0..3).map(|_| Identity::generate()).collect();
        let recipients: Vec<Recipient> = keys[..2].iter().map(Identity::to_public).collect();
        let mut file = WholeFile::create(&path, &recipients).expect("begun");
        let plain = "{\"a\":1}\n".repeat(40_000);
        for piece in plain.as_bytes().chunks(9_999) {
            file.append(piece).expect("written");
        }
        assert!(!path.exists(), "a file that is not whole has its name already");
        file.finish().expect("whole");
        let bytes = fs::read(&path).expect("file");
        assert!(!bytes.windows(8).any(|window| window == b"{\"a\":1}\n"), "it can be read without a key");
        for key in &keys[..2] {
            let mut opened = Vec::new();
            sealed::open(bytes.as_slice(), std::slice::from_ref(key), &mut opened).expect("opened");
            assert_eq!(opened, plain.as_bytes());
        }
        let error = sealed::open(bytes.as_slice(), &keys[2..], io::sink()).expect_err("a stranger").to_string();
        assert!(error.contains("not encrypted to this identity"), "{error}");
        let cut = sealed::open(&bytes[..bytes.len() - 10], &keys[..1], io::sink()).expect_err("cut off").to_string();
        assert!(cut.contains("damaged or cut off"), "{cut}");
    }

    #[test]
    fn nothing_is_left_of_a_file_that_was_not_finished_and_no_file_is_written_over() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("items");
        for recipients in [Vec::new(), vec![Identity::generate().to_public()]] {
            let mut file = WholeFile::create(&path, &recipients).expect("begun");
            file.append(b"x").expect("written");
            drop(file);
            assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
        }
        fs::write(&path, "mine").expect("written");
        assert!(WholeFile::create(&path, &[]).is_err());
        assert_eq!(fs::read(&path).expect("file"), b"mine");
    }

    #[test]
    fn an_open_file_has_its_name_only_when_all_of_it_is_there() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("items.parquet");
        let mut file = WholeFile::create(&path, &[]).expect("begun");
        file.append(b"all").expect("written");
        assert!(!path.exists());
        file.finish().expect("whole");
        assert_eq!(fs::read(&path).expect("file"), b"all");
    }
}
