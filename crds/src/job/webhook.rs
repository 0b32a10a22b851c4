//! `spec.webhooks`: who is told what becomes of a job, and how the message is signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fetch::SecretRef;
use super::rules;

/// Most webhooks in one job.
pub const WEBHOOKS_MAX: usize = 8;
/// Most pages in one message, and how many there are unless said otherwise.
pub const WEBHOOK_BATCH_MAX: u32 = 100;

/// An address that is told what becomes of the job, in order and at least once. A message that is not answered with a status of success is sent again, less and less often, for about nine hours; what was sent before and came again has the same `webhook-id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_webhook)]
pub struct WebhookSpec {
    /// Where messages are posted: an absolute http or https URL without user and password. Its address must be globally routable, as that of a page.
    #[schemars(length(min = 1, max = 2083), regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+([/?#].*)?$"))]
    pub url: String,
    /// What is told. started: its first page may be fetched now. page: pages were fetched, up to `batch` in a message. completed: it ended, whatever ended it, unless it failed. failed: it ended without one page.
    #[serde(default = "default_events")]
    #[schemars(length(min = 1, max = 4), extend("x-kubernetes-list-type" = "atomic"))]
    pub events: Vec<WebhookEvent>,
    /// The key that signs messages (HMAC-SHA256, as the Standard Webhooks specification says): `whsec_` and base64, or any text. Whoever reads the job sees `[secret]` in its place. Without a key messages are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 16, max = 512), regex(pattern = r"^[!-~]+$"))]
    pub secret: Option<String>,
    /// A Secret of type `scrapering.io/webhook` in the job's namespace whose entry `secret` is the key. It is read once, when the ring takes the job, and shown nowhere. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// Most pages in one message.
    #[serde(default = "default_batch")]
    #[schemars(with = "i32", range(min = 1, max = 100))]
    pub batch: u32,
}

/// What a webhook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum WebhookEvent {
    /// Its first page may be fetched now.
    Started,
    /// Pages were fetched.
    Page,
    /// It ended, and did not fail.
    Completed,
    /// It ended without one page.
    Failed,
}

fn default_events() -> Vec<WebhookEvent> {
    vec![WebhookEvent::Started, WebhookEvent::Completed, WebhookEvent::Failed]
}

fn default_batch() -> u32 {
    WEBHOOK_BATCH_MAX
}
