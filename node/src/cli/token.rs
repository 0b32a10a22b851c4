//! `scrapering token`: tokens of the ring's built-in issuer.

use super::connect;
use super::failure::{BadInput, Status};
use super::folder::DataArgs;
use super::terms;
use crate::auth::{Grant, Scope, ScopeError, Scopes, Tenant};
use crate::storage::files::{self, Readers};
use anyhow::Context;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `token`.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; needs the ring's folder, whose key signs it.
    Create(CreateArgs),
}

/// Arguments of `token create`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering token create --scope \"jobs:read results:read\" --ttl 1h --subject dashboard"
)]
struct CreateArgs {
    /// What the token allows: jobs:read jobs:write results:read kv:read kv:write hosts:write ring:admin; may be repeated.
    #[arg(long, required = true, value_name = "SCOPE", value_parser = scopes)]
    scope: Vec<Scopes>,
    /// How long it is good for.
    #[arg(long, default_value = "1h", value_name = "SPAN", value_parser = terms::span)]
    ttl: Duration,
    /// Whom it is for; appears in the ring's log.
    #[arg(long, default_value = "user", value_name = "NAME")]
    subject: String,
    /// File to write it to, readable by its owner only [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the command.
pub(super) fn token(args: TokenArgs) -> anyhow::Result<Status> {
    let TokenCommand::Create(args) = args.command;
    let issuer = connect::issuer(&args.data.existing()?)?;
    let scopes = args.scope.iter().flat_map(Scopes::iter).collect();
    let grant = Grant { subject: args.subject, tenant: Tenant::default(), scopes, ttl: args.ttl };
    let token = issuer.issue(&grant).map_err(|error| BadInput::one(format!("no token was made: {error}")))?;
    match &args.output {
        None => terms::print(format!("{token}\n"))?,
        Some(path) => files::write(path, format!("{token}\n").as_bytes(), Readers::Owner)
            .with_context(|| format!("the token could not be written to {}", path.display()))?,
    }
    Ok(Status::Done)
}

/// Words separated by spaces or commas.
fn scopes(text: &str) -> Result<Scopes, ScopeError> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::parse::<Scope>).collect()
}
