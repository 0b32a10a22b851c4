//! Where files go: a local folder, an S3-compatible store (`s3://bucket/prefix`) or Google Cloud Storage (`gs://bucket/prefix`).
//!
//! Credentials come from the variables that the tools of these stores know, such as `AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL` and
//! `GOOGLE_SERVICE_ACCOUNT`. A file is put as a whole: a reader sees all of it or nothing.

mod http;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use url::Url;

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
    #[error("{name} was not written")]
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
            let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_http_connector(Connector);
            Arc::new(builder.build().map_err(fault)?)
        } else {
            let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_http_connector(Connector);
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
            .with_http_connector(Connector);
        Ok(Self { store: Arc::new(builder.build()?), prefix: Path::from(prefix) })
    }
}
