//! `Repr-Digest` (RFC 9530): the SHA-256 of a whole file, as a byte sequence of a structured field (RFC 8941).

use super::DIGEST_HEADER;
use crate::gateway::problem::{Kind, Problem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};

/// The hash that a sender says its content has; algorithms that are not known are left out, as the RFC says.
pub(super) fn of(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Problem> {
    let values = headers.get_all(DIGEST_HEADER).iter().filter_map(|value| value.to_str().ok());
    let mut found = None;
    for member in values.flat_map(|value| value.split(',')) {
        let Some((name, sequence)) = member.trim().split_once('=') else { return Err(wrong()) };
        if name.eq_ignore_ascii_case("sha-256") {
            let encoded = sequence.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).ok_or_else(wrong)?;
            let bytes = STANDARD.decode(encoded).ok().and_then(|bytes| bytes.try_into().ok());
            found = Some(bytes.ok_or_else(wrong)?);
        }
    }
    Ok(found)
}

fn wrong() -> Problem {
    Problem::new(Kind::InvalidHeader, "Repr-Digest must be sha-256=:BASE64: with the 32 bytes of the SHA-256")
}

/// The header of a file.
pub(super) fn value(sha256: &[u8; 32]) -> HeaderValue {
    let text = format!("sha-256=:{}:", STANDARD.encode(sha256));
    HeaderValue::from_str(&text).expect("base64 is visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_back_and_others_are_left_out() {
        let headers =
            |text: &str| HeaderMap::from_iter([(DIGEST_HEADER.parse().expect("name"), text.parse().expect("value"))]);
        let own = value(&[7; 32]).to_str().expect("ASCII").to_owned();
        for text in [own.clone(), format!("sha-512=:AAAA:, {own}")] {
            assert_eq!(of(&headers(&text)).ok(), Some(Some([7; 32])), "{text}");
        }
        assert_eq!(of(&headers("sha-512=:AAAA:")).ok(), Some(None));
        for text in ["sha-256", "sha-256=AAAA", "sha-256=:AAAA:", "sha-256=:%:", ""] {
            assert!(of(&headers(text)).is_err(), "{text}");
        }
    }
}
