//! `scrapering up`: a local ring in this process, and how to use it.

use super::connect;
use super::failure::Status;
use super::folder::{self, DataArgs, GuardArgs, ShapeArgs};
use super::signals::Signals;
use super::terms::{print, quoted};
use super::traces::TraceArgs;
use crate::app::LocalRing;
use crate::auth::{Grant, Issuer, Scopes, Tenant};
use crate::identity::layout::RingDir;
use crate::storage::files::{self, Readers};
use anyhow::Context;
use clap::Args;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Life of the token in the folder, and when it is replaced while the ring runs.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
const TOKEN_RENEWAL: Duration = Duration::from_secs(12 * 3600);

/// Arguments of `up`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering up --nodes 5 --gateway 127.0.0.1:8443")]
pub(super) struct UpArgs {
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    data: DataArgs,
    /// Address of the first node's gateway; the others take the ports above it [default: 127.0.0.1:8443].
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<SocketAddr>,
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    pub(super) traces: TraceArgs,
}

/// Runs the command.
pub(super) async fn up(args: UpArgs) -> anyhow::Result<Status> {
    let root = args.data.root()?;
    let dir = folder::open_to_start(&root, &args.shape.shape(args.gateway)).await?;
    args.guard.warn();
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let options = args.guard.options();
    let ring = tokio::select! {
        ring = LocalRing::start(&dir, &options) => ring.context("the ring did not start")?,
        status = signals.next() => return Ok(status),
    };
    // The folder may be given relative to here, and the printed lines are used elsewhere.
    let root = root.canonicalize().unwrap_or(root);
    let issuer = connect::issuer(&dir)?;
    write_token(&root, &issuer)?;
    print(instructions(&root, &dir, args.data.data.is_some()))?;
    let mut renewal = tokio::time::interval(TOKEN_RENEWAL);
    loop {
        tokio::select! {
            _ = signals.next() => break,
            _ = renewal.tick() => write_token(&root, &issuer)?,
        }
    }
    eprintln!("Stopping the ring; what runs goes on at the next start.");
    ring.stop().await;
    Ok(Status::Done)
}

fn write_token(root: &Path, issuer: &Issuer) -> anyhow::Result<()> {
    let subject = "scrapering-up".to_owned();
    let token = issuer.issue(&Grant { subject, tenant: Tenant::default(), scopes: Scopes::all(), ttl: TOKEN_TTL })?;
    Ok(files::write(&root.join("token"), format!("{token}\n").as_bytes(), Readers::Owner)?)
}

fn instructions(root: &Path, dir: &RingDir, is_named: bool) -> String {
    let path = |name: &str| quoted(&root.join(name).display().to_string());
    let gateways: Vec<String> = dir.nodes().iter().map(|node| format!("https://{}", node.gateway_address)).collect();
    let nodes = if gateways.len() == 1 { "node" } else { "nodes" };
    let first = gateways.first().map(String::as_str).unwrap_or_default();
    let data = if is_named { format!(" --data {}", quoted(&root.display().to_string())) } else { String::new() };
    format!(
        "The ring runs: {count} {nodes}, data in {root}\n\
         \x20 gateways  {gateways}\n\
         \x20 console   {first}/ (let your browser trust {ca})\n\
         \x20 token     {token} (every scope, renewed every 12 hours)\n\n\
         Scrape:\n  scrapering run JOB.yaml --output items.jsonl{data}\n\
         Look:\n  curl --cacert {ca} -H \"Authorization: Bearer $(cat {token})\" {first}/v1/jobs\n\
         Stop: Ctrl-C\n",
        count = dir.nodes().len(),
        root = root.display(),
        gateways = gateways.join(" "),
        token = path("token"),
        ca = path("ca.pem"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::layout::Shape;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_instructions_can_be_pasted_and_the_token_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let root = folder.path().join("my ring");
        let dir = RingDir::open_or_init(&root, &Shape { nodes: Some(2), ..Shape::default() }).expect("ring");
        let text = instructions(&root, &dir, true);
        assert!(text.contains("https://127.0.0.1:8443 https://127.0.0.1:8444"), "{text}");
        assert!(text.contains(&format!("--data '{}'", root.display())), "{text}");
        assert!(text.contains(&format!("curl --cacert '{}/ca.pem'", root.display())), "{text}");
        assert!(!instructions(&root, &dir, false).contains("--data"));
        let issuer = connect::issuer(&dir).expect("issuer");
        write_token(&root, &issuer).expect("token");
        let file = root.join("token");
        assert_eq!(std::fs::metadata(&file).expect("file").permissions().mode() & 0o777, 0o600);
        let token = std::fs::read_to_string(&file).expect("token");
        issuer.verifier().verify(token.trim()).expect("a good token");
    }
}
