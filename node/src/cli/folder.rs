//! The folder of a local ring: where it is by default, and opening it for those who start a ring and for those who only use one.

use super::failure::BadInput;
use super::ports;
use crate::app::NodeOptions;
use crate::fetch::{Cidr, FixedName};
use crate::identity::layout::{LayoutError, RingDir, Shape};
use clap::Args;
use scrapering_core::frontier::shard::Policy;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `--data`.
#[derive(Clone, Debug, Args)]
pub(super) struct DataArgs {
    /// Folder of the ring [default: scrapering/ring in the user's data folder].
    #[arg(long, value_name = "DIR", env = "SCRAPERING_DATA", global = true)]
    pub(super) data: Option<PathBuf>,
}

impl DataArgs {
    /// The folder, whether it exists or not.
    pub(super) fn root(&self) -> anyhow::Result<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        match &self.data {
            Some(data) => Ok(data.clone()),
            None => default_root(variable("XDG_DATA_HOME"), variable("HOME")).ok_or_else(|| {
                BadInput::one("neither XDG_DATA_HOME nor HOME is set; give the ring's folder with --data DIR")
            }),
        }
    }

    /// The ring that is there already.
    pub(super) fn existing(&self) -> anyhow::Result<RingDir> {
        let root = self.root()?;
        if !is_ring(&root) {
            anyhow::bail!(
                "there is no ring in {}; start one with \"scrapering up\", or name its folder with --data",
                root.display()
            );
        }
        open(&root, &Shape::default())
    }
}

/// How a ring that is started here looks.
#[derive(Clone, Debug, Args)]
pub(super) struct ShapeArgs {
    /// How many nodes a new ring has [default: 5, the smallest ring that survives two failures].
    #[arg(long, value_name = "N")]
    pub(super) nodes: Option<u16>,
    /// First of the ports on which the nodes speak to each other [default: 7443].
    #[arg(long, value_name = "PORT")]
    pub(super) ring_port: Option<u16>,
}

impl ShapeArgs {
    /// Whether anything was said of the shape.
    pub(super) fn is_given(&self) -> bool {
        self.nodes.is_some() || self.ring_port.is_some()
    }

    /// With the first node's gateway at `gateway`.
    pub(super) fn shape(&self, gateway: Option<SocketAddr>) -> Shape {
        Shape { nodes: self.nodes, gateway, ring_port_base: self.ring_port, zones: Vec::new() }
    }
}

/// What the operator of a ring decides about all visits of its jobs.
#[derive(Clone, Debug, Args)]
pub(super) struct GuardArgs {
    /// Let jobs fetch from this block of private addresses too, such as 127.0.0.0/8; may be repeated.
    #[arg(long, value_name = "CIDR", env = "ALLOW_PRIVATE_CIDR", value_delimiter = ',')]
    pub(super) allow_private_cidr: Vec<Cidr>,
    /// Take a name, or *.NAME for all below it, to be at this address, or at these, instead of looking it up; may be repeated.
    #[arg(long, value_name = "NAME=ADDRESS[,ADDRESS…]")]
    pub(super) resolve: Vec<FixedName>,
    /// Least milliseconds from an answer of a host to the next request to it, whatever a job says.
    #[arg(long, value_name = "MS", env = "MIN_DELAY_MS", default_value_t = 0)]
    min_delay_ms: u64,
    /// Most requests in flight to a host, whatever a job says.
    #[arg(long, value_name = "COUNT", env = "MAX_PER_HOST", value_parser = clap::value_parser!(u32).range(1..))]
    max_per_host: Option<u32>,
    /// Least milliseconds from an answer of an address to the next request to it, whatever a job says.
    #[arg(long, value_name = "MS", env = "MIN_DELAY_PER_IP_MS", default_value_t = 0)]
    min_delay_per_ip_ms: u64,
    /// Most requests in flight to an address, whatever a job says.
    #[arg(long, value_name = "COUNT", env = "MAX_PER_IP", value_parser = clap::value_parser!(u32).range(1..))]
    max_per_ip: Option<u32>,
}

impl GuardArgs {
    /// Says on stderr that the guard is loosened, or that names are not looked up, if so.
    pub(super) fn warn(&self) {
        if !self.allow_private_cidr.is_empty() {
            eprintln!(
                "WARNING: every job of this ring may fetch from {}, addresses that are closed by default.",
                listed(&self.allow_private_cidr)
            );
        }
        if !self.resolve.is_empty() {
            eprintln!(
                "WARNING: names are not looked up but taken to be where --resolve says: {}.",
                listed(&self.resolve)
            );
        }
    }

