//! Everything a ScrapeRing node decides, as state machines without I/O, clock or dice.
//!
//! Inputs come in with the current [`time::Instant`]; what is to be sent, stored or waited for is drained by
//! the caller. The same machines run behind tonic and RocksDB in the node, and behind a seeded network in the
//! simulator. The layers, lowest first: [`membership`] says who is alive, [`ring`] where to look, [`view`] who
//! owns; [`register`] and [`body`] keep what was acknowledged; [`frontier`] does the work of a [`job`].

pub mod body;
mod dice;
pub mod file;
pub mod formation;
pub mod frontier;
pub mod id;
pub mod job;
pub mod kv;
pub mod lock;
pub mod membership;
pub mod references;
pub mod register;
pub mod ring;
pub mod schedule;
pub mod simhash;
pub mod store;
pub mod sync;
pub mod time;
pub mod view;
