//! `spec.outputs`: where what a job found goes, beside the ring's own lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fetch::SecretRef;
use super::rules;

/// Most outputs in one job.
pub const OUTPUTS_MAX: usize = 8;

/// One output: exactly one of `ring`, `s3` and `gcs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["ring"]}, {"required": ["s3"]}, {"required": ["gcs"]}]))]
pub struct OutputSpec {
    /// What the ring keeps beside items and lists of pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<RingOutputSpec>,
    /// Files in an S3-compatible store, written by the ring when the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3OutputSpec>,
    /// Files in Google Cloud Storage, written by the ring when the job has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcs: Option<GcsOutputSpec>,
}

/// What the ring keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RingOutputSpec {
    /// Whether the pages themselves are kept, with the headers of their answers: none, changed or all. Unless it is none, `limits.maxBodyBytes` is at most 16Mi, and WARC files can be written.
    #[serde(default)]
    pub store_body: StoreBody,
}

/// Which pages are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum StoreBody {
    /// None: their items and what is known of them.
    #[default]
    None,
    /// Every page, as it was read when it was last found changed; of a page without items it is the bytes that count.
    Changed,
    /// Every page, as it was read last.
    All,
}

/// Files in an S3-compatible store, below `prefix` and the job's id. A part appears whole or not at all, and `_SUCCESS` appears last. The store must know conditional requests (`If-None-Match` and `If-Match`), as Amazon's, Cloudflare R2, MinIO and Ceph do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_s3)]
pub struct S3OutputSpec {
    /// Name of the bucket.
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$"))]
    pub bucket: String,
    /// What the names of all files begin with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512), regex(pattern = r"^[A-Za-z0-9._=/-]*$"))]
    pub prefix: String,
    /// The store's region.
    #[serde(default = "default_region")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub region: String,
    /// The store's address, an http or https URL without user and password; without it Amazon's. It must be globally routable, as that of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2083), regex(pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#]+/?$"))]
    pub endpoint: Option<String>,
    /// How what was found is written.
    #[serde(default)]
    pub format: OutputFormat,
    /// How JSON lines and CSV are compressed. Parquet and WARC are compressed anyway.
    #[serde(default)]
    pub compression: OutputCompression,
    /// Name of the access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[!-~]+$"))]
    pub access_key_id: Option<String>,
    /// The access key. Whoever reads the job sees `[secret]` in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!-~]+$"))]
    pub secret_access_key: Option<String>,
    /// A Secret of type `scrapering.io/output` in the job's namespace with the entries `accessKeyId` and `secretAccessKey`. It is read once, when the ring takes the job, and shown nowhere. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretRef>,
}

/// Files in Google Cloud Storage, as in an S3-compatible store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = rules::of_gcs)]
pub struct GcsOutputSpec {
    /// Name of the bucket.
    #[schemars(length(min = 3, max = 63), regex(pattern = r"^[a-z0-9][a-z0-9._-]*[a-z0-9]$"))]
    pub bucket: String,
    /// What the names of all files begin with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512), regex(pattern = r"^[A-Za-z0-9._=/-]*$"))]
    pub prefix: String,
    /// How what was found is written.
    #[serde(default)]
    pub format: OutputFormat,
    /// How JSON lines and CSV are compressed. Parquet and WARC are compressed anyway.
    #[serde(default)]
    pub compression: OutputCompression,
    /// The JSON of a service account's key. Whoever reads the job sees `[secret]` in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 8192))]
    pub service_account_key: Option<String>,
    /// A Secret of type `scrapering.io/output` in the job's namespace with the entry `serviceAccountKey`. It is read once, when the ring takes the job, and shown nowhere. Only in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretRef>,
}

/// How what was found is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum OutputFormat {
    /// Items, one JSON object a line.
    #[default]
    Jsonl,
    /// Items as comma-separated values with a header.
    Csv,
    /// Items as Apache Parquet.
    Parquet,
    /// Pages as WARC 1.1, with an index (CDXJ). The ring must store their bodies.
    Warc,
}

/// How lines are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum OutputCompression {
    /// Not at all.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}
