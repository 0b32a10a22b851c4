//! Commands of the simulator that are large enough for a file of their own.

pub(super) mod chord;
pub(super) mod churn;
pub(super) mod model;
pub(super) mod swim;
pub(super) mod zave;
