//! The ring's node as a library: the binary in `main.rs` is a thin door to it.
//!
//! `main -> cli -> app -> {gateway, rpc, crawl} -> driver -> core`; `storage -> core`; `gateway -> console`.

pub mod app;
pub mod auth;
pub mod background;
mod causes;
pub mod cli;
pub mod console;
pub mod crawl;
pub mod driver;
pub mod extract;
pub mod fetch;
pub mod files;
pub mod gateway;
pub mod identity;
pub mod job;
pub mod kv;
pub mod locks;
pub mod metrics;
pub mod output;
pub mod rpc;
pub mod storage;
pub mod traces;
pub mod trial;
pub mod upkeep;
