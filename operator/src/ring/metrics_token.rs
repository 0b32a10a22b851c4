//! The token by which Prometheus reads the metrics of a ring's nodes: made by the operator, renewed long before it ends.
//!
//! Nothing is remembered: signing is deterministic, so a token that the present key would sign the same way is of that key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::keys::Keys;

/// What the token allows, and nothing else.
const SCOPE: &str = "metrics:read";
/// How long a token lives; it is renewed at half of that, for Prometheus reads the Secret again within minutes.
const LIFE: Duration = Duration::from_secs(7 * 86_400);

#[derive(Deserialize)]
struct Issued {
    iat: u64,
}

/// The token that the Secret shall hold now, given the one that it holds.
///
/// # Errors
/// The key signs nothing: it is of another kind.
pub fn due(
    keys: &Keys,
    tenant: &str,
    present: Option<&str>,
    now: SystemTime,
) -> Result<String, jsonwebtoken::errors::Error> {
    if let Some((present, issued)) = present.and_then(|token| Some((token, issued_at(token)?)))
        && now.duration_since(issued).is_ok_and(|age| age < LIFE / 2)
        && keys.token_for(SCOPE, tenant, LIFE, issued)? == present
    {
        return Ok(present.to_owned());
    }
    keys.token_for(SCOPE, tenant, LIFE, now)
}

fn issued_at(token: &str) -> Option<SystemTime> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Issued { iat } = serde_json::from_slice(&claims).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(iat))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let data = Keys::make(&["main-0.main-peers.web.svc:7443".to_owned()]).expect("keys");
        Keys::read("main-keys", &data).expect("good keys")
    }

    fn at(day: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + day * 86_400)
    }

    #[test]
    fn a_token_stays_for_half_its_life_and_not_beyond_its_key() {
        let (first, other) = (keys(), keys());
        let token = |keys, present, day| due(keys, "web", present, at(day)).expect("a token");
        let made = token(&first, None, 0);
        assert_eq!(token(&first, Some(&made), 3), made);
        assert_ne!(token(&first, Some(&made), 4), made);
        assert_ne!(token(&other, Some(&made), 1), made, "a token of a key that is gone would be refused");
        for garbled in ["", "a.b.c", "....", &made[1..]] {
            assert_eq!(token(&first, Some(garbled), 1), token(&first, None, 1), "{garbled}");
        }
    }
}
