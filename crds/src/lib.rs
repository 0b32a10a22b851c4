//! The words of ScrapeRing: what a user may write in a `ScrapeJob` or a `ScrapeRing`, with defaults and bounds.
//!
//! The CRD, the REST body and the file of the command line are these same types, so that the three doors
//! cannot disagree. The custom resources themselves stand behind the feature `kube`.

#![allow(
    clippy::duplicated_attributes,
    reason = "each printer column repeats its keys; the lint takes the columns for one list"
)]

pub mod condition;
pub mod file;
pub mod job;
pub mod ring;
pub mod units;

pub use condition::{Condition, ConditionStatus};
pub use file::{JobFileError, JobMetadata, ScrapeJobFile};
#[cfg(feature = "kube")]
pub use job::ScrapeJob;
pub use job::{ScrapeJobSpec, ScrapeJobStatus};
#[cfg(feature = "kube")]
pub use ring::ScrapeRing;
pub use ring::{RingStorage, ScrapeRingSpec, ScrapeRingStatus};
pub use units::{ByteSize, Span};

/// `apiVersion` of both kinds.
pub const API_VERSION: &str = "scrapering.io/v1alpha1";
