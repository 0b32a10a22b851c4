//! Where services of a compose file run without Docker.
//!
//! As root: each in a mount namespace whose root holds the program, the system's libraries and its volumes and nothing
//! else, in a network namespace with a link to each of its networks, without any capability. Else: as plain processes on
//! loopback, with addresses and paths put in place of those of the file.

use super::{Compose, Service};
use crate::ports::Ports;
use crate::program::{self, Process};
use anyhow::{Context, ensure};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Networks are 10.214.N.0/24 and 10.215.N.0/24.
const FIRST_NET: u8 = 214;
const SUBNETS: std::ops::Range<u8> = 0..200;
/// The first service's place in a network; its bridge is the first host.
const FIRST_HOST: u8 = 10;
/// The ports of a node that has an address of its own.
const RING_PORT: u16 = 7443;
const GATEWAY_PORT: u16 = 8443;
/// Makes a root of its own and becomes the program: ROOT, NAMESPACE, read-only or not, the program, the folder for /etc,
/// the mounts (HOST:PATH:ro|rw), a dash, the arguments.
const CONTAINER: &str = r#"
root=$1 net=$2 mode=$3 program=$4 etc=$5; shift 5
mount -t tmpfs -o mode=755 tmpfs "$root"
for part in usr lib lib64 dev proc; do
    if [ -L "/$part" ]; then ln -s "$(readlink "/$part")" "$root/$part"; continue; fi
    [ -d "/$part" ] || continue
    mkdir "$root/$part"
    mount --rbind "/$part" "$root/$part"
