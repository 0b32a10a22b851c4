//! The kinds of power cut.

use std::fmt;

/// Whose power is cut, and under which load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// One node's, while all five work; the others go on.
    Single,
    /// One node's, while two others stand still: every write before the cut was acknowledged by a bare majority with this
    /// node in it. Afterwards the two others of that majority stand still, so that only this node's disk can tell.
    Narrow,
    /// Every node's at once.
    Whole,
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Single => "single",
            Self::Narrow => "single, bare majority",
            Self::Whole => "whole ring",
        })
    }
}
