//! Where the nodes of a chaos run live: each in a network namespace of its own, or all on loopback.
//!
//! A namespace hangs on a bridge of this run by a veth pair; partitions and loss are rules of nft inside of it, so
//! they hit the packets between nodes and leave those to clients and to the shop alone. Needs root, `ip` and `nft`.
//! On loopback there are no such faults, and whoever asks is told why.

use crate::ports::Ports;
use anyhow::{Context, bail, ensure};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

/// Most nodes that a run may ever have, removed ones included.
pub const MOST_NODES: usize = 31;
/// The ports of a node that has an address of its own.
const RING_PORT: u16 = 7443;
const GATEWAY_PORT: u16 = 8443;
/// The first node's place in its subnet; the bridge, where clients and the shop are, is the first host.
const FIRST_HOST: u8 = 10;
/// Subnets are 10.213.N.0/24.
const SUBNETS: std::ops::Range<u8> = 0..200;

/// The network of one ring. Dropped, nothing of it is left.
#[derive(Debug)]
pub enum Network {
    /// Every node on 127.0.0.1, on ports of its own.
    Loopback(Ports),
    /// Every node in a namespace of its own.
    Namespaces(Namespaces),
}

/// A bridge with namespaces on it.
#[derive(Debug)]
pub struct Namespaces {
    subnet: u8,
    attached: Vec<usize>,
}

/// What nft drops in one node's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Nodes whose packets are dropped, in and out.
    pub cut_off: Vec<usize>,
    /// Percent of the packets from other nodes that are dropped.
    pub loss_percent: u32,
}

impl Network {
    /// Loopback.
    ///
    /// # Errors
    /// There are no free ports.
    pub fn loopback() -> anyhow::Result<Self> {
        Ok(Self::Loopback(Ports::take()?))
    }

    /// Namespaces on a new bridge.
    ///
    /// # Errors
    /// This process may not make any, or `ip` or `nft` is missing.
    pub fn namespaces() -> anyhow::Result<Self> {
        output("nft", &["--version"]).context("nft cannot be run: install nftables")?;
        let taken = output("ip", &["-4", "-o", "addr"]).context("ip cannot be run: install iproute2")?;
        let subnet = SUBNETS.into_iter().find(|subnet| !taken.contains(&format!(" 10.213.{subnet}.")));
        let subnet = subnet.context("every subnet from 10.213.0.0/24 up is in use")?;
        let namespaces = Namespaces { subnet, attached: Vec::new() };
        let bridge = namespaces.bridge();
        run("ip", &["link", "add", &bridge, "type", "bridge"]).context("namespaces need root")?;
        let gateway = format!("{}/24", namespaces.host());
        run("ip", &["addr", "add", &gateway, "dev", &bridge])?;
        run("ip", &["link", "set", &bridge, "up"])?;
        Ok(Self::Namespaces(namespaces))
    }

    /// Whether there can be partitions and loss.
    pub fn has_packet_faults(&self) -> bool {
        matches!(self, Self::Namespaces(_))
    }

    /// Where this node speaks with its peers and with clients.
    pub fn addresses(&self, node: usize) -> (SocketAddr, SocketAddr) {
        match self {
            Self::Loopback(ports) => {
                let above = |port: u16| {
                    SocketAddr::from((Ipv4Addr::LOCALHOST, port + u16::try_from(node).expect("at most 31 nodes")))
                };
                (above(ports.ring()), above(ports.gateway()))
            }
            Self::Namespaces(namespaces) => {
                let address = IpAddr::V4(namespaces.address(node));
                (SocketAddr::new(address, RING_PORT), SocketAddr::new(address, GATEWAY_PORT))
            }
        }
    }

    /// Where a shop may listen so that every node reaches it.
    pub fn shop(&self) -> SocketAddr {
        match self {
            Self::Loopback(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            Self::Namespaces(namespaces) => SocketAddr::from((namespaces.host(), 0)),
        }
    }

    /// The block of addresses that the nodes must be allowed to fetch from, to reach the shop.
    pub fn block(&self) -> String {
        match self {
            Self::Loopback(_) => "127.0.0.0/8".to_owned(),
            Self::Namespaces(namespaces) => format!("10.213.{}.0/24", namespaces.subnet),
        }
    }

    /// The options that give the first nodes' addresses to a new ring, as far as there are such options.
    pub fn init_options(&self) -> Vec<String> {
        match self {
            Self::Loopback(ports) => ports.options().to_vec(),
            Self::Namespaces(_) => Vec::new(),
        }
    }

    /// Makes the node's place, if it has none yet, and says what must stand before its command line.
    ///
    /// # Errors
    /// `ip` fails.
    pub fn attach(&mut self, node: usize) -> anyhow::Result<Vec<String>> {
        ensure!(node < MOST_NODES, "a run has at most {MOST_NODES} nodes, removed ones included");
        match self {
            Self::Loopback(_) => Ok(Vec::new()),
            Self::Namespaces(namespaces) => namespaces.attach(node),
        }
    }

    /// Replaces what is dropped in the node's namespace.
    ///
    /// # Errors
    /// There are no namespaces, or nft fails.
    pub fn apply(&self, node: usize, rules: &Rules) -> anyhow::Result<()> {
        match self {
            Self::Loopback(_) => bail!("there are no packet faults on loopback"),
            Self::Namespaces(namespaces) => namespaces.apply(node, rules),
        }
    }

    /// Bytes that the node has received so far from anybody; `None` on loopback, where nobody can tell.
    pub fn received_bytes(&self, node: usize) -> Option<u64> {
        let Self::Namespaces(namespaces) = self else { return None };
        // What the bridge's end of the pair has sent is what the node has received.
        let path = format!("/sys/class/net/{}/statistics/tx_bytes", namespaces.outer(node));
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    }
}

impl Namespaces {
    fn bridge(&self) -> String {
        format!("sring{}", self.subnet)
    }

