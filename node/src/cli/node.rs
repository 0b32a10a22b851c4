//! `scrapering node`: one node as a process of its own: of a ring folder, or of a list of peers as in a pod.

use super::failure::{BadInput, Status};
use super::folder::{self, GuardArgs};
use super::signals::Signals;
use crate::app::config::parse_peers;
use crate::app::{NodeConfig, NodeOptions, RunningNode};
use crate::identity::layout::Shape;
use crate::identity::tls::Pair;
use crate::storage::RingKey;
use anyhow::Context;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `node`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering init --nodes 5 --data ring && scrapering node --ring-dir ring --name ring-0\n\n\
                  Without a ring folder, every node is told the same list of peers and its own files:\n  \
                  scrapering node --name ring-0 --peers ring-0=10.0.0.1:7443,ring-1=10.0.0.2:7443,... --data-dir DIR \\\n    \
                  --ring-key-file ring.key --tls-ca-file ca.pem --tls-cert-file tls.pem --tls-key-file tls.key --jwt-key-file jwt.pub"
)]
pub(super) struct NodeArgs {
    /// Folder of the ring, as made by "scrapering init".
    #[arg(long, value_name = "DIR", required_unless_present = "peers", conflicts_with = "peers")]
    ring_dir: Option<PathBuf>,
    /// Which of the members it is: ring-0, ring-1, ... A name such as main-0 also stands for the one peer whose name begins with "main-0.".
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    name: String,
    #[command(flatten)]
    peers: PeersArgs,
    #[command(flatten)]
    guard: GuardArgs,
}

/// What a node without a ring folder is told.
#[derive(Debug, Args)]
struct PeersArgs {
    /// Every member of the ring at its genesis, this node too: NAME=HOST:PORT or HOST:PORT, separated by commas.
    #[arg(long, value_name = "LIST", env = "PEERS", requires_all = ["data_dir", "ring_key_file", "tls_ca_file", "tls_cert_file", "tls_key_file", "jwt_key_file"])]
    peers: Option<String>,
    /// Folder for the node's data.
    #[arg(long, value_name = "DIR", env = "DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen for peers.
    #[arg(long, value_name = "ADDRESS", env = "LISTEN", default_value = "[::]:7443")]
    listen: SocketAddr,
    /// Where the gateway listens.
    #[arg(long, value_name = "ADDRESS", env = "GATEWAY", default_value = "[::]:8443")]
    gateway: SocketAddr,
    /// The key that wraps the data keys, the same for all nodes of the ring: 32 bytes, raw, in hex or in base64.
    #[arg(long, value_name = "FILE", env = "RING_KEY_FILE")]
    ring_key_file: Option<PathBuf>,
    /// Certificate of the ring's authority, PEM.
    #[arg(long, value_name = "FILE", env = "TLS_CA_FILE")]
    tls_ca_file: Option<PathBuf>,
    /// Certificate of this node, PEM; its DNS names hold the node's name.
    #[arg(long, value_name = "FILE", env = "TLS_CERT_FILE")]
    tls_cert_file: Option<PathBuf>,
    /// Key of the certificate, PEM.
    #[arg(long, value_name = "FILE", env = "TLS_KEY_FILE")]
    tls_key_file: Option<PathBuf>,
    /// Public key that checks tokens (Ed25519), PEM.
    #[arg(long, value_name = "FILE", env = "JWT_KEY_FILE")]
    jwt_key_file: Option<PathBuf>,
}

/// Runs the command.
pub(super) async fn node(args: NodeArgs) -> anyhow::Result<Status> {
    args.guard.warn();
    let NodeArgs { ring_dir, name, peers, guard } = args;
    let options = NodeOptions { allow_private_cidrs: guard.allow_private_cidr };
    let config = match ring_dir {
        Some(folder) => {
            let dir = folder::open(&folder, &Shape::default())?;
            dir.node(&name).map_err(|error| BadInput::one(error.to_string()))?;
            NodeConfig::of_ring_dir(&dir, &name, options)?
        }
        None => of_peers(&name, peers, options)?,
    };
    let name = config.name.clone();
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let node = tokio::select! {
        node = RunningNode::start(config) => node.with_context(|| format!("the node {name} did not start"))?,
        status = signals.next() => return Ok(status),
    };
    signals.next().await;
    tracing::info!(name, "stopping");
    node.stop().await;
    Ok(Status::Done)
}

fn of_peers(name: &str, args: PeersArgs, options: NodeOptions) -> anyhow::Result<NodeConfig> {
    let told = |file: Option<PathBuf>| file.context("clap requires every file together with --peers");
    let members = parse_peers(&args.peers.unwrap_or_default()).map_err(BadInput::one)?;
    // A pod knows its own name; its peers know it by the name of its headless Service.
    let in_service = format!("{name}.");
    let member = members.iter().find(|member| member.name == name || member.name.starts_with(&in_service));
    let member = member.ok_or_else(|| {
        BadInput::one(format!("{name} is not in the list of peers; the list names every member, this node too"))
    })?;
    let ring_key = RingKey::from_file(&told(args.ring_key_file)?)?;
    Ok(NodeConfig {
        ring_id: ring_key.ring_id(),
        name: member.name.clone(),
        listen: args.listen,
        gateway: args.gateway,
        data: told(args.data_dir)?,
        started: None,
        ring_key,
        tls: Pair { certificate: told(args.tls_cert_file)?, key: told(args.tls_key_file)? },
        ca: told(args.tls_ca_file)?,
        token_public_key: told(args.jwt_key_file)?,
        options,
        members,
    })
}
