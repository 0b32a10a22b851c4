//! The small worlds that are explored, and which of them shows what a missing rule leads to.

use super::Small;
use crate::history::Action::{self, Create, Put, Read};
use crate::mutant::Mutant;

/// A world: its name, whether it takes only seconds, and what it is.
pub type Named = (&'static str, bool, fn() -> Small);

/// Every world.
pub const ALL: &[Named] = &[
    ("two writers", true, || still(&[&[Put], &[Put, Read]], [1, 1])),
    ("a write and two reads, once each", true, || still(&[&[Put], &[Read, Read]], [1, 1])),
    ("a write and two reads", false, || still(&[&[Put], &[Read, Read]], [2, 1])),
    ("a failing creation", true, || still(&[&[Put], &[Create, Read]], [1, 1])),
    ("a write, then a read", true, || small(&[&[Put], &[Read]], true, false)),
    ("a late member", true, || small(&[&[Put, Read]], true, true)),
    ("a newcomer", false, || Small { nodes: 4, moves: vec![(0, vec![0, 1, 3])], ..small(&[&[Put, Read]], true, true) }),
    ("rivals", false, || Small { moves: rivals(), ..small(&[&[Put]], true, false) }),
    ("a write and a read", false, || small(&[&[Put], &[Read]], false, false)),
    ("a late member, more writes", false, || small(&[&[Put, Put, Read]], true, true)),
];

/// Which world shows what comes of which mutant.
pub const MUTANTS: &[(&Mutant, &str)] = &[
    (&Mutant::NoSeal, "a write and a read"),
    (&Mutant::VoteBeforeInstall, "a late member, more writes"),
    (&Mutant::AcceptBelowPromise, "two writers"),
    (&Mutant::PromiseBelowPromise, "two writers"),
    (&Mutant::ReadMax, "a write and two reads"),
    (&Mutant::ReadWithoutWriteBack, "a write and two reads"),
];

/// The world of that name.
#[must_use]
pub fn named(name: &str) -> Option<Small> {
    ALL.iter().find(|(other, ..)| *other == name).map(|(_, _, small)| small())
}

fn small(clients: &[&[Action]], written: bool, late: bool) -> Small {
    let clients = clients.iter().map(|script| script.to_vec()).collect();
    Small { nodes: 3, clients, moves: vec![(0, vec![0, 1, 2])], written, late, attempts: [1, 1] }
}

/// A world in which the view stays as it is.
fn still(clients: &[&[Action]], attempts: [usize; 2]) -> Small {
    Small { moves: Vec::new(), attempts, ..small(clients, false, false) }
}

/// Two members lead the view over at once, and want different orders of the members.
fn rivals() -> Vec<(usize, Vec<usize>)> {
    vec![(0, vec![0, 1, 2]), (1, vec![1, 2, 0])]
}
