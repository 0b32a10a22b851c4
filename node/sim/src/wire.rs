//! What nodes of a world ask each other and answer, about registers and about bodies.

use bytes::Bytes;
use scrapering_core::body::BodyRef;
use scrapering_core::id::Partition;
use scrapering_core::register::{Envelope, Reply};
use scrapering_core::view::{Epoch, View};

/// What is asked of a node.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Something of its acceptors.
    Register(Envelope),
    /// To keep a body.
    Keep(BodyRef, Bytes),
    /// For a body that it keeps.
    Kept(BodyRef),
    /// For the views it knows that are newer than these.
    Views(Vec<(Partition, Epoch)>),
}

/// What a node answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Ask::Register`].
    Register(Reply),
    /// To [`Ask::Keep`]: whether it has the body on disk.
    Keep(bool),
    /// To [`Ask::Kept`]: the body, if it has it.
    Kept(Option<Bytes>),
    /// To [`Ask::Views`].
    Views(Vec<(Partition, View)>),
}

impl Answer {
    /// What is answered instead when the disk has failed.
    #[must_use]
    pub fn failed(&self) -> Self {
        match self {
            Self::Register(_) => Self::Register(Reply::Refused),
            Self::Keep(_) => Self::Keep(false),
            Self::Kept(_) => Self::Kept(None),
            Self::Views(_) => Self::Views(Vec::new()),
        }
    }
}
