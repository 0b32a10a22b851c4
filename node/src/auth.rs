//! Who may do what: tokens of the ring's built-in issuer or of another, the scopes they carry, and the tenant they speak for.
//!
//! [`Issuer`] signs (Ed25519), [`Verifier`] checks: by the keys of the trusted issuers (`trusted`), which come from a
//! file or from any OpenID Connect issuer (`oidc`) and are fetched anew, and by the list of revoked tokens. The gateway asks the verifier before it reads anything else of
//! a request; which scope a route needs stands in the gateway's route table.

mod claims;
mod error;
mod issuer;
mod keys;
mod oidc;
mod revoked;
mod scope;
mod tenant;
mod trusted;
mod verifier;

pub use claims::Caller;
pub use error::AuthError;
pub use issuer::{Grant, IssueError, Issuer, LONGEST_TTL};
pub use keys::KeyError;
pub use oidc::{OidcError, OidcOptions};
pub use revoked::Revoked;
pub use scope::{Scope, ScopeError, Scopes};
pub use tenant::{Tenant, TenantError};
pub use verifier::{Verifier, token_id};

use scrapering_core::id::RingId;

/// What every token of ours is meant for (RFC 7519 section 4.1.3): a gateway of a ring.
pub const AUDIENCE: &str = "scrapering-gateway";

/// `typ` of an access token (RFC 9068 section 2.1).
const TOKEN_TYPE: &str = "at+jwt";

/// Who signed: the built-in issuer of the ring `ring_id`. Another ring's token is another issuer's.
fn issuer_name(ring_id: RingId) -> String {
    format!("urn:scrapering:ring:{ring_id}")
}

#[cfg(test)]
mod tests;
