//! `spec.dedup`: when two pages of a job count as one although their URLs differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest `simhashDistance`.
pub const SIMHASH_DISTANCE_MAX: u32 = 3;

/// When two pages count as one. The one that is read first is kept; the other is skipped for the reason `duplicateContent`, and its links are not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DedupSpec {
    /// What is compared. none: nothing. body: the bytes of the page. text: its visible text, white space collapsed.
    #[serde(default)]
    pub content: ContentIdentity,
    /// Pages whose visible texts have 64-bit simhashes that differ in at most so many bits count as one too. Without it only equal pages do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 3))]
    pub simhash_distance: Option<u32>,
}

/// What of two pages is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum ContentIdentity {
    /// Nothing: a page is its URL.
    #[default]
    None,
    /// The bytes of the page.
    Body,
    /// The visible text.
    Text,
}
