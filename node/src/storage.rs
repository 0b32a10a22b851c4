//! The node's disk: RocksDB with every value sealed, behind core's [`Store`](scrapering_core::store::Store).
//!
//! The data folder of a node holds `keyring.json` (data keys, wrapped by the [`RingKey`]) and `store/` (RocksDB).
//! A value on disk is opened only by the key named in its header, in the table and under the key it was
//! written for; anything else is reported as damaged, so that the ring repairs it from another copy.

pub mod files;
pub mod keyring;
pub mod ring_key;
pub mod rocks;
mod seal;

pub use keyring::{Keyring, KeyringError};
pub use ring_key::{RingKey, RingKeyError};
pub use rocks::{OpenError, RocksStore};

#[cfg(test)]
mod twins;