    /// Says that a ring that already runs is not changed by this command.
    pub(super) fn warn_elsewhere(&self, ring: &str) {
        for (option, given) in
            [("--allow-private-cidr", listed(&self.allow_private_cidr)), ("--resolve", listed(&self.resolve))]
        {
            if !given.is_empty() {
                eprintln!(
                    "WARNING: {option} {given} has no effect: the ring {ring} already runs; give the option where it is started."
                );
            }
        }
    }

    /// A node's options with all of it.
    pub(super) fn options(&self) -> NodeOptions {
        let policy = Policy {
            min_delay: Duration::from_millis(self.min_delay_ms),
            max_per_host: self.max_per_host,
            min_delay_per_ip: Duration::from_millis(self.min_delay_per_ip_ms),
            max_per_ip: self.max_per_ip,
        };
        NodeOptions {
            allow_private_cidrs: self.allow_private_cidr.clone(),
            fixed_names: self.resolve.clone(),
            policy,
            ..NodeOptions::default()
        }
    }
}

fn listed<T: ToString>(entries: &[T]) -> String {
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Opens the folder `root` or makes it, once its ports are known to be free: nothing is written for a ring that could not start.
pub(super) async fn open_to_start(root: &Path, shape: &Shape) -> anyhow::Result<RingDir> {
    if is_ring(root) {
        let ring = open(root, shape)?;
        ports::check_free(ring.nodes()).map_err(|busy| busy.of_existing(root))?;
        return Ok(ring);
    }
    let nodes = shape.nodes().map_err(|error| BadInput::one(error.to_string()))?;
    ports::check_free(&nodes).map_err(|busy| busy.of_new())?;
    open(root, shape)
}

/// Opens the folder `root`, or makes it; asking for another shape than it has is bad input.
pub(super) fn open(root: &Path, shape: &Shape) -> anyhow::Result<RingDir> {
    RingDir::open_or_init(root, shape).map_err(told)
}

/// What was asked for wrongly is bad input.
pub(super) fn told(error: LayoutError) -> anyhow::Error {
    match error {
        LayoutError::Shape(error) => BadInput::one(error.to_string()),
        other => other.into(),
    }
}

/// Whether a ring was made in `root`.
pub(super) fn is_ring(root: &Path) -> bool {
    root.join("ring.json").exists()
}

/// After the XDG Base Directory Specification.
fn default_root(data_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The specification says to ignore relative paths.
    let data_home = data_home.filter(|path| path.is_absolute());
    let base = data_home.or_else(|| home.map(|home| home.join(".local/share")))?;
    Some(base.join("scrapering/ring"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_lives_in_the_users_data_folder_by_default() {
        let root =
            |data: Option<&str>, home: Option<&str>| default_root(data.map(PathBuf::from), home.map(PathBuf::from));
        assert_eq!(root(None, Some("/users/ada")), Some(PathBuf::from("/users/ada/.local/share/scrapering/ring")));
        assert_eq!(root(Some("/data"), Some("/users/ada")), Some(PathBuf::from("/data/scrapering/ring")));
        assert_eq!(root(Some("data"), Some("/users/ada")), root(None, Some("/users/ada")));
        assert_eq!(root(None, None), None);
    }

    #[test]
    fn a_command_that_only_uses_a_ring_makes_none() {
        let folder = tempfile::tempdir().expect("folder");
        let args = DataArgs { data: Some(folder.path().join("none")) };
        let error = args.existing().expect_err("no ring").to_string();
        assert!(error.contains("there is no ring in") && error.contains("scrapering up"), "{error}");
        assert!(!folder.path().join("none").exists());
    }

    #[test]
    fn another_shape_than_the_folder_has_is_bad_input() {
        let folder = tempfile::tempdir().expect("folder");
        open(folder.path(), &Shape { nodes: Some(1), ..Shape::default() }).expect("made");
        let error = open(folder.path(), &Shape { nodes: Some(3), ..Shape::default() }).expect_err("differs");
        let error = error.downcast::<BadInput>().expect("bad input").to_string();
        assert!(error.contains("has a node count of 1, and 3 was asked for"), "{error}");
    }

    #[tokio::test]
    async fn nothing_is_written_when_a_port_of_a_new_ring_is_in_use() {
        let folder = tempfile::tempdir().expect("folder");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
        let gateway = taken.local_addr().expect("address");
        let shape = Shape { nodes: Some(1), gateway: Some(gateway), ..Shape::default() };
        let root = folder.path().join("ring");
        let error = open_to_start(&root, &shape).await.expect_err("in use").to_string();
        assert_eq!(error, format!("{gateway} is in use by another program; choose another with --gateway"));
        assert!(!root.exists());
    }
}
