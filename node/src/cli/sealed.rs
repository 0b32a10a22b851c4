//! Files that only chosen people can read: the age format (age-encryption.org/v1), written as items come.
//!
//! What comes is sealed before it touches the disk. The file gets its name when it is whole: half of one cannot be
//! gone on with, because its key lives only as long as the command.

use super::failure::BadInput;
use age::secrecy::ExposeSecret;
use age::stream::StreamWriter;
use age::x25519::{Identity, Recipient};
use anyhow::Context;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file in the making. Dropped before it is finished, nothing of it stays.
pub(super) struct SealedFile {
    path: PathBuf,
    part: PathBuf,
    writer: Option<StreamWriter<File>>,
}

impl SealedFile {
    /// Begins a file at `path` that each of `recipients` can open; there must be none yet.
    pub(super) fn create(path: &Path, recipients: &[Recipient]) -> anyhow::Result<Self> {
        if path.exists() {
            let message = format!("{} is there already; choose another --output, or remove it", path.display());
            return Err(BadInput::one(message));
        }
        let part = part_of(path);
        let cannot = |error: io::Error| {
            BadInput::one(format!("{} cannot be written: {error}; choose another --output", part.display()))
        };
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(cannot)?;
        let recipients = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).context("nobody could open the file")?;
        let writer = encryptor.wrap_output(file).with_context(|| not_written(&part))?;
        Ok(Self { path: path.to_owned(), part, writer: Some(writer) })
    }

    /// Appends.
    pub(super) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let writer = self.writer.as_mut().context("the file is finished already")?;
        writer.write_all(bytes).with_context(|| not_written(&self.part))
    }

    /// Ends the file and gives it its name.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let whole = writer.finish().and_then(|file| file.sync_all());
        whole.and_then(|()| fs::rename(&self.part, &self.path)).with_context(|| not_written(&self.path))
    }
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // Half of a file that nobody can open is of no use to anybody.
            let _ = fs::remove_file(&self.part);
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

/// Opens what was sealed for one of `identities` and writes it to `to`.
pub(super) fn open(sealed: impl Read, identities: &[Identity], mut to: impl Write) -> anyhow::Result<()> {
    let decryptor = age::Decryptor::new(sealed).map_err(|error| {
        BadInput::one(format!("this is no file of the age format ({error}); give one that was made with --encrypt-to"))
    })?;
    let identities = identities.iter().map(|identity| identity as &dyn age::Identity);
    let mut opened = decryptor.decrypt(identities).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => {
            BadInput::one("the file was not encrypted to this identity; give the one that its recipient was made of")
        }
        other => anyhow::Error::new(other).context("the file cannot be opened"),
    })?;
    io::copy(&mut opened, &mut to).context("the file is damaged or cut off; what was written is not all of it")?;
    to.flush().context("what was opened could not be written")
}

/// Reads a recipient: `age1…`.
pub(super) fn recipient(text: &str) -> Result<Recipient, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no recipient; make one with: scrapering keygen --output FILE"))
}

/// The identities in a file, one a line; `#` begins a remark.
pub(super) fn identities(file: &Path) -> anyhow::Result<Vec<Identity>> {
    let text = fs::read_to_string(file)
        .map_err(|error| BadInput::one(format!("{} cannot be read: {error}", file.display())))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Result<Vec<Identity>, _> = lines.map(str::parse).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| BadInput::one(format!("{} holds no identity (AGE-SECRET-KEY-1…)", file.display())))
}

/// A new identity: the text of its file, and whom to encrypt to.
pub(super) fn generate() -> (String, Recipient) {
    let identity = Identity::generate();
    let recipient = identity.to_public();
    (format!("# recipient: {recipient}\n{}\n", identity.to_string().expose_secret()), recipient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_comes_back_for_each_recipient_and_for_nobody_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("items.age");
        let keys: Vec<Identity> = (0..3).map(|_| Identity::generate()).collect();
        let recipients: Vec<Recipient> = keys[..2].iter().map(Identity::to_public).collect();
        let mut file = SealedFile::create(&path, &recipients).expect("begun");
        let plain = "{\"a\":1}\n".repeat(40_000);
        for piece in plain.as_bytes().chunks(9_999) {
            file.append(piece).expect("written");
        }
        assert!(!path.exists(), "a file that is not whole has its name already");
        file.finish().expect("whole");
        let sealed = fs::read(&path).expect("file");
        assert!(!sealed.windows(8).any(|window| window == b"{\"a\":1}\n"), "it can be read without a key");
        for key in &keys[..2] {
            let mut opened = Vec::new();
            open(sealed.as_slice(), std::slice::from_ref(key), &mut opened).expect("opened");
            assert_eq!(opened, plain.as_bytes());
        }
        let error = open(sealed.as_slice(), &keys[2..], io::sink()).expect_err("a stranger").to_string();
        assert!(error.contains("not encrypted to this identity"), "{error}");
        let cut = open(&sealed[..sealed.len() - 10], &keys[..1], io::sink()).expect_err("cut off").to_string();
        assert!(cut.contains("damaged or cut off"), "{cut}");
        assert!(open(&b"plain"[..], &keys, io::sink()).expect_err("no age").to_string().contains("--encrypt-to"));
    }

    #[test]
    fn nothing_is_left_of_a_file_that_was_not_finished_and_no_file_is_written_over() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("items.age");
        let recipients = [Identity::generate().to_public()];
        let mut file = SealedFile::create(&path, &recipients).expect("begun");
        file.append(b"x").expect("written");
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
        fs::write(&path, "mine").expect("written");
        assert!(SealedFile::create(&path, &recipients).is_err());
    }

    #[test]
    fn a_new_identity_is_read_back_from_its_file() {
        let folder = tempfile::tempdir().expect("folder");
        let (text, made) = generate();
        let file = folder.path().join("key.txt");
        fs::write(&file, text).expect("written");
        let read = identities(&file).expect("read");
        assert_eq!(read[0].to_public().to_string(), made.to_string());
        assert_eq!(recipient(&made.to_string()).expect("parses").to_string(), made.to_string());
        fs::write(&file, "# nothing\n").expect("written");
        assert!(identities(&file).is_err() && recipient("age1x").is_err());
    }
}
