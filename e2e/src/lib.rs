//! What the tests over process boundaries share: a shop to visit, a judge of the visits, and checks of the tree itself.
//!
//! Nothing here knows the node or its core: a node is visited as a user would visit it, through its binary and its doors.

pub mod access_log;
pub mod bench;
pub mod cpu;
pub mod house;
pub mod judge;
pub mod shop;
