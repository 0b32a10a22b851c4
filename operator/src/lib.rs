//! The operator: turns each `ScrapeRing` into the Kubernetes objects that run it, hands each `ScrapeJob` to its ring, makes
//! jobs at the times of each `ScrapeSchedule`, and says in their status how they are.
//!
//! It sees the custom resources (`scrapering-crds`) and the API server, and the nodes only through their gateways; never
//! the node's code: what both sides must agree on (variables, ports, paths, keys) stands in [`ring::contract`]. A node is
//! added, updated or taken away one at a time, each step derived from what is there right now (`ring::topology`), and
//! nothing is removed without the ring's own proof that nobody needs it.

pub mod check;
pub mod condition;
mod desk;
pub mod doors;
pub mod gateway;
pub mod job;
pub mod leader;
#[cfg(test)]
mod memory_api;
pub mod metrics;
mod retries;
pub mod ring;
pub mod schedule;
pub mod scope;
pub mod token;
