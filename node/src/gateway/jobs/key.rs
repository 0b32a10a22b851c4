//! `Idempotency-Key`: the same key of the same tenant always makes the same thing.

use crate::auth::Tenant;
use crate::gateway::IDEMPOTENCY_KEY_HEADER;
use crate::gateway::problem::{Kind, Problem};
use http::HeaderMap;
use schemars::{Schema, SchemaGenerator, json_schema};
use scrapering_core::frontier::record::JobId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Longest key, characters.
const LONGEST: usize = 255;

/// What a key may be.
pub(in crate::gateway) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": "^[!#-~]+$"})
}

/// The key among `headers`.
pub(in crate::gateway) fn of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY_HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().map(|text| text.trim().trim_matches('"'));
    key.filter(|key| values.next().is_none() && !key.is_empty() && key.len() <= LONGEST).map(Some).ok_or_else(|| {
        let detail = format!(
            "Idempotency-Key must be 1 to {LONGEST} visible ASCII characters, once; a random UUID is a good one"
        );
        Problem::new(Kind::InvalidHeader, detail)
    })
}

/// The id of the job that a key makes, so that nothing needs to be remembered.
pub(super) fn job(tenant: &Tenant, key: &str) -> JobId {
    JobId(uuid(&["scrapering idempotency key", tenant.as_str(), key]).into_bytes())
}

/// The id that these words make: a UUID of version 8 (RFC 9562 section 5.8).
pub(in crate::gateway) fn uuid(words: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in words {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_tenant_always_makes_the_same_id_and_of_another_tenant_another() {
        let tenant = Tenant::default();
        let other: Tenant = "other".parse().expect("tenant");
        let id = job(&tenant, "a");
        assert_eq!(id, job(&tenant, "a"));
        assert_ne!(id, job(&tenant, "b"));
        assert_ne!(id, job(&other, "a"));
        let uuid = uuid::Uuid::from_bytes(id.0);
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, uuid::Variant::RFC4122));
    }
}
