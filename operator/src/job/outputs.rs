//! Credentials of outputs from Secrets: read when a job is handed in, and shown by the ring to nobody.

use std::collections::BTreeMap;

use scrapering_crds::ScrapeJob;
use scrapering_crds::job::OutputSpec;

use super::secrets::{Error, Kind};

/// The Secrets that the job's outputs refer to, with their places.
pub fn references(job: &ScrapeJob) -> Vec<(usize, String)> {
    let named = |output: &OutputSpec| {
        let s3 = output.s3.as_ref().and_then(|s3| s3.credentials_ref.as_ref());
        let gcs = output.gcs.as_ref().and_then(|gcs| gcs.credentials_ref.as_ref());
        s3.or(gcs).map(|reference| reference.name.clone())
    };
    let outputs = job.spec.outputs.iter().enumerate();
    outputs.filter_map(|(place, output)| Some((place, named(output)?))).collect()
}

/// Puts what stands in the Secret called `name` in the place of the reference to it.
///
/// # Errors
/// [`Error::Key`].
pub fn fill(job: &mut ScrapeJob, place: usize, name: &str, mut entries: BTreeMap<String, String>) -> Result<(), Error> {
    let mut entry = |key: &'static str| {
        entries.remove(key).ok_or_else(|| Error::Key { kind: Kind::Output(place), name: name.to_owned(), key })
    };
    let Some(output) = job.spec.outputs.get_mut(place) else { return Ok(()) };
    if let Some(s3) = output.s3.as_mut() {
        s3.access_key_id = Some(entry("accessKeyId")?);
        s3.secret_access_key = Some(entry("secretAccessKey")?);
        s3.credentials_ref = None;
    }
    if let Some(gcs) = output.gcs.as_mut() {
        gcs.service_account_key = Some(entry("serviceAccountKey")?);
        gcs.credentials_ref = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job() -> ScrapeJob {
        serde_json::from_value(json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob", "metadata": { "name": "docs" },
            "spec": { "seeds": [{ "url": "https://example.org/" }], "outputs": [
                { "ring": { "storeBody": "all" } },
                { "s3": { "bucket": "out", "credentialsRef": { "name": "store" } } },
            ] },
        }))
        .expect("a job")
    }

    fn entries(keys: &[&str]) -> BTreeMap<String, String> {
        keys.iter().map(|key| ((*key).to_owned(), format!("{key}!"))).collect()
    }

    #[test]
    fn credentials_take_the_place_of_the_reference_to_them() {
        let mut job = job();
        assert_eq!(references(&job), [(1, "store".to_owned())]);
        fill(&mut job, 1, "store", entries(&["accessKeyId", "secretAccessKey"])).expect("credentials");
        let s3 = job.spec.outputs[1].s3.clone().expect("the output");
        assert_eq!((s3.access_key_id.as_deref(), s3.credentials_ref), (Some("accessKeyId!"), None));
        assert_eq!(s3.secret_access_key.as_deref(), Some("secretAccessKey!"));
        assert_eq!(references(&job), []);
    }

    #[test]
    fn a_secret_without_an_entry_is_refused_by_the_name_of_the_entry() {
        let error = fill(&mut job(), 1, "store", entries(&["accessKeyId"])).expect_err("half of it");
        let said = "spec.outputs[1]: Secret store must have the key secretAccessKey";
        assert_eq!((error.to_string().as_str(), error.reason()), (said, "SecretInvalid"));
    }
}
