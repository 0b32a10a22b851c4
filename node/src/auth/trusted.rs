//! An issuer that is trusted: its name, what its tokens are meant for, and its keys, kept fresh from where they come.
//!
//! Keys are fetched again when they are old, and at once when a token names one that is not known yet; both no more
//! often than the source allows, so that bad tokens cannot make a node ask without end. A source that fails changes nothing,
//! and nobody whose key is known waits for one that is slow.

use super::keys::{KeyError, KeySet};
use super::scope::Scopes;
use crate::causes;
use futures::future::BoxFuture;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Why keys could not be had. The issuer or the way to it is at fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    /// A file could not be read.
    #[error("the file cannot be read")]
    File(#[from] std::io::Error),
    /// It holds something else.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The issuer did not answer as one.
    #[error("{0}")]
    Strange(&'static str),
    /// The issuer could not be reached.
    #[error("the issuer cannot be reached")]
    Unreachable(#[from] reqwest::Error),
}

/// Where an issuer's keys come from.
pub(super) trait KeySource: Send + Sync + 'static {
    /// The keys as they are now.
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, SourceError>>;
}

/// How often a source is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Keys older than this are fetched again.
    pub(super) fresh: Duration,
    /// Never more often than this.
    pub(super) least: Duration,
}

/// An issuer whose tokens are accepted.
pub(super) struct TrustedIssuer {
    /// `iss` of its tokens.
    pub(super) name: String,
    /// `aud` of its tokens.
    pub(super) audience: String,
    /// What each of its tokens may do besides what it says itself.
    pub(super) granted: Scopes,
    /// Whether it is the ring's own: then its tokens say that they are access tokens.
    pub(super) is_own: bool,
    keys: RwLock<Arc<KeySet>>,
    source: Option<(Box<dyn KeySource>, Pace)>,
    asked: Mutex<Option<Instant>>,
}

impl TrustedIssuer {
    /// An issuer with these keys for ever.
    pub(super) fn fixed(name: String, audience: String, keys: KeySet) -> Self {
        let (granted, keys) = (Scopes::default(), RwLock::new(Arc::new(keys)));
        Self { name, audience, granted, is_own: true, keys, source: None, asked: Mutex::new(None) }
    }

    /// The same, with keys that are fetched anew from `source`.
    pub(super) fn with_source(self, source: impl KeySource, pace: Pace) -> Self {
        Self { source: Some((Box::new(source), pace)), ..self }
    }

    /// An issuer that is not the ring's own; its keys are fetched when the first token comes.
    pub(super) fn elsewhere(
        name: String,
        audience: String,
        granted: Scopes,
        source: impl KeySource,
        pace: Pace,
    ) -> Self {
        let issuer = Self::fixed(name, audience, KeySet::default()).with_source(source, pace);
        Self { granted, is_own: false, ..issuer }
    }

    /// The keys as they are known now.
    pub(super) fn keys(&self) -> Arc<KeySet> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether nothing can be said of a token before the keys are fetched: it names one that is not known, or none is.
    pub(super) fn lacks(&self, needed: Option<&str>) -> bool {
        let keys = self.keys();
        needed.map_or(keys.is_empty(), |id| !keys.knows(id))
    }

    /// Whether the keys are old and nobody fetches them.
    pub(super) fn is_due(&self) -> bool {
        let Some((_, pace)) = &self.source else { return false };
        self.asked.try_lock().is_ok_and(|asked| asked.is_none_or(|asked| asked.elapsed() >= pace.fresh.max(pace.least)))
    }

    /// Fetches the keys if they are old, or if `needed` is not among them.
    pub(super) async fn refresh(&self, needed: Option<&str>) {
        let Some((source, pace)) = &self.source else { return };
        let is_lacking = || self.lacks(needed);
        // Whoever lacks a key waits for it; the others go on with what there is while one of them asks.
        let mut asked = if is_lacking() {
            self.asked.lock().await
        } else {
            let Ok(asked) = self.asked.try_lock() else { return };
            asked
        };
        let age = asked.map_or(Duration::MAX, |asked| asked.elapsed());
        if age < pace.least || (age < pace.fresh && !is_lacking()) {
            return;
        }
        *asked = Some(Instant::now());
        match source.fetch().await {
            Ok(keys) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys),
            Err(error) => {
                tracing::warn!(
                    issuer = self.name,
                    error = causes::told(&error),
                    "the keys of an issuer could not be fetched; the last ones go on"
                );
            }
        }
    }
}

/// The file of the built-in issuer's public keys, which may be rotated while the node runs.
pub(super) struct FileKeys(pub(super) PathBuf);

impl KeySource for FileKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, SourceError>> {
        Box::pin(async { Ok(KeySet::of_pem(&tokio::fs::read(&self.0).await?)?) })
    }
}
