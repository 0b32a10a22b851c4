//! What a node says of its ring (`GET /v1/ring` of its gateway), as far as the operator needs it.
//!
//! A report is one node's belief. What may be concluded from several of them is decided in [`super::topology`].

use serde::Deserialize;

/// One node's account of the ring.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Id of the ring, 32 hex digits.
    pub ring_id: String,
    /// Which node speaks.
    pub own: Own,
    /// Every node that has not left.
    pub nodes: Vec<Node>,
    /// Every node that it knows to have left for good.
    #[serde(default)]
    pub left: Vec<Identity>,
    /// Nodes that may be lost at the same instant.
    pub tolerates: i32,
    /// Who keeps what, in numbers.
    pub views: Views,
}

/// A node in one of its lives: an empty disk is another node under the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Its DNS name.
    pub name: String,
    /// Its id, 40 hex digits.
    pub id: String,
    /// The generation of its storage.
    pub generation: u64,
}

/// The node that speaks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Own {
    /// Which node it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// Whether it takes part.
    pub serving: Serving,
    /// Whether it has left for good.
    pub left: bool,
}

/// Another node, as the speaker believes it to be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Which node it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// The zone it stands in.
    #[serde(default)]
    pub zone: String,
    /// Whether it lives.
    pub liveness: Liveness,
    /// Whether it takes part.
    pub serving: Serving,
    /// Partitions of which it keeps a copy.
    pub copies: i32,
}

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It has not answered lately.
    Suspect,
    /// It is given up.
    Dead,
}

/// Whether a node takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Serving {
    /// It takes over what it shall keep.
    Joining,
    /// It does.
    Serving,
    /// It hands over what it keeps.
    Leaving,
}

/// The views of all partitions in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Views {
    /// Partitions that other nodes should keep than do.
    pub moving: i32,
    /// Partitions with fewer living copies than a ring of this size keeps.
    pub under_replicated: i32,
    /// Partitions without a living majority.
    pub unavailable: i32,
}
