//! Locks through any gateway. Every request names its operation and may be sent again: it is not done twice.

use super::kv::escaped;
use super::{Client, ClientError, OPERATION_ID, json, operation};
use crate::gateway::LockObject;
use reqwest::Method;
use scrapering_core::kv::UserKey;
use serde_json::json;

impl Client {
    /// Takes a lock for `ttl_seconds`.
    pub(in crate::cli) async fn acquire(
        &self,
        name: &UserKey,
        owner: &str,
        ttl_seconds: u64,
    ) -> Result<LockObject, ClientError> {
        let body = json!({"ttlSeconds": ttl_seconds, "owner": owner});
        self.lock_change(Method::POST, &lock_path(name), Some(&body)).await
    }

    /// Holds a lock for another time to live.
    pub(in crate::cli) async fn renew(&self, name: &UserKey, token: u64) -> Result<LockObject, ClientError> {
        self.lock_change(Method::PUT, &lock_path(name), Some(&json!({"token": token}))).await
    }

    /// Gives a lock back.
    pub(in crate::cli) async fn release(&self, name: &UserKey, token: u64) -> Result<(), ClientError> {
        let path = format!("{}?token={token}", lock_path(name));
        let operation = operation();
        self.call(Method::DELETE, &path, |request| request.header(OPERATION_ID, &operation)).await.map(|_| ())
    }

    /// Who holds a lock.
    pub(in crate::cli) async fn lock(&self, name: &UserKey) -> Result<Option<LockObject>, ClientError> {
        match self.read(&lock_path(name)).await {
            Err(error) if error.slug() == Some("lock-not-held") => Ok(None),
            found => found.map(Some),
        }
    }

    async fn lock_change(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<LockObject, ClientError> {
        let operation = operation();
        let text = body.map(ToString::to_string).unwrap_or_default();
        let answer = self.call(method, path, |request| {
            request.header(OPERATION_ID, &operation).header("content-type", "application/json").body(text.clone())
        });
        json(answer.await?).await
    }
}

fn lock_path(name: &UserKey) -> String {
    format!("/v1/locks/{}", escaped(name.as_str()))
}
