//! Where files go: a local folder, an S3-compatible store (`s3://bucket/prefix`) or Google Cloud Storage (`gs://bucket/prefix`).
//!
//! Credentials come from the variables that the tools of these stores know, such as `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` and
//! `GOOGLE_SERVICE_ACCOUNT`. A file is put as a whole: a reader sees all of it or nothing.

mod http;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig, UpdateVersion};
use url::Url;

use crate::fetch::Fetcher;
use crate::job::output::{Bucket, StoreKind};
use http::Connector;

/// Why a destination cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// It is named in a way that is not understood; the caller is at fault, and nothing was written.
    #[error("`{0}` is no destination; give a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")]
    Name(String),
    /// The local folder cannot be made.
    #[error("the folder {} cannot be made", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A complete export stands there; nothing was written.
    #[error("{0} stands there already: choose another destination, or remove what is there")]
    Occupied(String),
    /// The store did not do what was asked.
    #[error("the store did not do what was asked with {name}")]
    Store {
        /// The file.
        name: String,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
}

/// A place for files.
#[derive(Clone, Debug)]
pub struct Destination {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Destination {
    /// The place that `name` means. A local folder is made if it is not there.
    ///
    /// # Errors
    /// [`DestinationError`].
    pub fn named(name: &str) -> Result<Self, DestinationError> {
        match Url::parse(name) {
            Ok(url) if matches!(url.scheme(), "s3" | "gs") => Self::bucket(name, &url),
            Ok(url) if url.scheme().len() > 1 => Err(DestinationError::Name(name.to_owned())),
            _ => Self::folder(PathBuf::from(name)),
        }
    }

    /// The folder `name` below the prefix of a job's output, reached as pages are: through `fetcher`, and with the job's
    /// credentials only.
    ///
    /// # Errors
    /// [`DestinationError::Store`].
    pub fn of_bucket(bucket: &Bucket, name: &str, fetcher: &Fetcher) -> Result<Self, DestinationError> {
        let fault = |source| DestinationError::Store { name: bucket.bucket.clone(), source };
        let (connector, retry) = (Connector::Guarded(Box::new(fetcher.clone())), retry());
        let store: Arc<dyn ObjectStore> = match &bucket.store {
            StoreKind::S3 { region, endpoint, access_key_id, secret_access_key } => {
                let builder = AmazonS3Builder::new()
                    .with_bucket_name(&bucket.bucket)
                    .with_region(region)
                    .with_access_key_id(access_key_id)
                    .with_secret_access_key(secret_access_key)
                    .with_disable_bulk_delete(true)
                    .with_retry(retry)
                    .with_http_connector(connector);
                let builder = match endpoint {
                    Some(endpoint) => builder.with_allow_http(true).with_endpoint(endpoint.trim_end_matches('/')),
                    None => builder,
                };
                Arc::new(builder.build().map_err(fault)?)
            }
            StoreKind::Gcs { service_account_key } => {
                let builder = GoogleCloudStorageBuilder::new()
                    .with_bucket_name(&bucket.bucket)
                    .with_service_account_key(service_account_key)
                    .with_retry(retry)
                    .with_http_connector(connector);
                Arc::new(builder.build().map_err(fault)?)
            }
        };
        Ok(Self { store, prefix: Path::from(bucket.prefix.as_str()).join(name) })
    }

    fn folder(folder: PathBuf) -> Result<Self, DestinationError> {
        std::fs::create_dir_all(&folder)
            .map_err(|source| DestinationError::Folder { folder: folder.clone(), source })?;
        let store = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|source| DestinationError::Store { name: folder.display().to_string(), source })?
            .with_automatic_cleanup(true)
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), prefix: Path::default() })
    }

    fn bucket(name: &str, url: &Url) -> Result<Self, DestinationError> {
        let fault = |source| DestinationError::Store { name: name.to_owned(), source };
        let bucket = url.host_str().ok_or_else(|| DestinationError::Name(name.to_owned()))?;
        let store: Arc<dyn ObjectStore> = if url.scheme() == "s3" {
            let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_http_connector(Connector::Plain);
            Arc::new(builder.build().map_err(fault)?)
        } else {
            let builder =
                GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_http_connector(Connector::Plain);
            Arc::new(builder.build().map_err(fault)?)
        };
        Ok(Self { store, prefix: Path::from(url.path()) })
    }

    /// Puts a file, whole.
    ///
    /// # Errors
    /// [`DestinationError::Store`]; nothing of the file is visible then.
    pub async fn put(&self, name: &str, content: Bytes) -> Result<(), DestinationError> {
        let put = self.store.put(&self.path(name), PutPayload::from(content)).await;
        put.map(|_| ()).map_err(|source| DestinationError::Store { name: name.to_owned(), source })
    }

    /// Puts a file, whole, where there is none or in the place of the one that was looked at: what somebody else puts
    /// meanwhile stays. The store must know conditional requests.
    ///
    /// # Errors
    /// [`DestinationError::Store`]; nothing of the file is visible then, or it was put and the store's answer was lost.
    pub async fn replace(&self, name: &str, content: Bytes) -> Result<(), DestinationError> {
        let path = self.path(name);
        let put = async |mode: PutMode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&path, PutPayload::from(content.clone()), options).await
        };
        let fault = |source| DestinationError::Store { name: name.to_owned(), source };
        match put(PutMode::Create).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                let there = self.store.head(&path).await.map_err(fault)?;
                let mode = PutMode::Update(UpdateVersion { e_tag: there.e_tag, version: there.version });
                put(mode).await.map(|_| ()).map_err(fault)
            }
            Err(source) => Err(fault(source)),
        }
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// [`DestinationError::Store`]; it may be gone.
    pub async fn remove(&self, name: &str) -> Result<(), DestinationError> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(DestinationError::Store { name: name.to_owned(), source }),
        }
    }

    /// Sees that a file is not there.
    ///
    /// # Errors
    /// [`DestinationError::Occupied`] if it is; [`DestinationError::Store`].
    pub async fn expect_absent(&self, name: &str) -> Result<(), DestinationError> {
        match self.store.head(&self.path(name)).await {
            Ok(_) => Err(DestinationError::Occupied(name.to_owned())),
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(DestinationError::Store { name: name.to_owned(), source }),
        }
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

/// Few attempts: whoever writes for the ring makes others later.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}

#[cfg(test)]
impl Destination {
    /// A store of the kind of S3 at `endpoint`, without TLS.
    pub(super) fn s3(bucket: &str, prefix: &str, endpoint: &str) -> Result<Self, object_store::Error> {
        let builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_endpoint(endpoint)
            .with_region("none")
            .with_allow_http(true)
            .with_access_key_id("key")
            .with_secret_access_key("secret")
            .with_http_connector(Connector::Plain);
        Ok(Self { store: Arc::new(builder.build()?), prefix: Path::from(prefix) })
    }
}
