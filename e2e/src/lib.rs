//! What the tests over process boundaries share: a ring of processes and the way into it,
//! a shop to visit, a judge of the visits, and checks of the tree itself.
//!
//! Nothing here knows the node or its core: a node is visited as a user would visit it, through its binary and its doors.

pub mod access_log;
pub mod bench;
pub mod browser;
pub mod chaos;
pub mod compose;
pub mod cpu;
pub mod door;
pub mod errand;
pub mod etcd;
pub mod house;
pub mod judge;
pub mod kube;
pub mod memory;
pub mod ports;
pub mod power;
pub mod program;
pub mod proxy;
pub mod ring;
pub mod shop;
pub mod web;
