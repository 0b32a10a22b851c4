//! Hosts whose owners do not want to be visited: by no job, whatever anybody else asks for. One list for the whole ring.

use crate::id::Partition;
use serde::{Deserialize, Serialize};

/// Most entries of the list.
pub const OPT_OUTS_MAX: usize = 2_000;

/// A wish not to be visited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOut {
    /// The host, lower case, without a port.
    pub host: String,
    /// Whether it holds for all hosts below that name too.
    pub subdomains: bool,
    /// Who asked for it, and where that can be read.
    pub note: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptOuts {
    /// In the order of their hosts, each once.
    pub list: Vec<OptOut>,
}

/// Where the list is kept.
#[must_use]
pub fn opt_outs_partition() -> Partition {
    Partition::of(b"opt-outs")
}

impl OptOuts {
    /// The entry that keeps everybody away from `host`, which is in lower case and without a port.
    #[must_use]
    pub fn covering(&self, host: &str) -> Option<&OptOut> {
        self.list.iter().find(|entry| {
            let below = || host.strip_suffix(entry.host.as_str()).is_some_and(|rest| rest.ends_with('.'));
            entry.host == host || (entry.subdomains && below())
        })
    }

    /// Adds an entry in place of one for the same host. Returns whether there was room.
    pub fn insert(&mut self, entry: OptOut) -> bool {
        match self.list.binary_search_by(|other| other.host.cmp(&entry.host)) {
            Ok(place) => self.list[place] = entry,
            Err(_) if self.list.len() >= OPT_OUTS_MAX => return false,
            Err(place) => self.list.insert(place, entry),
        }
        true
    }

    /// Removes the entry for exactly this host.
    pub fn remove(&mut self, host: &str) {
        self.list.retain(|entry| entry.host != host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(host: &str, subdomains: bool) -> OptOut {
        OptOut { host: host.to_owned(), subdomains, note: String::new(), since_ms: 0 }
    }

    #[test]
    fn an_entry_covers_its_host_and_if_it_says_so_all_below() {
        let mut list = OptOuts::default();
        assert!(list.insert(entry("shop.test", true)) && list.insert(entry("blog.test", false)));
        for (host, covered) in [
            ("shop.test", true),
            ("a.b.shop.test", true),
            ("notshop.test", false),
            ("blog.test", true),
            ("a.blog.test", false),
        ] {
            assert_eq!(list.covering(host).is_some(), covered, "{host}");
        }
        assert!(list.insert(entry("shop.test", false)));
        assert_eq!(list.list.len(), 2);
        assert!(list.covering("a.shop.test").is_none());
        list.remove("shop.test");
        assert!(list.covering("shop.test").is_none());
    }

    #[test]
    fn the_list_has_an_end() {
        let mut list = OptOuts::default();
        assert!((0..OPT_OUTS_MAX).all(|number| list.insert(entry(&format!("h{number}.test"), false))));
        assert!(!list.insert(entry("more.test", false)));
        assert!(list.insert(entry("h7.test", true)), "one that is there can be changed");
    }
}
