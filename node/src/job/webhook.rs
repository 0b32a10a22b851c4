//! `spec.webhooks`: addresses, events, and keys as bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scrapering_core::frontier::delivery::DeliveryEvent;
use scrapering_core::job::NormalizedUrl;
use scrapering_crds::job::webhook::{WEBHOOK_BATCH_MAX, WEBHOOKS_MAX};
use scrapering_crds::job::{WebhookEvent, WebhookSpec};

use super::report::{Faults, Place, excerpt};

/// What a key in base64 begins with (Standard Webhooks, "Signature scheme").
const KEY_PREFIX: &str = "whsec_";
const SECRET_BYTES_MIN: usize = 16;
const SECRET_BYTES_MAX: usize = 512;
const EVENTS_MAX: usize = 4;

/// A webhook that can be called.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where messages are posted.
    pub url: NormalizedUrl,
    /// What is told.
    pub events: Vec<DeliveryEvent>,
    /// The key that signs messages.
    pub key: Option<Vec<u8>>,
    /// Most pages in one message.
    pub batch: usize,
}

/// The key stays out of every log.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, events, key, batch } = self;
        let is_signed = key.is_some();
        write!(f, "Webhook {{ url: {}, events: {events:?}, is_signed: {is_signed}, batch: {batch} }}", url.as_str())
    }
}

pub(super) fn webhooks(written: &[WebhookSpec], at: &Place, faults: &mut Faults) -> Vec<Webhook> {
    if written.len() > WEBHOOKS_MAX {
        faults.add(at, format!("has {} entries; at most {WEBHOOKS_MAX} are allowed", written.len()));
        return Vec::new();
    }
    written.iter().enumerate().filter_map(|(index, hook)| webhook(hook, &at.index(index), faults)).collect()
}

fn webhook(written: &WebhookSpec, at: &Place, faults: &mut Faults) -> Option<Webhook> {
    if !(1..=EVENTS_MAX).contains(&written.events.len()) {
        faults.add(&at.field("events"), format!("has {} entries; use 1 to {EVENTS_MAX}", written.events.len()));
    }
    if !(1..=WEBHOOK_BATCH_MAX).contains(&written.batch) {
        faults.add(&at.field("batch"), format!("is {}; use 1 to {WEBHOOK_BATCH_MAX}", written.batch));
    }
    if written.secret_ref.is_some() {
        let message = "is read in Kubernetes only; here, write the key into `secret`, which nobody is shown";
        faults.add(&at.field("secretRef"), message);
    }
    let key = written.secret.as_deref().and_then(|secret| key(secret, &at.field("secret"), faults));
    let url = NormalizedUrl::parse(&written.url).map_err(|error| {
        faults.add(&at.field("url"), format!("`{}` {error}", excerpt(&written.url)));
    });
    Some(Webhook {
        url: url.ok()?,
        events: written.events.iter().map(|event| told(*event)).collect(),
        key,
        batch: written.batch as usize,
    })
}

fn key(secret: &str, at: &Place, faults: &mut Faults) -> Option<Vec<u8>> {
    let visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len()) {
        let message = format!("must be {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} printable ASCII characters, no spaces");
        faults.add(at, message);
        return None;
    }
    let Some(encoded) = secret.strip_prefix(KEY_PREFIX) else { return Some(secret.as_bytes().to_vec()) };
    let key = STANDARD.decode(encoded).ok().filter(|key| !key.is_empty());
    if key.is_none() {
        faults.add(at, "begins with `whsec_`, and what follows is not base64; write the key as your receiver has it");
    }
    key
}

const fn told(event: WebhookEvent) -> DeliveryEvent {
    match event {
        WebhookEvent::Started => DeliveryEvent::Started,
        WebhookEvent::Page => DeliveryEvent::Page,
        WebhookEvent::Completed => DeliveryEvent::Completed,
        WebhookEvent::Failed => DeliveryEvent::Failed,
    }
}
