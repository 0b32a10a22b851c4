//! The ring's wire: tonic services over mutual TLS, and the calls to peers.
//!
//! [`convert`] is the only place where wire types become core's own, and where they are checked.

pub mod control;
pub mod convert;
pub mod copies;
pub mod formation;
pub mod gate;
pub mod kv;
pub mod membership;
pub mod peers;
pub mod ring;
pub mod server;
mod traced;

pub use peers::{PeerAddress, Peers};
