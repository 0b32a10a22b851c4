//! `scrapering token`: tokens of the ring's built-in issuer.

use super::connect::{self, ConnectArgs};
use super::failure::{BadInput, Status};
use super::folder::DataArgs;
use super::terms;
use crate::auth::{Grant, Scopes, Tenant};
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
    /// Take a token back before its time; every node refuses it after a few seconds.
    Revoke(RevokeArgs),
    /// Sign new tokens with a new key; tokens of the old one stay good.
    Rotate(RotateArgs),
}

/// Arguments of `token revoke`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering token revoke 0198c1d2-7f3e-7abc-9def-0123456789ab")]
struct RevokeArgs {
    /// The token, or its id (its jti claim).
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Arguments of `token rotate`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering token rotate --data ring\n\n\
    jwt.pub then holds the new public key and the old ones. Nodes read it again by themselves; on other machines, \
    replace their copy of it before a token of the new key is used.")]
struct RotateArgs {
    /// Forget the old keys: whoever holds a token of theirs must get a new one.
    #[arg(long)]
    retire_old: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Arguments of `token create`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering token create --scope \"jobs:read results:read\" --ttl 1h --subject dashboard"
)]
struct CreateArgs {
    /// What the token allows: jobs:read jobs:write results:read kv:read kv:write hosts:write metrics:read ring:admin; may be repeated.
    #[arg(long, required = true, value_name = "SCOPE", value_parser = terms::scopes)]
    scope: Vec<Scopes>,
    /// How long it is good for.
    #[arg(long, default_value = "1h", value_name = "SPAN", value_parser = terms::span)]
    ttl: Duration,
    /// Whom it is for; appears in the ring's log.
    #[arg(long, default_value = "user", value_name = "NAME")]
    subject: String,
    /// Whose jobs, keys and files it may touch; on Kubernetes a namespace.
    #[arg(long, default_value_t, value_name = "NAME")]
    tenant: Tenant,
    /// File to write it to, readable by its owner only [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

/// Runs the command.
pub(super) async fn token(args: TokenArgs) -> anyhow::Result<Status> {
    match args.command {
        TokenCommand::Create(args) => create(&args),
        TokenCommand::Revoke(args) => {
            args.connect.client()?.revoke(&token_id(&args.token)?).await?;
            Ok(Status::Done)
        }
        TokenCommand::Rotate(args) => {
            args.data.existing()?.rotate_token_key(args.retire_old)?;
            Ok(Status::Done)
        }
    }
}

/// The id in a token, or the id itself.
fn token_id(text: &str) -> anyhow::Result<String> {
    if !text.contains('.') {
        return Ok(text.to_owned());
    }
    let id = crate::auth::token_id(text);
    id.ok_or_else(|| BadInput::one("this token has no id (jti claim); it can only be refused by rotating its key"))
}

fn create(args: &CreateArgs) -> anyhow::Result<Status> {
    let issuer = connect::issuer(&args.data.existing()?)?;
    let scopes = args.scope.iter().flat_map(Scopes::iter).collect();
    let grant = Grant { subject: args.subject.clone(), tenant: args.tenant.clone(), scopes, ttl: args.ttl };
    let token = issuer.issue(&grant).map_err(|error| BadInput::one(format!("no token was made: {error}")))?;
    match &args.output {
        None => terms::print(format!("{token}\n"))?,
        Some(path) => files::write(path, format!("{token}\n").as_bytes(), Readers::Owner)
            .with_context(|| format!("the token could not be written to {}", path.display()))?,
    }
    Ok(Status::Done)
}
