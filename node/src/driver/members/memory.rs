//! What a node remembers of its ring over restarts: who there was and where, and who has left for good.
//!
//! Without it a node that was removed could slip back when all others were restarted, and a node that joined
//! late would depend on its first contacts for ever. Liveness is not remembered: it is asked anew.

use super::Members;
use crate::storage::files::{self, FileError, Readers};
use scrapering_core::id::NodeId;
use scrapering_core::membership::{Entry, Liveness, Member, Serving};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The table's name in a data folder.
pub const FILE: &str = "members.json";
/// The only format so far.
const FORMAT: u32 = 1;
/// Changes that come within this time are written together.
const GATHER: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    format: u32,
    members: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Row {
    name: String,
    generation: u64,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    zone: String,
    weight: u16,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    left: bool,
}

impl Row {
    fn of(entry: Entry) -> Self {
        let left = entry.liveness == Liveness::Left;
        let Member { node: _, name, generation, address, gateway, zone, weight } = entry.member;
        Self { name, generation, address, gateway, zone, weight, left }
    }

    /// `None` if it is out of bounds.
    fn entry(self) -> Option<Entry> {
        let Self { name, generation, address, gateway, zone, weight, left } = self;
        let member = Member { gateway, zone, weight, ..Member::new(name, generation, address) };
        let liveness = if left { Liveness::Left } else { Liveness::Suspect };
        let sound = member.out_of_bounds().is_none();
        sound.then_some(Entry { member, incarnation: 0, liveness, serving: Serving::Serving })
    }
}

/// Who `folder` remembers; nobody in a new folder.
///
/// # Errors
/// [`FileError`].
pub fn recall(folder: &Path) -> Result<Vec<Entry>, FileError> {
    let table = files::read_json::<Table>(&folder.join(FILE), FORMAT)?;
    Ok(table.into_iter().flat_map(|table| table.members).filter_map(Row::entry).collect())
}

/// The newest generation of every other name; that the older ones have left follows from it.
fn rows(entries: Vec<Entry>, me: NodeId) -> Vec<Row> {
    let mut newest: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| entry.member.node != me) {
        let known = newest.get(&entry.member.name).map_or(0, |known| known.member.generation);
        if entry.member.generation > known {
            newest.insert(entry.member.name.clone(), entry);
        }
    }
    newest.into_values().map(Row::of).collect()
}

/// Remembers in `folder` what `members` hears, until `stop`.
pub async fn remember(members: Members, folder: PathBuf, stop: CancellationToken) {
    let (mut changes, mut written) = (members.changes(), None);
    loop {
        changes.borrow_and_update();
        let table = Table { format: FORMAT, members: rows(members.entries(), members.own().member.node) };
        if written.as_ref() != Some(&table) {
            let (path, rows) = (folder.join(FILE), table.clone());
            let done = tokio::task::spawn_blocking(move || files::write_json(&path, &rows, Readers::Owner)).await;
            match done {
                Ok(Ok(())) => written = Some(table),
                Ok(Err(error)) => {
                    tracing::warn!(error = crate::causes::told(&error), "the members were not written down");
                }
                // The runtime is going down.
                Err(_) => return,
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
        tokio::time::sleep(GATHER).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::clock::Clock;
    use crate::rpc::Peers;
    use crate::rpc::convert::Header;
    use scrapering_core::id::RingId;

    fn members(known: Vec<Entry>) -> Members {
        let own = Entry::own(Member::new("ring-0", 1, "ring-0:7443"), 1, Serving::Serving);
        let header = Header { ring: RingId([1; 16]), from: own.member.node, generation: 1, to: None, founding: [0; 8] };
        Members::new(own, known, Peers::of_nobody(header), Clock::start())
    }

    #[tokio::test]
    async fn a_restarted_node_knows_the_others_and_who_has_left() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(recall(folder.path()).expect("nothing yet"), []);
        let one = Member { gateway: Some("g:1".to_owned()), zone: "a".to_owned(), ..Member::new("ring-1", 7, "h:1") };
        let two = Member::new("ring-2", 1, "h:2");
        let before = members(vec![Entry::unheard(one.clone()), Entry::unheard(two.clone())]);
        let stop = CancellationToken::new();
        let task = tokio::spawn(remember(before.clone(), folder.path().to_owned(), stop.clone()));
        before.remove(two.node);
        let remembered = async {
            loop {
                let known = recall(folder.path()).expect("sound");
                if known.iter().any(|entry| entry.liveness == Liveness::Left) {
                    return known;
                }
                tokio::task::yield_now().await;
            }
        };
        let known = tokio::time::timeout(Duration::from_secs(20), remembered).await.expect("soon");
        stop.cancel();
        task.await.expect("it ends");
        let after = members(known);
        assert_eq!(after.liveness(two.node), Liveness::Left);
        assert_eq!(after.entry(one.node).map(|entry| (entry.member, entry.liveness)), Some((one, Liveness::Suspect)));
        assert!(after.peers().has_left(two.node));
    }
}
