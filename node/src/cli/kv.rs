//! `scrapering kv`: the key-value store.

use super::client::Client;
use super::client::kv::{Changed, Content, KvChange};
use super::columns::{Cell, FormatArgs, columns};
use super::connect::ConnectArgs;
use super::failure::{BadInput, Status};
use super::signals::Signals;
use super::terms::print;
use crate::gateway::{KvEvent, KvItem};
use anyhow::Context;
use clap::{Args, Subcommand};
use scrapering_core::kv::{UserKey, Value};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Arguments of `kv`.
#[derive(Debug, Args)]
pub(super) struct KvArgs {
    #[command(subcommand)]
    command: KvCommand,
    #[command(flatten)]
    connect: ConnectArgs,
}

#[derive(Debug, Subcommand)]
enum KvCommand {
    /// Write what a key holds to standard output.
    #[command(after_help = "Example: scrapering kv get settings/limit")]
    Get {
        /// The key.
        key: UserKey,
        /// Show version, type and operation instead of the content.
        #[arg(long)]
        show: bool,
        /// Ask one replica only: works without a majority, and may be old.
        #[arg(long)]
        any: bool,
    },
    /// Set a key, whatever it holds, and print its version.
    #[command(
        after_help = "Example: scrapering kv put settings/limit 10\n         scrapering kv put logo --file logo.png --type image/png"
    )]
    Put {
        /// The key.
        key: UserKey,
        #[command(flatten)]
        content: ContentArgs,
        /// Only if the key holds nothing.
        #[arg(long)]
        if_absent: bool,
    },
    /// Set a key if it is in the version that was read (compare and set), and print its new version.
    #[command(after_help = "Example: scrapering kv cas settings/limit --version 7 11")]
    Cas {
        /// The key.
        key: UserKey,
        /// The version, as "scrapering kv get --show" tells it.
        #[arg(long, value_name = "N")]
        version: u64,
        #[command(flatten)]
        content: ContentArgs,
    },
    /// Remove a key; one that holds nothing is no error.
    #[command(after_help = "Example: scrapering kv delete settings/limit")]
    Delete {
        /// The key.
        key: UserKey,
        /// Only if it is in this version.
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
    /// List keys in order.
    #[command(
        after_help = "Example: scrapering kv list settings/\n         scrapering kv list settings/ --output json"
    )]
    List {
        /// What the keys begin with.
        #[arg(default_value = "")]
        prefix: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show what a key holds and every change from then on, as JSON lines, until Ctrl-C.
    #[command(
        after_help = "Example: scrapering kv watch settings/limit\n         scrapering kv watch --prefix settings/"
    )]
    Watch {
        /// The key.
        #[arg(required_unless_present = "prefix")]
        key: Option<UserKey>,
        /// Every key that begins so.
        #[arg(long, conflicts_with = "key")]
        prefix: Option<String>,
    },
}

/// What is to be stored.
#[derive(Debug, Args)]
struct ContentArgs {
    /// The content; "-" reads it from standard input.
    #[arg(required_unless_present = "file")]
    content: Option<String>,
    /// File with the content, at most 1 MiB.
    #[arg(long, short, value_name = "FILE", conflicts_with = "content")]
    file: Option<PathBuf>,
    /// Its media type.
    #[arg(long = "type", value_name = "TYPE", default_value = "")]
    content_type: String,
}

impl ContentArgs {
    fn read(self) -> anyhow::Result<Content> {
        let bytes = match (&self.file, self.content.as_deref()) {
            (Some(file), _) => of_file(file)?,
            (None, Some("-")) => bounded(std::io::stdin().lock()).context("standard input cannot be read")?,
            (None, content) => content.unwrap_or_default().as_bytes().to_vec(),
        };
        if bytes.len() > Value::MAX_BYTES {
            return Err(BadInput::one(format!(
                "a value may have {} bytes; keep more in a file store",
                Value::MAX_BYTES
            )));
        }
        Ok(Content { content_type: self.content_type, bytes })
    }
}

fn of_file(file: &Path) -> anyhow::Result<Vec<u8>> {
    let read = std::fs::File::open(file).and_then(bounded);
    read.map_err(|error| BadInput::one(format!("{} cannot be read: {error}", file.display())))
}

