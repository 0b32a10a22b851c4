//! The frontier: what is known, what is next, what is done, for every job, split by partition.
//!
//! Everything of one host shares a placement key, so one [`Shard`] (one partition) decides alone about the
//! host: its URLs, its results and its politeness. The node that owns a partition holds the shard in memory;
//! the truth is in the registers, and a new owner rebuilds the shard from them.
//!
//! How nothing is lost and nothing counted twice:
//! - **Ownership** is a register of the partition; its version is the fencing [`Token`](record::Token).
//!   A change is *acknowledged* (a link, a result) only after it is chosen **and** the owner register, read
//!   again by quorum, still names this owner. A successor claims first and reads all records afterwards, so
//!   it sees everything that was ever acknowledged.
//! - **A result exists once**: the URL's own register goes from open to closed by compare-and-set.
//! - **A page is closed after its links are acknowledged**, so new URLs come only from pages that are still
//!   open; that makes the end of a job exact (see [`completion`]).
//! - **Fetching** needs a confirmation younger than [`LEASE_HOLD`]; a successor waits [`LEASE`] before it
//!   fetches. Durations only, no wall clock (Gray and Cheriton's leases; a fifth is the margin for drift).

pub mod address;
pub mod budget;
pub mod completion;
pub mod delivery;
pub mod export;
pub mod history;
pub mod host;
pub mod keys;
pub mod opt_out;
pub mod output;
pub mod places;
pub mod record;
pub mod shard;
pub mod slots;

pub use shard::Shard;

use std::time::Duration;

/// A new owner fetches nothing for so long after its claim, unless nobody can have owned the partition.
pub const LEASE: Duration = Duration::from_secs(5);
/// An owner fetches only so long after a quorum confirmed it.
pub const LEASE_HOLD: Duration = Duration::from_secs(4);
