//! `scrapering keygen` and `scrapering decrypt`: the two ends of `items --encrypt-to`.

use super::failure::{BadInput, Status};
use super::sealed;
use super::terms::print;
use crate::storage::files::{self, Readers};
use anyhow::Context;
use clap::Args;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::PathBuf;

/// Arguments of `keygen`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering keygen --output key.txt\n\n\
    The file is an age identity; keep it where the items are read, not where the ring runs.")]
pub(super) struct KeygenArgs {
    /// File for the identity, readable by its owner only.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Arguments of `decrypt`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering decrypt items.jsonl.age --identity key.txt --output items.jsonl")]
pub(super) struct DecryptArgs {
    /// The encrypted file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// File with the identity, as "scrapering keygen" or "age-keygen" wrote it.
    #[arg(long, short, value_name = "FILE")]
    identity: PathBuf,
    /// File for what is inside [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs `keygen`: prints the recipient.
pub(super) fn keygen(args: &KeygenArgs) -> anyhow::Result<Status> {
    if args.output.exists() {
        return Err(BadInput::one(format!(
            "{} is there already; nothing is written over a key",
            args.output.display()
        )));
    }
    let (identity, recipient) = sealed::generate();
    files::write(&args.output, identity.as_bytes(), Readers::Owner)
        .with_context(|| format!("the identity could not be written to {}", args.output.display()))?;
    print(format!("{recipient}\n"))?;
    Ok(Status::Done)
}

/// Runs `decrypt`.
pub(super) fn decrypt(args: &DecryptArgs) -> anyhow::Result<Status> {
    let identities = sealed::identities(&args.identity)?;
    let file = File::open(&args.file)
        .map_err(|error| BadInput::one(format!("{} cannot be read: {error}", args.file.display())))?;
    let Some(output) = args.output.as_deref().filter(|output| *output != std::path::Path::new("-")) else {
        sealed::open(BufReader::new(file), &identities, std::io::stdout().lock())?;
        return Ok(Status::Done);
    };
    let part = files::beside(output);
    let to = File::create(&part).map_err(|error| {
        BadInput::one(format!("{} cannot be written: {error}; choose another --output", part.display()))
    })?;
    // Only what was opened to its end, and so is known to be whole, gets the name.
    let opened = sealed::open(BufReader::new(file), &identities, &to)
        .and_then(|()| fs::rename(&part, output).with_context(|| format!("{} cannot be written", output.display())));
    if let Err(error) = opened {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    Ok(Status::Done)
}
