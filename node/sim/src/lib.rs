//! A seeded world that runs the machines of `scrapering-core` under faults and judges what clients saw.
//!
//! [`world`] is the network, the disks, the crashes and the clients; [`rules`] is the seam at which a
//! [`mutant`] takes one rule of the protocol out; [`invariant`] watches every event, [`checker`] the history
//! that is left at the end; [`campaign`] runs many seeds on all processors. [`chord`] and [`zave`] put the ring
//! alone to the test, [`swim`] the membership.

pub mod campaign;
pub mod checker;
pub mod chord;
pub mod history;
pub mod invariant;
pub mod mutant;
pub mod rules;
pub mod swim;
pub mod wire;
pub mod world;
pub mod zave;
