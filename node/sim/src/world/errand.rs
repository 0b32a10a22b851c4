//! What a node does for views and copies, one machine after the other, as a node's steward would.

use crate::rules::Carry;
use scrapering_core::id::{NodeId, Partition};
use scrapering_core::view::View;
use std::collections::VecDeque;

/// One machine of an errand.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Gives the copy to a node that may come in.
    Teach(NodeId),
    /// Leads the view over to these members.
    Move(Vec<NodeId>),
}

/// What an errand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Move,
    Recovery,
    Retirement,
    Relay,
}

/// A machine at work, and what comes after it.
pub(super) struct Errand {
    pub(super) partition: Partition,
    pub(super) purpose: Purpose,
    /// The view in which it is done.
    pub(super) view: View,
    pub(super) machine: Box<dyn Carry>,
    pub(super) then: VecDeque<Step>,
}
