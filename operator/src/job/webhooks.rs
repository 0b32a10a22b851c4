//! Keys of webhooks from Secrets: read when a job is handed in, and shown by the ring to nobody.
//!
//! Only a Secret of the type [`SECRET_TYPE`] is read, for the reason that [`super::secrets`] gives.

use k8s_openapi::api::core::v1::Secret;
use scrapering_crds::ScrapeJob;
use thiserror::Error;

/// `type` of a Secret that holds the key of a webhook.
pub const SECRET_TYPE: &str = "scrapering.io/webhook";
/// The entry that holds it.
const ENTRY: &str = "secret";

/// Why there is no key. Who wrote the Secret or the reference is at fault.
#[derive(Debug, Error)]
pub enum Error {
    /// No such Secret.
    #[error(
        "spec.webhooks[{place}].secretRef: there is no Secret {name}; the job is handed to the ring once it is there"
    )]
    Missing {
        /// The webhook's place.
        place: usize,
        /// The Secret.
        name: String,
    },
    /// A Secret for something else, or without the entry.
    #[error(
        "spec.webhooks[{place}].secretRef: Secret {name} is not of type {SECRET_TYPE} with a text under {ENTRY}; make one that is"
    )]
    Invalid {
        /// The webhook's place.
        place: usize,
        /// The Secret.
        name: String,
    },
    /// The API server, or what it lets the operator do, is at fault.
    #[error("spec.webhooks: a Secret cannot be read")]
    Api(#[from] kube::Error),
}

impl Error {
    /// The same in one CamelCase word.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "SecretNotFound",
            Self::Invalid { .. } => "SecretInvalid",
            Self::Api(_) => "SecretUnreadable",
        }
    }
}

/// The Secrets that the job's webhooks refer to, with their places.
pub fn references(job: &ScrapeJob) -> Vec<(usize, String)> {
    let hooks = job.spec.webhooks.iter().enumerate();
    hooks.filter_map(|(place, hook)| Some((place, hook.secret_ref.as_ref()?.name.clone()))).collect()
}

/// Puts the key that stands in a Secret in the place of the reference to it.
///
/// # Errors
/// [`Error`].
pub fn fill(job: &mut ScrapeJob, place: usize, name: &str, secret: Option<Secret>) -> Result<(), Error> {
    let secret = secret.ok_or_else(|| Error::Missing { place, name: name.to_owned() })?;
    let key = secret
        .data
        .filter(|_| secret.type_.as_deref() == Some(SECRET_TYPE))
        .and_then(|mut data| String::from_utf8(data.remove(ENTRY)?.0).ok())
        .ok_or_else(|| Error::Invalid { place, name: name.to_owned() })?;
    if let Some(hook) = job.spec.webhooks.get_mut(place) {
        hook.secret = Some(key.trim_end_matches(['\r', '\n']).to_owned());
        hook.secret_ref = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::ByteString;
    use serde_json::json;

    fn job() -> ScrapeJob {
        serde_json::from_value(json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob", "metadata": { "name": "docs" },
            "spec": { "seeds": [{ "url": "https://example.org/" }], "webhooks": [
                { "url": "https://a.example/" },
                { "url": "https://b.example/", "secretRef": { "name": "hook" } },
            ] },
        }))
        .expect("a job")
    }

    fn secret(type_: &str, entry: &str) -> Option<Secret> {
        let data = Some([(entry.to_owned(), ByteString(b"a key of sixteen\n".to_vec()))].into());
        Some(Secret { type_: Some(type_.to_owned()), data, ..Secret::default() })
    }

    #[test]
    fn a_key_takes_the_place_of_the_reference_to_it() {
        let mut job = job();
        assert_eq!(references(&job), [(1, "hook".to_owned())]);
        fill(&mut job, 1, "hook", secret(SECRET_TYPE, "secret")).expect("a key");
        let hook = &job.spec.webhooks[1];
        assert_eq!((hook.secret.as_deref(), hook.secret_ref.as_ref()), (Some("a key of sixteen"), None));
        assert_eq!(references(&job), []);
    }

    #[test]
    fn a_secret_for_something_else_is_not_read() {
        for other in [secret("Opaque", "secret"), secret(SECRET_TYPE, "token")] {
            assert!(matches!(fill(&mut job(), 1, "hook", other), Err(Error::Invalid { place: 1, .. })));
        }
        assert!(matches!(fill(&mut job(), 1, "hook", None), Err(Error::Missing { .. })));
    }
}
