//! `compose.yaml` as Docker reads it: what each service runs, with which variables, volumes and networks.
//!
//! `ground` starts the services with exactly these words, in places that are made like containers.

pub mod ground;

use anyhow::{Context, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The file.
#[derive(Clone, Debug, Deserialize)]
pub struct Compose {
    /// Every service by its name.
    pub services: BTreeMap<String, Service>,
    /// Every network that is declared.
    pub networks: BTreeMap<String, serde_json::Value>,
    /// Every volume that is declared.
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// The head, where people are told what to type.
    #[serde(skip)]
    pub words: String,
}

/// One service.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Arguments of `scrapering`.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// VOLUME:PATH or VOLUME:PATH:ro.
    #[serde(default)]
    pub volumes: Vec<String>,
    #[serde(default)]
    networks: Networks,
    /// Whether nothing but volumes can be written.
    #[serde(default)]
    pub read_only: bool,
    #[serde(default)]
    depends_on: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    ports: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Networks {
    Names(Vec<String>),
    Settings(BTreeMap<String, Attachment>),
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Attachment {
    #[serde(default)]
    aliases: Vec<String>,
}

impl Default for Networks {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

/// A volume of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// The volume's name.
    pub volume: &'a str,
    /// Where the service sees it.
    pub path: &'a str,
    /// Whether it may only read.
    pub read_only: bool,
}

impl Service {
    /// The networks that it is on, each with the names under which it is found there besides its own.
    #[must_use]
    pub fn networks(&self) -> BTreeMap<&str, &[String]> {
        match &self.networks {
            Networks::Names(names) => names.iter().map(|name| (name.as_str(), [].as_slice())).collect(),
            Networks::Settings(all) => all.iter().map(|(name, at)| (name.as_str(), at.aliases.as_slice())).collect(),
        }
    }

    /// Its volumes.
    #[must_use]
    pub fn mounts(&self) -> Vec<Mount<'_>> {
        let mounts = self.volumes.iter().filter_map(|volume| {
            let mut words = volume.split(':');
            let (volume, path) = (words.next()?, words.next()?);
            Some(Mount { volume, path, read_only: words.next() == Some("ro") })
        });
        mounts.collect()
    }
}

impl Compose {
    /// Reads the file.
    ///
    /// # Errors
    /// It is no such file, or a service names a network, a volume or a service that is not declared.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut file: Self = serde_saphyr::from_str(&text)?;
        file.words = text.lines().map_while(|line| line.strip_prefix('#')).map(|line| format!("{line}\n")).collect();
        for (name, service) in &file.services {
            for network in service.networks().keys() {
                ensure!(
                    file.networks.contains_key(*network),
                    "{name} is on the network {network}, which is not declared"
                );
            }
            for mount in service.mounts() {
                ensure!(
                    file.volumes.contains_key(mount.volume),
                    "{name} has the volume {mount:?}, which is not declared"
                );
            }
            for other in service.depends_on.keys() {
                ensure!(file.services.contains_key(other), "{name} waits for {other}, which is no service");
            }
        }
        Ok(file)
    }

    /// The services that are nodes, by their names.
    #[must_use]
    pub fn nodes(&self) -> Vec<&str> {
        let nodes =
            self.services.iter().filter(|(_, service)| service.command.first().is_some_and(|word| word == "node"));
        nodes.map(|(name, _)| name.as_str()).collect()
    }

    /// What the head tells people to run in a service: the words behind its name, up to a redirection.
    #[must_use]
    pub fn told(&self, service: &str) -> Vec<Vec<String>> {
        let marks = format!(" {service} ");
        let lines = self.words.lines().filter_map(|line| line.trim().strip_prefix("docker compose run --rm"));
        let lines = lines.filter_map(|line| line.split_once(&marks)).map(|(_, words)| words);
        lines.map(|words| words_of(words.split(" >").next().unwrap_or_default())).collect()
    }

    /// Ports of this machine that lead to gateways.
    #[must_use]
    pub fn published(&self) -> Vec<&str> {
        self.services.values().flat_map(|service| &service.ports).map(String::as_str).collect()
    }
}

/// The words of a line as a shell splits it: quotes hold together.
fn words_of(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            words_of("token create --scope \"a b\" --ttl 1h"),
            ["token", "create", "--scope", "a b", "--ttl", "1h"]
        );
    }

    #[test]
    fn the_file_of_the_project_is_five_nodes_on_two_networks_and_a_client_on_one() {
        let file = Compose::read(Path::new("../compose.yaml")).expect("a compose file");
        assert_eq!(file.nodes(), ["ring-0", "ring-1", "ring-2", "ring-3", "ring-4"]);
        for node in file.nodes() {
            let service = &file.services[node];
            assert_eq!(service.networks().into_keys().collect::<Vec<_>>(), ["clients", "servers"], "{node}");
            assert!(service.read_only && service.environment["PEERS"].contains(".servers:7443"), "{service:?}");
        }
        assert_eq!(file.services["cli"].networks().into_keys().collect::<Vec<_>>(), ["clients"]);
        assert_eq!(file.networks["servers"]["internal"], true);
        assert!(file.published().iter().all(|port| port.starts_with("127.0.0.1:")), "{:?}", file.published());
        assert_eq!(file.published().len(), 5);
        assert_eq!(file.told("cli").len(), 3, "{}", file.words);
    }
}
