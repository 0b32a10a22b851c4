//! `scrapering node`: one node as a process of its own: of a ring folder, or of a list of peers as in a pod.

use super::failure::{BadInput, Status};
use super::folder::{self, GuardArgs};
use super::signals::Signals;
use super::terms;
use super::traces::TraceArgs;
use crate::app::config::{Member, parse_peers};
use crate::app::local_door::LocalDoor;
use crate::app::{NodeConfig, NodeOptions, RunningNode};
use crate::auth::{OidcOptions, Scopes};
use crate::identity::layout::{self, Shape};
use crate::identity::tls::Pair;
use crate::storage::RingKey;
use anyhow::Context;
use clap::Args;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// Arguments of `node`.
#[derive(Debug, Args)]
#[command(after_help = "Example: scrapering node --ring-dir ring --name ring-0\n\n\
                  \"scrapering init --nodes 5 --data ring\" makes the folder.\n\n\
                  Without a ring folder, every node is told the same list of peers and its own files:\n  \
                  scrapering node --name ring-0 --peers ring-0=10.0.0.1:7443,ring-1=10.0.0.2:7443,... --data-dir DIR \\\n    \
                  --ring-key-file ring.key --tls-ca-file ca.pem --tls-cert-file tls.pem --tls-key-file tls.key --jwt-key-file jwt.pub")]
pub(super) struct NodeArgs {
    /// Folder of the ring, as made by "scrapering init".
    #[arg(long, value_name = "DIR", required_unless_present = "peers", conflicts_with = "peers")]
    ring_dir: Option<PathBuf>,
    /// Which of the members it is: ring-0, ring-1, ... A name such as main-0 also stands for the one peer whose name begins with "main-0.".
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    pub(super) name: String,
    #[command(flatten)]
    peers: PeersArgs,
    /// Zone the node stands in; copies are spread over zones [default: that of the ring folder].
    #[arg(long, value_name = "ZONE", env = "ZONE")]
    zone: Option<String>,
    /// Its share of the ring: a node of weight 2 keeps twice as much as one of weight 1.
    #[arg(long, value_name = "N", env = "WEIGHT", value_parser = clap::value_parser!(u16).range(1..=64))]
    weight: Option<u16>,
    /// The ring is known to have been formed: with an empty data folder, join it and never form another.
    #[arg(long, env = "RING_FORMED")]
    ring_formed: bool,
    /// A data folder that has left its ring for good is emptied, and joins the ring as a new node.
    #[arg(long, env = "REJOIN", requires = "peers")]
    rejoin: bool,
    /// A Unix socket on which the node's own user can ask it to make way, with "scrapering prestop" [default: none].
    #[arg(long, value_name = "FILE", env = "LOCAL_SOCKET")]
    local_socket: Option<PathBuf>,
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    pub(super) traces: TraceArgs,
}

/// Whom the gateway serves.
#[derive(Debug, Args)]
struct GatewayArgs {
    /// An OpenID Connect issuer whose tokens are accepted too, such as https://accounts.example.
    #[arg(long, value_name = "URL", env = "OIDC_ISSUER", requires = "oidc_audience")]
    oidc_issuer: Option<Url>,
    /// The audience (aud) that the tokens of that issuer must have.
    #[arg(long, value_name = "TEXT", env = "OIDC_AUDIENCE", requires = "oidc_issuer")]
    oidc_audience: Option<String>,
    /// What every token of that issuer may do, besides what its scope or scp claim says: scopes separated by spaces.
    #[arg(long, value_name = "SCOPES", env = "OIDC_SCOPES", requires = "oidc_issuer", value_parser = terms::scopes)]
    oidc_scopes: Option<Scopes>,
    /// Certificates of the authorities of that issuer's server, PEM [default: those of the system].
    #[arg(long, value_name = "FILE", env = "OIDC_CA_FILE", requires = "oidc_issuer")]
    oidc_ca_file: Option<PathBuf>,
    /// Requests a second that each caller may send to this gateway [default: 5000].
    #[arg(long, value_name = "N", env = "REQUESTS_PER_SECOND")]
    requests_per_second: Option<NonZeroU32>,
}

impl GatewayArgs {
    fn oidc(self) -> Option<OidcOptions> {
        let (issuer, audience) = (self.oidc_issuer?, self.oidc_audience?);
        Some(OidcOptions { issuer, audience, scopes: self.oidc_scopes.unwrap_or_default(), ca: self.oidc_ca_file })
    }
}