    fn host(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.subnet, 1)
    }

    fn address(&self, node: usize) -> Ipv4Addr {
        let host = u8::try_from(node).expect("at most 31 nodes") + FIRST_HOST;
        Ipv4Addr::new(10, 213, self.subnet, host)
    }

    fn name(&self, node: usize) -> String {
        format!("{}-{node}", self.bridge())
    }

    fn outer(&self, node: usize) -> String {
        format!("{}v{node}", self.bridge())
    }

    fn attach(&mut self, node: usize) -> anyhow::Result<Vec<String>> {
        let (name, outer) = (self.name(node), self.outer(node));
        if !self.attached.contains(&node) {
            let address = format!("{}/24", self.address(node));
            run("ip", &["netns", "add", &name])?;
            self.attached.push(node);
            run("ip", &["link", "add", &outer, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
            run("ip", &["link", "set", &outer, "master", &self.bridge(), "up"])?;
            run("ip", &["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
            run("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
            run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(["ip", "netns", "exec", &name].map(str::to_owned).to_vec())
    }

    fn apply(&self, node: usize, rules: &Rules) -> anyhow::Result<()> {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.name(node), "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("nft cannot be run")?;
        let mut input = child.stdin.take().context("nft has no input")?;
        input.write_all(self.ruleset(rules).as_bytes())?;
        drop(input);
        ensure!(child.wait()?.success(), "nft refuses the rules for node {node}:\n{}", self.ruleset(rules));
        Ok(())
    }

    fn ruleset(&self, rules: &Rules) -> String {
        let (mut input, mut output) = (String::new(), String::new());
        if !rules.cut_off.is_empty() {
            let others: Vec<String> = rules.cut_off.iter().map(|&node| self.address(node).to_string()).collect();
            let others = others.join(", ");
            input += &format!("ip saddr {{ {others} }} drop; ");
            output += &format!("ip daddr {{ {others} }} drop; ");
        }
        if rules.loss_percent > 0 {
            // The bridge itself is not a node: clients lose nothing.
            let (percent, host, subnet) = (rules.loss_percent, self.host(), self.subnet);
            input +=
                &format!("ip saddr 10.213.{subnet}.0/24 ip saddr != {host} numgen random mod 100 < {percent} drop; ");
        }
        format!(
            "flush ruleset\ntable inet chaos {{\n\
             chain in {{ type filter hook input priority 0; {input}}}\n\
             chain out {{ type filter hook output priority 0; {output}}}\n}}\n"
        )
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // A process that still runs in a namespace keeps it alive without a name; its end of the pair goes here.
        for &node in &self.attached {
            let _ = run("ip", &["link", "del", &self.outer(node)]);
            let _ = run("ip", &["netns", "del", &self.name(node)]);
        }
        let _ = run("ip", &["link", "del", &self.bridge()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    output(program, arguments).map(drop)
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let line = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().with_context(line)?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} ended with {}: {}", line(), output.status, error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_the_nodes_that_are_cut_off_and_spare_the_clients_from_loss() {
        let namespaces = Namespaces { subnet: 7, attached: Vec::new() };
        let rules = Rules { cut_off: vec![0, 3], loss_percent: 5 };
        let text = namespaces.ruleset(&rules);
        assert!(text.contains("ip saddr { 10.213.7.10, 10.213.7.13 } drop;"), "{text}");
        assert!(text.contains("ip daddr { 10.213.7.10, 10.213.7.13 } drop;"), "{text}");
        assert!(text.contains("ip saddr != 10.213.7.1 numgen random mod 100 < 5 drop;"), "{text}");
        assert!(!namespaces.ruleset(&Rules::default()).contains("drop"));
    }

    #[test]
    fn names_of_links_fit_into_the_kernels_fifteen_letters() {
        let namespaces = Namespaces { subnet: 199, attached: Vec::new() };
        assert!(namespaces.outer(MOST_NODES - 1).len() <= 15, "{}", namespaces.outer(MOST_NODES - 1));
    }
}
