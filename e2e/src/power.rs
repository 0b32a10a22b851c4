//! Power cuts with real disks: a ring whose nodes each own a small ext4, which loses what was not made durable.
//!
//! `kill -9` proves no durability, because the kernel writes a dead process's pages all the same. Here every data folder is
//! a loop-mounted file system ([`disk`]) that is shut down with everything that no fsync has covered; the node is stopped
//! first, because an fsync that is under way may succeed falsely once the file system is going down. Writers ([`load`]) keep
//! a ledger of what was acknowledged ([`ledger`]), and after each cut every key is read and judged ([`check`]).
//! [`rounds`] are the cuts, of the kinds in [`cut`], [`control`] the same cuts with fsync swallowed, which must lose, and
//! [`corrupt`] damages the files of a node.

pub mod check;
pub mod control;
pub mod corrupt;
pub mod cut;
pub mod disk;
pub mod ledger;
pub mod load;
pub mod report;
pub mod ring;
pub mod rounds;
pub mod store;
