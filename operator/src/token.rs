//! `scrapering-operator token RING`: a token for a ring's gateway, signed with the ring's own key, for people who may run programs in
//! the operator's pod.
//!
//! A ring needs no OpenID Connect issuer to be read: this is what `scrapering token create` is for a ring on a laptop.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use thiserror::Error;

use crate::ring::contract;
use crate::ring::keys::{self, Keys};

/// What a token may allow.
pub const SCOPES: [&str; 8] =
    ["jobs:read", "jobs:write", "results:read", "kv:read", "kv:write", "hosts:write", "metrics:read", "ring:admin"];

/// Why there is no token. Nothing was changed.
#[derive(Debug, Error)]
pub enum Error {
    /// The API server or the way to it is at fault, or may not be asked.
    #[error("Secret {name} in namespace {namespace} cannot be read")]
    Api {
        /// The Secret.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// There is no such ring, or it has no keys yet.
    #[error("there is no Secret {name} in namespace {namespace}: is the ring there, and is it made already?")]
    Missing {
        /// The Secret.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// The Secret is not what it should be.
    #[error(transparent)]
    Keys(#[from] keys::Error),
    /// The key signs nothing.
    #[error("the ring's key signs no token")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// A token for the gateway of the ring `ring`, good for `life`, with these scopes; what it touches belongs to the tenant called
/// like the `namespace`.
///
/// # Errors
/// [`Error`].
pub async fn token(
    client: Client,
    namespace: &str,
    ring: &str,
    scopes: &[String],
    life: Duration,
) -> Result<String, Error> {
    let (name, namespace) = (contract::keys_name(ring), namespace.to_owned());
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let found = match secrets.get_opt(&name).await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(Error::Missing { name, namespace }),
        Err(source) => return Err(Error::Api { name, namespace, source }),
    };
    let keys = Keys::read(&name, &found.data.unwrap_or_default())?;
    Ok(keys.token_for(&scopes.join(" "), &namespace, life, SystemTime::now())?)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::memory_api::Server;

    async fn made(server: &Server) -> Result<String, Error> {
        let scopes = ["jobs:read", "results:read"].map(str::to_owned);
        token(server.client(), "web", "main", &scopes, Duration::from_secs(3600)).await
    }

    #[tokio::test]
    async fn a_token_is_for_its_namespace_its_scopes_and_its_time_and_a_ring_without_keys_has_none() {
        let server = Server::default();
        assert!(matches!(made(&server).await, Err(Error::Missing { name, .. }) if name == "main-keys"));
        let data = Keys::make(&["main-0.main-peers.web.svc:7443".to_owned()]).expect("keys");
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "main-keys" }, "data": data });
        server.put("/api/v1/namespaces/web/secrets/main-keys", secret);
        let token = made(&server).await.expect("a token");
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("three parts")).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!((&claims["tenant"], &claims["scope"]), (&json!("web"), &json!("jobs:read results:read")));
        let (from, until) = (claims["iat"].as_u64().expect("a time"), claims["exp"].as_u64().expect("a time"));
        assert_eq!(until - from, 3600);
    }
}
