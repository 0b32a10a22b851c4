//! The ring's wire: tonic services over mutual TLS, and the calls to peers.
//!
//! [`convert`] is the only place where wire types become core's own, and where they are checked.

pub mod convert;
pub mod peers;
pub mod server;

pub use peers::{PeerAddress, Peers};