/// One byte more than a value may have, so that it is noticed.
fn bounded(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(Value::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Runs the command.
pub(super) async fn kv(args: KvArgs) -> anyhow::Result<Status> {
    let client = args.connect.client()?;
    match args.command {
        KvCommand::Get { key, show, any } => get(&client, &key, show, any).await,
        KvCommand::Put { key, content, if_absent: false } => {
            change(&client, &key, KvChange::Put(content.read()?)).await
        }
        KvCommand::Put { key, content, if_absent: true } => {
            change(&client, &key, KvChange::Create(content.read()?)).await
        }
        KvCommand::Cas { key, version, content } => {
            change(&client, &key, KvChange::CompareAndSet(version, content.read()?)).await
        }
        KvCommand::Delete { key, version } => change(&client, &key, KvChange::Delete(version)).await,
        KvCommand::List { prefix, format } => list(&client, &prefix, format).await,
        KvCommand::Watch { key, prefix } => watch(&client, key.as_ref(), prefix.as_deref()).await,
    }
}

async fn get(client: &Client, key: &UserKey, show: bool, any: bool) -> anyhow::Result<Status> {
    let Some(got) = client.kv_get(key, any).await? else { anyhow::bail!("the key {key} holds nothing") };
    if show {
        let (bytes, kind) = (got.content.len(), got.content_type);
        print(format!("version {}\ntype {kind}\nbytes {bytes}\noperation {}\n", got.version, got.operation))?;
    } else {
        print(got.content)?;
    }
    Ok(Status::Done)
}

async fn change(client: &Client, key: &UserKey, change: KvChange) -> anyhow::Result<Status> {
    match client.kv_change(key, &change).await? {
        Changed::Done(version) => {
            print(version.map(|version| format!("{version}\n")).unwrap_or_default())?;
            Ok(Status::Done)
        }
        Changed::Conflict(version) => {
            match version {
                Some(version) => eprintln!("nothing was changed: the key {key} is in version {version}"),
                None => eprintln!("nothing was changed: the key {key} holds nothing"),
            }
            Ok(Status::Conflict)
        }
    }
}

async fn list(client: &Client, prefix: &str, format: FormatArgs) -> anyhow::Result<Status> {
    let (mut cursor, mut items) = (String::new(), Vec::new());
    loop {
        let piece = client.kv_list(prefix, &cursor).await?;
        items.extend(piece.items);
        match piece.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    format.print(&items, || {
        let row = |item: &KvItem| {
            let (version, bytes) = (Cell::figure(item.version), Cell::figure(item.bytes));
            [version, bytes, item.content_type.as_str().into(), item.key.as_str().into()]
        };
        columns(["VERSION", "BYTES", "TYPE", "KEY"], &items.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(Status::Done)
}

async fn watch(client: &Client, key: Option<&UserKey>, prefix: Option<&str>) -> anyhow::Result<Status> {
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let mut events = match key {
        Some(key) => client.watch_key(key),
        None => client.watch_prefix(prefix.unwrap_or_default()),
    };
    let mut known = Known::default();
    loop {
        let told = tokio::select! {
            biased;
            status = signals.next() => return Ok(status),
            told = events.next() => told?,
        };
        print(known.lines(&told.name, told.data))?;
    }
}

/// What the watcher has shown, so that what is told again after an interruption is not shown again.
#[derive(Debug, Default)]
struct Known {
    operations: BTreeMap<String, String>,
    /// Keys that were not named yet since the watch began again.
    unnamed: Option<BTreeMap<String, String>>,
}

impl Known {
    /// What there is to show of an event, as JSON lines.
    fn lines(&mut self, name: &str, data: KvEvent) -> String {
        match (name, data) {
            ("put", KvEvent::Put(item)) => {
                let unnamed = self.unnamed.as_mut().and_then(|unnamed| unnamed.remove(&item.key));
                let shown = self.operations.insert(item.key.clone(), item.operation_id.clone()).or(unnamed);
                if shown.as_ref() == Some(&item.operation_id) {
                    return String::new();
                }
                json!({"event": "put", "key": item.key, "version": item.version, "bytes": item.bytes, "contentType": item.content_type})
                    .to_string()
                    + "\n"
            }
            ("delete", KvEvent::Delete { key, version }) => {
                let known = self.operations.remove(&key).is_some();
                if known {
                    json!({"event": "delete", "key": key, "version": version}).to_string() + "\n"
                } else {
                    String::new()
                }
            }
            ("reset", _) => {
                self.unnamed = Some(std::mem::take(&mut self.operations));
                String::new()
            }
            ("synced", _) => {
                let gone = self.unnamed.take().unwrap_or_default().into_keys();
                gone.map(|key| json!({"event": "delete", "key": key}).to_string() + "\n").collect()
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, version: u64) -> KvEvent {
        let operation_id = format!("{key}{version}");
        KvEvent::Put(KvItem { key: key.to_owned(), version, content_type: String::new(), bytes: 1, operation_id })
    }

    #[test]
    fn what_is_told_again_is_not_shown_again_and_what_is_gone_is_shown_as_deleted() {
        let mut known = Known::default();
        let nothing = || KvEvent::Nothing {};
        assert!(known.lines("put", put("a", 1)).contains("\"put\""));
        known.lines("put", put("b", 1));
        assert_eq!(known.lines("synced", nothing()), "");
        assert_eq!(known.lines("reset", nothing()), "");
        assert_eq!(known.lines("put", put("b", 1)), "");
        assert!(known.lines("put", put("c", 1)).contains("\"c\""));
        let gone = known.lines("synced", nothing());
        assert!(gone.contains("\"delete\"") && gone.contains("\"a\"") && gone.lines().count() == 1, "{gone}");
        let deleted = KvEvent::Delete { key: "b".to_owned(), version: Some(2) };
        assert!(known.lines("delete", deleted.clone()).contains("\"version\":2"));
        assert_eq!(known.lines("delete", deleted), "");
    }
}
