//! A seeded world that runs the machines of `scrapering-core` under faults and judges what clients saw.
//!
//! [`world`] is the network, the disks, the crashes and the clients; [`rules`] is the seam at which a
//! [`mutant`] takes one rule of the protocol out; [`invariant`] watches every event, [`checker`] the history
//! that is left at the end; [`campaign`] runs many seeds on all processors. [`model`] visits every state of a small
//! world; [`churn`] is a large one, in which nodes come and go. [`chord`] and [`zave`] put the ring alone to the
//! test, [`swim`] the membership.

pub mod campaign;
pub mod checker;
pub mod chord;
pub mod churn;
pub mod history;
pub mod invariant;
mod lesson;
pub mod model;
pub mod mutant;
pub mod rules;
pub mod swim;
pub mod wire;
pub mod world;
pub mod zave;