done
mkdir "$root/etc" "$root/tmp"
mount --bind "$etc" "$root/etc"
if [ -d /etc/ssl ]; then mkdir -p "$root/etc/ssl"; mount --rbind /etc/ssl "$root/etc/ssl"; fi
touch "$root/scrapering"
mount --bind "$program" "$root/scrapering"
while [ "$1" != - ]; do
    host=${1%%:*} rest=${1#*:}; path=${rest%%:*}
    mkdir -p "$root$path"
    mount --bind "$host" "$root$path"
    [ "${rest##*:}" = rw ] || mount -o remount,bind,ro "$root$path"
    shift
done
shift
[ "$mode" = rw ] || mount -o remount,ro "$root"
exec ip netns exec "$net" chroot "$root" setpriv --no-new-privs --inh-caps -all --bounding-set -all /scrapering "$@"
"#;

/// Where services run. Dropped, nothing of it is left.
#[derive(Debug)]
pub struct Ground {
    file: Compose,
    folder: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Containers(Containers),
    Loopback(Ports),
}

#[derive(Debug)]
struct Containers {
    subnet: u8,
    bridges: Vec<String>,
    namespaces: Vec<String>,
    outer: Vec<String>,
}

impl Ground {
    /// A place for every service of the file; volumes and outputs are in `folder`.
    ///
    /// # Errors
    /// From the operating system.
    pub fn prepare(file: Compose, folder: &Path) -> anyhow::Result<Self> {
        for volume in file.volumes.keys() {
            std::fs::create_dir_all(folder.join("volumes").join(volume))?;
        }
        let may = Command::new("unshare").args(["--mount", "--net", "true"]).stderr(Stdio::null()).status();
        let kind = if may.is_ok_and(|status| status.success()) {
            Kind::Containers(Containers::prepare(&file)?)
        } else {
            Kind::Loopback(Ports::take()?)
        };
        Ok(Self { file, folder: folder.to_owned(), kind })
    }

    /// Whether services have networks of their own.
    pub fn has_networks(&self) -> bool {
        matches!(self.kind, Kind::Containers(_))
    }

    /// The file.
    pub fn file(&self) -> &Compose {
        &self.file
    }

    /// Where a volume is on this machine.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.folder.join("volumes").join(name)
    }

    /// Where something may listen so that every service on the network `clients` reaches it, and the network that it is in.
    pub fn visitors(&self) -> (SocketAddr, String) {
        match &self.kind {
            Kind::Loopback(_) => (SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "127.0.0.0/8".to_owned()),
            Kind::Containers(containers) => {
                let net = self.net("clients");
                let host = containers.address(net, 1);
                (SocketAddr::from((host, 0)), format!("{}/24", containers.address(net, 0)))
            }
        }
    }

    /// Takes a service's link to a network down, or up again.
    ///
    /// # Errors
    /// There are no networks, or `ip` fails.
    pub fn link(&self, service: &str, network: &str, up: bool) -> anyhow::Result<()> {
        let Kind::Containers(containers) = &self.kind else { return Ok(()) };
        let (name, device) = (containers.namespace(self.place(service)), format!("eth{}", self.net(network)));
        ip(&["-n", &name, "link", "set", &device, if up { "up" } else { "down" }])
    }

    /// Starts a service as the file says, with `arguments` in place of its command unless they are empty, and `more` variables.
    ///
    /// # Errors
    /// There is no such service, or it cannot be started.
    pub fn start(
        &self,
        name: &str,
        arguments: &[String],
        more: &[(String, String)],
        output: &str,
    ) -> anyhow::Result<Process> {
        let service = self.file.services.get(name).with_context(|| format!("there is no service {name}"))?;
        let arguments = if arguments.is_empty() { &service.command } else { arguments };
        let variables = service.environment.iter().map(|(name, value)| (name.clone(), value.clone()));
        let mut variables: Vec<(String, String)> = variables.chain(more.iter().cloned()).collect();
        match &self.kind {
            Kind::Containers(containers) => {
                let words = self.container(containers, name, arguments)?;
                Process::start_program_with(Path::new("unshare"), &self.folder, output, words, &variables)
            }
            Kind::Loopback(ports) => {
                let arguments: Vec<String> = arguments.iter().map(|word| self.mapped(service, word, ports)).collect();
                for (_, value) in &mut variables {
                    *value = self.mapped(service, value, ports);
                }
                let offset = u16::try_from(self.place(name))?;
                for (variable, port) in [("LISTEN", ports.ring()), ("GATEWAY", ports.gateway())] {
                    variables.push((variable.to_owned(), format!("127.0.0.1:{}", port + offset)));
                }
                Process::start_program_with(&program::scrapering()?, &self.folder, output, arguments, &variables)
            }
        }
    }

    /// What `unshare` is told to make a container of a service.
    fn container(&self, containers: &Containers, name: &str, arguments: &[String]) -> anyhow::Result<Vec<String>> {
        let service = &self.file.services[name];
        let root = self.folder.join(format!("root-{name}"));
        let etc = self.folder.join(format!("etc-{name}"));
        std::fs::create_dir_all(&root)?;
        std::fs::create_dir_all(&etc)?;
        std::fs::write(etc.join("hosts"), self.hosts(service, containers))?;
        std::fs::write(etc.join("nsswitch.conf"), "hosts: files dns\n")?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let words = ["--mount", "--propagation", "private", "sh", "-ec", CONTAINER, "sh"].map(str::to_owned);
        let mut words = words.to_vec();
        words.extend([text(&root), containers.namespace(self.place(name))]);
        words.push(if service.read_only { "ro" } else { "rw" }.to_owned());
        words.extend([text(&program::scrapering()?), text(&etc)]);
        for mount in service.mounts() {
            let mode = if mount.read_only { "ro" } else { "rw" };
            words.push(format!("{}:{}:{mode}", text(&self.volume(mount.volume)), mount.path));
        }
        words.push("-".to_owned());
        words.extend(arguments.iter().cloned());
        Ok(words)
    }

    /// What the name server of the service's networks would answer.
    fn hosts(&self, service: &Service, containers: &Containers) -> String {
        let mut lines = "127.0.0.1 localhost\n".to_owned();
        for network in service.networks().into_keys() {
            for (name, other) in &self.file.services {
                if let Some(aliases) = other.networks().get(network) {
                    let host = FIRST_HOST + u8::try_from(self.place(name)).expect("few services");
                    let address = containers.address(self.net(network), host);
                    lines += &format!("{address} {name} {}\n", aliases.join(" "));
                }
            }
        }
        lines
    }

    /// A word of the file with what is true on loopback: where volumes are, and who listens where.
    fn mapped(&self, service: &Service, word: &str, ports: &Ports) -> String {
        for mount in service.mounts() {
            let rest = word.strip_prefix(mount.path).filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(rest) = rest {
                return format!("{}{rest}", self.volume(mount.volume).display());
            }
        }
        let mut word = word.to_owned();
        for (place, (name, other)) in self.file.services.iter().enumerate() {
            let place = u16::try_from(place).expect("few services");
            let names: Vec<&str> =
                other.networks().into_values().flatten().map(String::as_str).chain([&**name]).collect();
            for name in names {
                let ring = format!("127.0.0.1:{}", ports.ring() + place);
                let gateway = format!("127.0.0.1:{}", ports.gateway() + place);
                word = word.replace(&format!("{name}:{RING_PORT}"), &ring);
                word = word.replace(&format!("{name}:{GATEWAY_PORT}"), &gateway);
            }
        }
        word
    }

    fn place(&self, service: &str) -> usize {
        self.file.services.keys().position(|name| name == service).unwrap_or_default()
    }

    fn net(&self, network: &str) -> usize {
        self.file.networks.keys().position(|name| name == network).unwrap_or_default()
    }
}

