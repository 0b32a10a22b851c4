//! `spec.recrawl`: how a job visits its pages again, until it is stopped or a limit ends it.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::rules;
use crate::units::Span;

/// Largest `adaptive.incr`.
pub const INCR_MAX: f64 = 10.0;
/// Largest `adaptive.decr`.
pub const DECR_MAX: f64 = 0.99;
/// Longest `adaptive.max`.
pub const INTERVAL_MAX: Duration = Duration::from_secs(8_760 * 3_600);
/// Shortest `adaptive.min`.
pub const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How pages are visited again. A job with it goes on until it is stopped or `limits.maxDuration`, `maxItems` or `maxBytes` ends it. `limits` count pages, items and bytes as they are now, however often each page is visited; pages that are found beyond `maxPages` are skipped. Only pages that were fetched are visited again, and a visit that fails leaves what was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecrawlSpec {
    /// Tells hosts what is known of a page already (ETag, Last-Modified), so that they need not send it again.
    #[serde(default = "default_conditional")]
    pub conditional_requests: bool,
    /// The time between two visits of a page.
    #[serde(default)]
    pub adaptive: AdaptiveSpec,
    /// What a visit adds to the results. all: the page's items each time. changed: its items if they have changed; of a page without items it is the bytes that count. Either way a page's items of before give way to those of now.
    #[serde(default)]
    pub emit: EmitSpec,
}

/// The time between two visits of a page: it begins with `min`, shrinks when the page has changed and grows when it has not, or could not be fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_adaptive)]
pub struct AdaptiveSpec {
    /// Shortest.
    #[serde(default = "default_min")]
    pub min: Span,
    /// Longest.
    #[serde(default = "default_max")]
    pub max: Span,
    /// By this part it grows when the page has not changed.
    #[serde(default = "default_part")]
    #[schemars(schema_with = "incr")]
    pub incr: f64,
    /// By this part it shrinks when the page has changed.
    #[serde(default = "default_part")]
    #[schemars(schema_with = "decr")]
    pub decr: f64,
}

/// What a visit adds to the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum EmitSpec {
    /// The page's items.
    #[default]
    All,
    /// The page's items if they have changed.
    Changed,
}

impl Default for AdaptiveSpec {
    fn default() -> Self {
        Self { min: default_min(), max: default_max(), incr: default_part(), decr: default_part() }
    }
}

/// A number; servers warn of the format that comes with the type.
fn incr(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0.0, "maximum": INCR_MAX })
}

fn decr(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number", "minimum": 0.0, "maximum": DECR_MAX })
}

fn default_conditional() -> bool {
    true
}

fn default_min() -> Span {
    Span(Duration::from_secs(3_600))
}

fn default_max() -> Span {
    Span(Duration::from_secs(336 * 3_600))
}

fn default_part() -> f64 {
    0.5
}
