//! The words of ScrapeRing: what a user may write in a `ScrapeJob`, a `ScrapeRing` or a `ScrapeSchedule`, with defaults and bounds.
//!
//! The CRD, the REST body and the file of the command line are these same types, so that the three doors
//! cannot disagree. The custom resources themselves stand behind the feature `kube`.

#![allow(
    clippy::duplicated_attributes,
    reason = "each printer column repeats its keys; the lint takes the columns for one list"
)]

pub mod condition;
#[cfg(feature = "kube")]
mod definitions;
pub mod file;
pub mod job;
#[cfg(feature = "kube")]
pub mod ring;
pub mod schedule;
mod schema;
pub mod trial;
pub mod units;

pub use condition::{Condition, ConditionStatus};
#[cfg(feature = "kube")]
pub use definitions::definitions;
pub use file::{JobFileError, JobMetadata, ScrapeJobFile};
#[cfg(feature = "kube")]
pub use job::ScrapeJob;
pub use job::{ScrapeJobSpec, ScrapeJobStatus};
#[cfg(feature = "kube")]
pub use ring::{
    Endpoints, MemberStatus, Operation, RingState, RingStorage, ScrapeRing, ScrapeRingSpec, ScrapeRingStatus, TlsStatus,
};
#[cfg(feature = "kube")]
pub use schedule::ScrapeSchedule;
pub use schedule::{ScrapeScheduleFile, ScrapeScheduleSpec, ScrapeScheduleStatus};
pub use trial::TrialSpec;
pub use units::{ByteSize, Span};

/// `apiVersion` of every kind.
pub const API_VERSION: &str = "scrapering.io/v1alpha1";
