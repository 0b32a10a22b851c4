//! `scrapering context`: rings elsewhere, known by a name.

use super::columns::{Cell, FormatArgs, Tone, columns};
use super::connect::{self, TrustArgs};
use super::contexts::{self, Contexts, LOCAL, RingContext};
use super::failure::{BadInput, Status};
use super::terms;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::{Path, PathBuf};
use url::Url;

/// Arguments of `context`.
#[derive(Debug, Args)]
pub(super) struct ContextCommandArgs {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    /// Give a name to a ring elsewhere: its gateways, its authority and a token. The first one becomes the current one.
    #[command(
        after_help = "Example: scrapering context add prod --gateway https://ring.example:8443 --ca ca.pem --token-file token\n\n\
        The certificate and the token are copied; the files are not needed any more. The ring is asked once: what cannot \
        prove to be of that authority is not added."
    )]
    Add(AddArgs),
    /// List the contexts; the current one has a star.
    #[command(after_help = "Example: scrapering context list")]
    List(FormatArgs),
    /// Make a context the current one; "local" is the ring in the user's data folder.
    #[command(after_help = "Example: scrapering context use prod")]
    Use {
        /// Its name.
        name: String,
    },
    /// Forget a context; the ring does not notice.
    #[command(after_help = "Example: scrapering context delete prod")]
    Delete {
        /// Its name.
        name: String,
    },
}

/// Arguments of `context add`.
#[derive(Debug, Args)]
struct AddArgs {
    /// What to call it.
    #[arg(value_parser = name)]
    name: String,
    /// A gateway, https://HOST:PORT; may be repeated, any one serves.
    #[arg(long, required = true, value_name = "URL", value_parser = terms::gateway_url)]
    gateway: Vec<Url>,
    /// Certificate of the ring's authority, PEM: whom to trust for this ring, and nobody else.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// File with the token to show.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
}

/// Runs the command.
pub(super) async fn context(args: ContextCommandArgs) -> anyhow::Result<Status> {
    let file = contexts::file()?;
    let mut known = Contexts::read(&file)?;
    match args.command {
        ContextCommand::Add(args) => {
            let (name, ring) = (args.name.clone(), args.read()?);
            let client = TrustArgs::default().client_of_context(&ring)?;
            known.add(name.clone(), ring)?;
            if !client.is_up().await? {
                eprintln!("No gateway of it answers just now; it was added all the same.");
            }
            known.write(&file)?;
        }
        ContextCommand::List(format) => list(&known, format)?,
        ContextCommand::Use { name } => {
            known.choose(&name)?;
            known.write(&file)?;
        }
        ContextCommand::Delete { name } => {
            known.delete(&name)?;
            known.write(&file)?;
        }
    }
    Ok(Status::Done)
}

impl AddArgs {
    fn read(self) -> anyhow::Result<RingContext> {
        let token = connect::token(&self.token_file)?;
        Ok(RingContext { gateways: self.gateway, ca: text(&self.ca)?, token })
    }
}

/// What is told of contexts: not their tokens.
fn list(known: &Contexts, format: FormatArgs) -> anyhow::Result<()> {
    let told = |(name, ring, is_current): (&String, &RingContext, bool)| json!({"name": name, "gateways": ring.gateways, "current": is_current});
    let value: Vec<_> = known.iter().map(told).collect();
    format.print(&value, || {
        let star = |is_current| if is_current { Cell::toned("*", Tone::Good) } else { Cell::default() };
        let local = [star(!known.has_current()), LOCAL.into(), "the ring in the user's data folder".into()];
        let rows = known.iter().map(|(name, ring, is_current)| {
            let gateways: Vec<&str> = ring.gateways.iter().map(|url| url.as_str().trim_end_matches('/')).collect();
            [star(is_current), name.into(), gateways.join(" ").into()]
        });
        columns(["", "NAME", "GATEWAYS"], &[local].into_iter().chain(rows).collect::<Vec<_>>())
    })
}

fn name(text: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if (1..=63).contains(&text.len()) && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("a name has 1 to 63 letters, digits, \"-\", \"_\" and \".\"".to_owned())
}

fn text(file: &Path) -> anyhow::Result<String> {
    let read = std::fs::read_to_string(file);
    read.map_err(|error| BadInput::one(format!("{} cannot be read: {error}", file.display())))
}
