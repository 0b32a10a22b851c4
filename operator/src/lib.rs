//! The operator: turns each `ScrapeRing` into the Kubernetes objects that run it, and says in its status how it is.
//!
//! It sees the custom resources (`scrapering-crds`) and the API server, never the node's code: what both sides must
//! agree on (variables, ports, paths, keys) stands in [`ring::contract`]. There is one controller, for `ScrapeRing`.
//! A `ScrapeJob` is accepted by the API server but nothing acts on it yet: jobs go to the ring's gateway. The number
//! of nodes and their volumes are fixed when a ring is made: a change of either is held back and reported, because
//! taking a node out safely needs the ring's own consent.

pub mod ring;
