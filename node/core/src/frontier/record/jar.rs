//! The cookies that one host has given to one job, as they outlive the host's owner.

use super::Token;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The cookies of a job at one origin.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JarRecord {
    /// `scheme://host:port`.
    pub origin: String,
    /// The owner that wrote it.
    pub token: Token,
    /// The cookies, in words that only the node reads; bounded there.
    pub cookies: String,
}

impl fmt::Debug for JarRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, token, cookies: _ } = self;
        f.debug_struct("JarRecord").field("origin", origin).field("token", token).finish_non_exhaustive()
    }
}
