//! `spec.outputs`: what the ring keeps, and where files go.

use scrapering_core::body::MAX_BODY_BYTES;
use scrapering_core::job::NormalizedUrl;
use scrapering_crds::job::ScrapeJobSpec;
use scrapering_crds::job::output::{
    GcsOutputSpec, OUTPUTS_MAX, OutputCompression, OutputFormat, OutputSpec, S3OutputSpec, StoreBody,
};

use super::report::{Faults, FieldError, Place, excerpt};

const PREFIX_BYTES_MAX: usize = 512;
const KEY_BYTES_MAX: usize = 256;
const ACCOUNT_BYTES_MAX: usize = 8_192;
/// Where what only Kubernetes reads is written elsewhere.
const ONLY_IN_KUBERNETES: &str =
    "is read in Kubernetes only; here, write the credentials beside it, which nobody is shown";

/// Where files go and how they are written.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The store.
    pub store: StoreKind,
    /// Name of the bucket.
    pub bucket: String,
    /// What the names of all files begin with.
    pub prefix: String,
    /// How what was found is written.
    pub format: OutputFormat,
    /// How lines are compressed.
    pub compression: OutputCompression,
}

/// A store and what opens it.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// S3 or what speaks like it.
    S3 {
        /// Its region.
        region: String,
        /// Its address unless it is Amazon's.
        endpoint: Option<String>,
        /// Name of the access key.
        access_key_id: String,
        /// The access key.
        secret_access_key: String,
    },
    /// Google Cloud Storage.
    Gcs {
        /// The JSON of a service account's key.
        service_account_key: String,
    },
}

/// Credentials stay out of every log.
impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bucket {{ bucket: {}, prefix: {}, format: {:?} }}", self.bucket, self.prefix, self.format)
    }
}

/// Which pages themselves are kept: the most that any output asks for.
pub(super) fn store_body(written: &[OutputSpec]) -> StoreBody {
    written.iter().filter_map(|output| output.ring.as_ref()).map(|ring| ring.store_body).max().unwrap_or_default()
}

/// The files that are written, in the order of the outputs that ask for them.
pub(super) fn buckets(spec: &ScrapeJobSpec, at: &Place, faults: &mut Faults) -> Vec<Bucket> {
    let at_outputs = at.field("outputs");
    let written = &spec.outputs;
    if written.len() > OUTPUTS_MAX {
        faults.add(&at_outputs, format!("has {} entries; at most {OUTPUTS_MAX} are allowed", written.len()));
        return Vec::new();
    }
    let stores = store_body(written) != StoreBody::None;
    if stores && spec.limits.max_body_bytes.0 > MAX_BODY_BYTES as u64 {
        let message = format!("is {}; pages that the ring keeps have at most 16Mi", spec.limits.max_body_bytes);
        faults.add(&at.field("limits").field("maxBodyBytes"), message);
    }
    let mut buckets: Vec<Bucket> = Vec::new();
    for (index, output) in written.iter().enumerate() {
        let Some((at, bucket)) = bucket(output, stores, &at_outputs.index(index), faults) else { continue };
        if buckets.iter().any(|other| is_same_place(&bucket, other)) {
            let message = "is where another output goes, whose files have the same names; write another prefix";
            faults.add(&at.field("prefix"), message);
        }
        buckets.push(bucket);
    }
    buckets
}

/// Where the files of an export go.
pub(super) fn export(output: &OutputSpec, stores: bool) -> Result<Bucket, Vec<FieldError>> {
    let (at, mut faults) = (Place::root(""), Faults::default());
    if output.ring.is_some() {
        faults.add(&at.field("ring"), "is what the ring keeps while the job runs; an export goes to s3 or gcs");
    }
    let bucket = bucket(output, stores, &at, &mut faults).map(|(_, bucket)| bucket);
    faults.into_result()?;
    bucket.ok_or_else(Vec::new)
}

/// The files that one output asks for, and the place of the store among its fields; none if it asks for no files.
fn bucket(output: &OutputSpec, stores: bool, at: &Place, faults: &mut Faults) -> Option<(Place, Bucket)> {
    let kinds = [("ring", output.ring.is_some()), ("s3", output.s3.is_some()), ("gcs", output.gcs.is_some())];
    let mut kinds = kinds.into_iter().filter(|(_, is_there)| *is_there).map(|(kind, _)| kind);
    let Some(first) = kinds.next() else {
        faults.add(at, "names no place; write one of ring, s3 and gcs");
        return None;
    };
    if let Some(second) = kinds.next() {
        faults.add(&at.field(second), format!("cannot stand beside `{first}`; write two outputs"));
        return None;
    }
    let at = at.field(first);
    let bucket = match output {
        OutputSpec { s3: Some(s3), .. } => s3_bucket(s3, &at, faults),
        OutputSpec { gcs: Some(gcs), .. } => gcs_bucket(gcs, &at, faults),
        OutputSpec { .. } => return None,
    };
    if bucket.format == OutputFormat::Warc && !stores {
        let message = "is warc, which needs the pages themselves; add the output `ring: {storeBody: all}` to the job";
        faults.add(&at.field("format"), message);
    }
    if bucket.compression != OutputCompression::None
        && matches!(bucket.format, OutputFormat::Parquet | OutputFormat::Warc)
    {
        let message = "means nothing for this format, which is compressed anyway; leave it out";
        faults.add(&at.field("compression"), message);
    }
    Some((at, bucket))
}

