//! A large ring in which nodes come and go all the time, while clients write.
//!
//! Every node runs the core's steward and carries out what it says with the core's machines: newcomers are taught,
//! views changed, late members fetch, copies that nobody wants are deleted. What a node hears of others, by
//! membership, is only a moment here ([`world`]); `scrapering-sim swim` has that moment's length measured.
//! [`ledger`] is the account: what was moved, and what placement itself says had to be.

mod ledger;
mod node;
mod world;

pub use ledger::Account;

use world::World;

/// The figures behind a run.
#[derive(Clone, Copy, Debug)]
pub struct Dials {
    /// Nodes at the beginning, and about so many all the time.
    pub nodes: usize,
    /// Minutes of coming and going.
    pub minutes: u64,
    /// Nodes that go every minute; as many come.
    pub replaced_a_minute: usize,
    /// How many of those go without a word, and their disks with them; never a third member of a partition before one
    /// of the two is replaced, which is more than the ring promises to survive.
    pub crashes_a_minute: usize,
    /// Keys, all of them written before anybody goes.
    pub keys: usize,
    /// Bytes of a key's content.
    pub content_bytes: usize,
    /// Operations that begin every second: six in ten write, two compare and set, two read.
    pub operations_a_second: u64,
}

impl Default for Dials {
    fn default() -> Self {
        Self {
            nodes: 100,
            minutes: 60,
            replaced_a_minute: 10,
            crashes_a_minute: 1,
            keys: 2_048,
            content_bytes: 256,
            operations_a_second: 10,
        }
    }
}

/// Runs a ring to its end; two runs of one seed are the same.
#[must_use]
pub fn run(seed: u64, dials: &Dials) -> Account {
    World::new(seed, *dials).run()
}