impl Containers {
    fn prepare(file: &Compose) -> anyhow::Result<Self> {
        ensure!(file.networks.len() <= 2, "there is room for two networks");
        let mut all = Self { subnet: 0, bridges: Vec::new(), namespaces: Vec::new(), outer: Vec::new() };
        // Who makes the first bridge has the number.
        let free = |subnet: &u8| ip(&["link", "add", &bridge(*subnet, 0), "type", "bridge"]).is_ok();
        all.subnet = SUBNETS.into_iter().find(free).context("no bridge can be made with ip")?;
        all.bridges.push(bridge(all.subnet, 0));
        for net in 0..file.networks.len() {
            let bridge = bridge(all.subnet, net);
            if net > 0 {
                ip(&["link", "add", &bridge, "type", "bridge"])?;
                all.bridges.push(bridge.clone());
            }
            ip(&["addr", "add", &format!("{}/24", all.address(net, 1)), "dev", &bridge])?;
            ip(&["link", "set", &bridge, "up"])?;
        }
        let nets: BTreeMap<&str, usize> = file.networks.keys().enumerate().map(|(net, name)| (&**name, net)).collect();
        for (place, service) in file.services.values().enumerate() {
            let name = all.namespace(place);
            ip(&["netns", "add", &name])?;
            all.namespaces.push(name.clone());
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            for network in service.networks().into_keys() {
                all.attach(place, &name, nets[network])?;
            }
        }
        Ok(all)
    }

    fn attach(&mut self, place: usize, name: &str, net: usize) -> anyhow::Result<()> {
        let (outer, inner) = (format!("cmp{}v{place}n{net}", self.subnet), format!("eth{net}"));
        ip(&["link", "add", &outer, "type", "veth", "peer", "name", &inner, "netns", name])?;
        self.outer.push(outer.clone());
        ip(&["link", "set", &outer, "master", &bridge(self.subnet, net), "up"])?;
        let address = format!("{}/24", self.address(net, FIRST_HOST + u8::try_from(place)?));
        ip(&["-n", name, "addr", "add", &address, "dev", &inner])?;
        ip(&["-n", name, "link", "set", &inner, "up"])
    }

    fn address(&self, net: usize, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, FIRST_NET + u8::try_from(net).expect("two networks"), self.subnet, host)
    }

    fn namespace(&self, place: usize) -> String {
        format!("cmp{}-{place}", self.subnet)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        for outer in &self.outer {
            let _ = ip(&["link", "del", outer]);
        }
        for namespace in &self.namespaces {
            let _ = ip(&["netns", "del", namespace]);
        }
        for bridge in &self.bridges {
            let _ = ip(&["link", "del", bridge]);
        }
    }
}

fn bridge(subnet: u8, net: usize) -> String {
    format!("cmp{subnet}b{net}")
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output().context("ip cannot be run")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {} ended with {}: {}", arguments.join(" "), output.status, error.trim());
    Ok(())
}