/// Whether the files of two outputs would stand in one folder.
fn is_same_place(one: &Bucket, other: &Bucket) -> bool {
    let store = |bucket: &Bucket| match &bucket.store {
        StoreKind::S3 { endpoint, .. } => {
            Some(endpoint.as_deref().unwrap_or_default().trim_end_matches('/').to_lowercase())
        }
        StoreKind::Gcs { .. } => None,
    };
    let parts = |bucket: &Bucket| {
        bucket.prefix.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    store(one) == store(other) && one.bucket == other.bucket && parts(one) == parts(other)
}

fn s3_bucket(written: &S3OutputSpec, at: &Place, faults: &mut Faults) -> Bucket {
    name(&written.bucket, &written.prefix, b"-.", at, faults);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !(1..=64).contains(&written.region.len()) || !written.region.bytes().all(is_word) {
        faults.add(&at.field("region"), "is no region; write it as the store does, such as eu-central-1");
    }
    if let Some(endpoint) = &written.endpoint {
        let parsed = NormalizedUrl::parse(endpoint).map_err(|error| error.to_string());
        let problem = match parsed {
            Ok(url) if url.as_url().path() == "/" && url.as_url().query().is_none() => None,
            Ok(_) => Some("has a path or a query; write scheme, host and port only".to_owned()),
            Err(error) => Some(error),
        };
        if let Some(problem) = problem {
            faults.add(&at.field("endpoint"), format!("`{}` {problem}", excerpt(endpoint)));
        }
    }
    if written.credentials_ref.is_some() {
        faults.add(&at.field("credentialsRef"), ONLY_IN_KUBERNETES);
    } else {
        for (field, key) in [("accessKeyId", &written.access_key_id), ("secretAccessKey", &written.secret_access_key)] {
            credential(key.as_deref(), KEY_BYTES_MAX, &at.field(field), faults);
        }
    }
    let store = StoreKind::S3 {
        region: written.region.clone(),
        endpoint: written.endpoint.clone(),
        access_key_id: written.access_key_id.clone().unwrap_or_default(),
        secret_access_key: written.secret_access_key.clone().unwrap_or_default(),
    };
    let S3OutputSpec { bucket, prefix, format, compression, .. } = written.clone();
    Bucket { store, bucket, prefix, format, compression }
}

fn gcs_bucket(written: &GcsOutputSpec, at: &Place, faults: &mut Faults) -> Bucket {
    name(&written.bucket, &written.prefix, b"-._", at, faults);
    let at_key = at.field("serviceAccountKey");
    if written.credentials_ref.is_some() {
        faults.add(&at.field("credentialsRef"), ONLY_IN_KUBERNETES);
    } else if credential(written.service_account_key.as_deref(), ACCOUNT_BYTES_MAX, &at_key, faults) {
        let key: Option<serde_json::Map<String, serde_json::Value>> =
            written.service_account_key.as_deref().and_then(|key| serde_json::from_str(key).ok());
        if !key.is_some_and(|key| ["client_email", "private_key"].iter().all(|name| key.contains_key(*name))) {
            faults.add(&at_key, "is not the JSON of a service account's key, with client_email and private_key");
        }
    }
    let store = StoreKind::Gcs { service_account_key: written.service_account_key.clone().unwrap_or_default() };
    let GcsOutputSpec { bucket, prefix, format, compression, .. } = written.clone();
    Bucket { store, bucket, prefix, format, compression }
}

fn name(bucket: &str, prefix: &str, also: &[u8], at: &Place, faults: &mut Faults) {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = bucket.bytes().next().is_some_and(is_plain) && bucket.bytes().last().is_some_and(is_plain);
    if !ends || !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(|byte| is_plain(byte) || also.contains(&byte))
    {
        let message = format!("`{}` is not the name of a bucket: 3 to 63 of a-z, 0-9, `-` and `.`", excerpt(bucket));
        faults.add(&at.field("bucket"), message);
    }
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"._=/-".contains(&byte);
    if prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(is_path) {
        let message = format!("must be at most {PREFIX_BYTES_MAX} letters, digits and ._=/-");
        faults.add(&at.field("prefix"), message);
    }
}

/// Whether there is a credential that may be one.
fn credential(written: Option<&str>, most: usize, at: &Place, faults: &mut Faults) -> bool {
    match written {
        None => faults.add(at, "is missing; the ring's nodes have no credentials of their own"),
        Some(key) if key.is_empty() || key.len() > most => {
            faults.add(at, format!("must have 1 to {most} characters"));
        }
        Some(_) => return true,
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn faults(output: Value, stores: bool) -> Vec<String> {
        let output: OutputSpec = serde_json::from_value(output).expect("an output");
        export(&output, stores).err().unwrap_or_default().into_iter().map(|fault| fault.path).collect()
    }

    #[test]
    fn an_export_is_judged_as_an_output_is_by_its_own_fields() {
        let s3 = |more: Value| {
            let mut s3 = json!({"bucket": "out", "accessKeyId": "key", "secretAccessKey": "secret"});
            s3.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
            json!({ "s3": s3 })
        };
        assert_eq!(faults(s3(json!({})), false), [""; 0]);
        assert_eq!(faults(s3(json!({"format": "warc"})), true), [""; 0]);
        assert_eq!(faults(s3(json!({"format": "warc"})), false), ["s3.format"]);
        assert_eq!(faults(s3(json!({"bucket": "No", "prefix": "a b"})), false), ["s3.bucket", "s3.prefix"]);
        assert_eq!(faults(json!({"ring": {}}), false), ["ring"]);
        assert_eq!(faults(json!({}), false), [""]);
        assert_eq!(faults(json!({"gcs": {"bucket": "out"}}), false), ["gcs.serviceAccountKey"]);
    }
}
