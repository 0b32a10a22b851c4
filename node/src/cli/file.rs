//! `scrapering file`: files of any length, kept by the ring.

use super::client::Client;
use super::client::files::FilePrecondition;
use super::columns::{Cell, FormatArgs, columns};
use super::connect::ConnectArgs;
use super::failure::{BadInput, Status};
use super::terms::print;
use crate::gateway::FileObject;
use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use scrapering_core::kv::UserKey;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Arguments of `file`.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    #[command(subcommand)]
    command: FileCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum FileCommand {
    /// Store a file, and print its version.
    #[command(after_help = "Example: scrapering file put backup.tar backups/monday.tar")]
    Put {
        /// File on this machine.
        path: PathBuf,
        /// Name in the ring [default: the file's own].
        name: Option<UserKey>,
        /// Its media type.
        #[arg(long = "type", value_name = "TYPE", default_value = "")]
        content_type: String,
        /// Only if there is no such file.
        #[arg(long)]
        if_absent: bool,
        /// Only if the file is in this version.
        #[arg(long, value_name = "N", conflicts_with = "if_absent")]
        version: Option<u64>,
    },
    /// Read a file; what came is checked against the SHA-256 of what was stored.
    #[command(after_help = "Example: scrapering file get backups/monday.tar --output monday.tar")]
    Get {
        /// Name in the ring.
        name: UserKey,
        /// Where to write it [default: standard output].
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List files in the order of their names.
    #[command(after_help = "Example: scrapering file list backups/\n         scrapering file list --output json")]
    List {
        /// What the names begin with.
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Remove a file; one that is not there is no error.
    #[command(after_help = "Example: scrapering file delete backups/monday.tar")]
    Delete {
        /// Name in the ring.
        name: UserKey,
        /// Only if it is in this version.
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
}

/// Runs the command.
pub(super) async fn file(args: FileArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        FileCommand::Put { path, name, content_type, if_absent, version } => {
            let precondition = match (if_absent, version) {
                (true, _) => FilePrecondition::Absent,
                (false, Some(version)) => FilePrecondition::Version(version),
                (false, None) => FilePrecondition::None,
            };
            put(&client, &path, name, &content_type, precondition).await?;
        }
        FileCommand::Get { name, output } => get(&client, &name, output.as_deref()).await?,
        FileCommand::List { prefix, format } => list(&client, &prefix, format).await?,
        FileCommand::Delete { name, version } => client.file_delete(&name, version).await?,
    }
    Ok(Status::Done)
}

async fn put(
    client: &Client,
    path: &Path,
    name: Option<UserKey>,
    content_type: &str,
    precondition: FilePrecondition,
) -> anyhow::Result<()> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| BadInput::one(format!("{} cannot be read: {error}", path.display())))?;
    if !metadata.is_file() {
        return Err(BadInput::one(format!("{} is no regular file", path.display())));
    }
    let own = || path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let name = name.or_else(own).ok_or_else(|| {
        BadInput::one(format!("the name of {} cannot be a name in the ring; give one", path.display()))
    })?;
    let bar = bar(metadata.len());
    let shown = bar.clone();
    let stored = client.file_put(&name, path, content_type, precondition, move |sent| shown.set_position(sent)).await;
    bar.finish_and_clear();
    print(format!("{}\n", stored?.version))?;
    Ok(())
}

async fn get(client: &Client, name: &UserKey, output: Option<&Path>) -> anyhow::Result<()> {
    let bar = bar(0);
    let tell = |came, of| {
        bar.set_length(of);
        bar.set_position(came);
    };
    let Some(output) = output else {
        let stdout = std::io::stdout().as_fd().try_clone_to_owned().context("there is no standard output")?;
        let mut stdout = tokio::fs::File::from_std(stdout.into());
        let got = client.file_get(name, &mut stdout, tell).await;
        bar.finish_and_clear();
        return Ok(got?);
    };
    // Under its own name only when it is whole.
    let mut partial = output.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let failed = || format!("{} cannot be written", output.display());
    let mut file = tokio::fs::File::create(&partial).await.with_context(failed)?;
    let got = client.file_get(name, &mut file, tell).await;
    bar.finish_and_clear();
    match got {
        Ok(()) => {
            file.sync_all().await.with_context(failed)?;
            tokio::fs::rename(&partial, output).await.with_context(failed)?;
            Ok(())
        }
        Err(error) => {
            drop(file);
            let _ = tokio::fs::remove_file(&partial).await;
            Err(error.into())
        }
    }
}

async fn list(client: &Client, prefix: &str, format: FormatArgs) -> anyhow::Result<()> {
    let (mut cursor, mut items) = (String::new(), Vec::new());
    loop {
        let piece = client.file_list(prefix, &cursor).await?;
        items.extend(piece.items);
        match piece.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    format.print(&items, || {
        let row = |file: &FileObject| {
            let (version, bytes) = (Cell::figure(file.version), Cell::figure(file.bytes));
            [version, bytes, file.stored_at.as_str().into(), file.sha256.as_str().into(), file.name.as_str().into()]
        };
        columns(["VERSION", "BYTES", "STORED", "SHA-256", "NAME"], &items.iter().map(row).collect::<Vec<_>>())
    })
}

/// Hidden unless a person watches.
fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