/// What a node without a ring folder is told.
#[derive(Debug, Args)]
struct PeersArgs {
    /// Every member of the ring at its genesis, this node too: NAME=HOST:PORT or HOST:PORT, separated by commas.
    #[arg(long, value_name = "LIST", env = "PEERS", requires_all = ["data_dir", "ring_key_file", "tls_ca_file", "tls_cert_file", "tls_key_file", "jwt_key_file"])]
    peers: Option<String>,
    /// Nodes of the ring that a node which is not among the genesis members asks to be let in, as in --peers; may name the node itself, with the address where the others reach it.
    #[arg(long, value_name = "LIST", env = "JOIN", requires = "peers")]
    join: Option<String>,
    /// Where the others reach this node, if no list says so: HOST:PORT [default: its name, and the port of --listen].
    #[arg(long, value_name = "ADDRESS", env = "ADVERTISE", requires = "join")]
    advertise: Option<String>,
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
    let NodeArgs { ring_dir, name, peers, zone, weight, ring_formed, rejoin, local_socket, gateway, guard, traces: _ } =
        args;
    let zone = zone.filter(|zone| !zone.is_empty());
    if let Some(zone) = zone.as_ref().filter(|zone| !layout::is_zone(zone)) {
        return Err(BadInput::one(format!("the zone {zone:?} is not {}", layout::ZONE_RULE)));
    }
    let options = NodeOptions {
        zone,
        weight,
        formed: ring_formed,
        rejoin,
        requests_per_second: gateway.requests_per_second,
        oidc: gateway.oidc(),
        ..guard.options()
    };
    let config = match ring_dir {
        Some(folder) => {
            let dir = folder::open(&folder, &Shape::default())?;
            dir.node(&name).map_err(|error| BadInput::one(error.to_string()))?;
            NodeConfig::of_ring_dir(&dir, &name, options)?
        }
        None => of_peers(&name, peers, options)?,
    };
    let (name, folder) = (config.own.name.clone(), config.data.clone());
    let (told, parting) = watch::channel(None);
    let door = local_socket.as_deref().map(LocalDoor::open).transpose()?;
    let _door = door.map(|door| AbortOnDropHandle::new(tokio::spawn(door.serve(parting))));
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let node = tokio::select! {
        node = RunningNode::start(config) => node.with_context(|| format!("the node {name} did not start"))?,
        status = signals.next() => return Ok(status),
    };
    told.send_replace(Some(node.parting().clone()));
    let is_broken = tokio::select! {
        _ = signals.next() => false,
        () = node.parting().outstayed() => false,
        () = node.broken() => true,
    };
    tracing::info!(name, "stopping");
    // Nobody keeps hold of the node while it ends.
    told.send_replace(None);
    node.stop().await;
    anyhow::ensure!(
        !is_broken,
        "the data folder {} is damaged: empty it, and {name} comes back as a new node that fetches its data from the others",
        folder.display()
    );
    Ok(Status::Done)
}

fn of_peers(name: &str, args: PeersArgs, options: NodeOptions) -> anyhow::Result<NodeConfig> {
    let told = |file: Option<PathBuf>| file.context("clap requires every file together with --peers");
    let genesis = parse_peers(&args.peers.unwrap_or_default()).map_err(BadInput::one)?;
    let contacts = args.join.as_deref().map(parse_peers).transpose().map_err(BadInput::one)?;
    let own = own(name, &genesis, contacts.as_deref(), args.advertise, args.listen)?;
    let ring_key = RingKey::from_file(&told(args.ring_key_file)?)?;
    Ok(NodeConfig {
        ring_id: ring_key.ring_id(),
        own,
        zone: options.zone.clone().unwrap_or_default(),
        genesis,
        contacts: contacts.unwrap_or_default(),
        listen: args.listen,
        gateway: args.gateway,
        data: told(args.data_dir)?,
        ring_key,
        tls: Pair { certificate: told(args.tls_cert_file)?, key: told(args.tls_key_file)? },
        ca: told(args.tls_ca_file)?,
        token_public_key: told(args.jwt_key_file)?,
        options,
    })
}

/// Who this node is: in the list of the genesis members, or one that joins.
fn own(
    name: &str,
    genesis: &[Member],
    contacts: Option<&[Member]>,
    advertise: Option<String>,
    listen: SocketAddr,
) -> anyhow::Result<Member> {
    // A pod knows its own name; its peers know it by the name of its headless Service.
    let in_service = format!("{name}.");
    let is_own = |member: &&Member| member.name == name || member.name.starts_with(&in_service);
    let found = genesis.iter().find(is_own).or_else(|| contacts.unwrap_or_default().iter().find(is_own));
    match (found, contacts) {
        (Some(member), _) => Ok(member.clone()),
        (None, Some(_)) => {
            let address = advertise.unwrap_or_else(|| format!("{name}:{}", listen.port()));
            parse_peers(&format!("{name}={address}")).map(|mut one| one.remove(0)).map_err(BadInput::one)
        }
        (None, None) => Err(BadInput::one(format!(
            "{name} is not in the list of peers; the list names every member, this node too; a node that joins later is given --join as well"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_finds_itself_in_the_lists_or_says_where_it_is() {
        let list = |text: &str| parse_peers(text).expect("a good list");
        let genesis = list("main-0.peers:7443,main-1.peers:7443");
        let listen = SocketAddr::from(([0, 0, 0, 0], 7443));
        let own = |name: &str, contacts: Option<&[Member]>, advertise: Option<&str>| {
            own(name, &genesis, contacts, advertise.map(str::to_owned), listen)
        };
        assert_eq!(own("main-1", None, None).expect("a founder").address, "main-1.peers:7443");
        let contacts = list("main-5.peers:7000,main-0.peers:7443");
        assert_eq!(own("main-5", Some(&contacts), None).expect("named").address, "main-5.peers:7000");
        assert_eq!(own("main-6", Some(&contacts), None).expect("joins").address, "main-6:7443");
        assert_eq!(own("main-6", Some(&contacts), Some("10.0.0.6:1")).expect("joins").address, "10.0.0.6:1");
        let error = own("main-6", None, None).expect_err("nobody knows it").to_string();
        assert!(error.contains("main-6 is not in the list of peers") && error.contains("--join"), "{error}");
    }
}
