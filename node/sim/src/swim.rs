//! A seeded world of many membership machines: loss, delays, crashes, pauses, partitions; and what it measures.
//!
//! [`world`] carries the messages, [`measure`] asks it how long it takes to see a crash and how often somebody is
//! wrong, [`chaos`] does everything at once, and [`invariant`] says what must hold whatever happens.

pub mod chaos;
pub mod invariant;
pub mod measure;
pub mod world;
