//! Files through any gateway: streamed both ways, their SHA-256 checked at both ends, and a download goes on at another
//! gateway from where it broke off.

use super::kv::escaped;
use super::{Client, ClientError, FIRST_PAUSE, LONGEST_PAUSE, OPERATION_ID, at, json, operation, problem};
use crate::gateway::{FileList, FileObject};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, RANGE};
use reqwest::{Body, Method, Response, StatusCode};
use scrapering_core::kv::UserKey;
use sha2::{Digest, Sha256};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

const DIGEST: &str = "repr-digest";
/// Bytes that are read of a file at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// Longest time that one transfer may take; what stands still is noticed earlier by either end.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest silence of a gateway that sends a file.
const IDLE: Duration = Duration::from_secs(60);

/// What must hold for a file to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum FilePrecondition {
    /// Nothing.
    None,
    /// There is no such file.
    Absent,
    /// It is in this version.
    Version(u64),
}

/// Why a file did not come or go.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum TransferError {
    /// The ring says no, or does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The file on this machine.
    #[error("the file on this machine cannot be read or written")]
    Local(#[from] io::Error),
    /// What came is not what was stored.
    #[error("the content that came has another SHA-256 than the ring says; nothing was kept of it")]
    Digest,
    /// It was replaced while it was read.
    #[error("the file was replaced while it was read; read it again")]
    Replaced,
}

impl Client {
    /// Stores the file at `path` under `name`; `tell` is told how many bytes have been sent.
    pub(in crate::cli) async fn file_put(
        &self,
        name: &UserKey,
        path: &Path,
        content_type: &str,
        precondition: FilePrecondition,
        tell: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<FileObject, TransferError> {
        let (bytes, digest) = hash_of(path).await?;
        // The same name for every attempt, so that none is done twice.
        let operation = operation();
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let index = self.current.load(Ordering::Relaxed);
            let gateway = &self.gateways[index % self.gateways.len()];
            let mut request = self.http.put(at(gateway, &file_path(name))).timeout(TRANSFER_TIMEOUT);
            request = request.bearer_auth(self.token()?).header(OPERATION_ID, &operation);
            request = request.header(DIGEST, format!("sha-256=:{}:", STANDARD.encode(digest)));
            request = request.header(CONTENT_LENGTH, bytes);
            if !content_type.is_empty() {
                request = request.header(CONTENT_TYPE, content_type);
            }
            request = match precondition {
                FilePrecondition::None => request,
                FilePrecondition::Absent => request.header(IF_NONE_MATCH, "*"),
                FilePrecondition::Version(version) => request.header(IF_MATCH, format!("\"{version}\"")),
            };
            let body = Body::wrap_stream(pieces(File::open(path).await?, tell.clone()));
            let error = match request.body(body).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(json(answer).await?),
                Ok(answer) => problem(gateway, answer).await,
                Err(error) => ClientError::of_transport(gateway, &error),
            };
            // Nothing is there until all is: whatever broke off may be sent again.
            if !error.may_pass() || began.elapsed() + pause > self.patience {
                return Err(error.into());
            }
            self.current.store(index + 1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Writes the file `name` to `sink`; `tell` is told how many bytes have come, of how many.
    pub(in crate::cli) async fn file_get(
        &self,
        name: &UserKey,
        sink: &mut (impl AsyncWrite + Unpin),
        tell: impl Fn(u64, u64),
    ) -> Result<(), TransferError> {
        let (mut came, mut hash, mut head): (u64, Sha256, Option<Head>) = (0, Sha256::new(), None);
        let (mut silent_since, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let before = came;
            let broke_off = match self.file_from(name, came).await {
                Ok(answer) => {
                    let found = Head::of(&answer)?;
                    let known = head.get_or_insert_with(|| found.clone());
                    if *known != found {
                        return Err(TransferError::Replaced);
                    }
                    let mut pieces = answer.bytes_stream();
                    while let Ok(Some(Ok(piece))) = tokio::time::timeout(IDLE, pieces.next()).await {
                        hash.update(&piece);
                        sink.write_all(&piece).await?;
                        came += piece.len() as u64;
                        tell(came, known.bytes);
                    }
                    if came >= known.bytes {
                        sink.flush().await?;
                        let is_whole = known.digest == format!("sha-256=:{}:", STANDARD.encode(hash.finalize()));
                        return if is_whole { Ok(()) } else { Err(TransferError::Digest) };
                    }
                    ClientError::strange(&self.gateways[0], "a file that breaks off again and again")
                }
                Err(error) if error.may_pass() => error,
                Err(error) => return Err(error.into()),
            };
            if came > before {
                (silent_since, pause) = (Instant::now(), FIRST_PAUSE);
            }
            if silent_since.elapsed() + pause > self.patience {
                return Err(broke_off.into());
            }
            self.current.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn file_from(&self, name: &UserKey, from: u64) -> Result<Response, ClientError> {
        self.call(Method::GET, &file_path(name), |request| {
            let request = request.timeout(TRANSFER_TIMEOUT);
            if from > 0 { request.header(RANGE, format!("bytes={from}-")) } else { request }
        })
        .await
    }

    /// A piece of the list of files.
    pub(in crate::cli) async fn file_list(&self, prefix: &str, cursor: &str) -> Result<FileList, ClientError> {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("prefix", prefix)
            .append_pair("cursor", cursor)
            .finish();
        self.read(&format!("/v1/files?{query}")).await
    }

    /// Removes a file, if `version` is given only in that version.
    pub(in crate::cli) async fn file_delete(&self, name: &UserKey, version: Option<u64>) -> Result<(), ClientError> {
        let shape = |request: reqwest::RequestBuilder| match version {
            Some(version) => request.header(IF_MATCH, format!("\"{version}\"")),
            None => request,
        };
        self.call(Method::DELETE, &file_path(name), shape).await.map(|_| ())
    }
}

/// What does not change between two answers about the same file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Head {
    version: String,
    digest: String,
    bytes: u64,
}

impl Head {
    fn of(answer: &Response) -> Result<Self, ClientError> {
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let bytes = match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                header("content-range").rsplit('/').next().and_then(|text| text.parse().ok())
            }
            _ => header(CONTENT_LENGTH.as_str()).parse().ok(),
        };
        let strange = || ClientError::strange(answer.url(), "a file without its length");
        let (version, digest) = (header(ETAG.as_str()).to_owned(), header(DIGEST).to_owned());
        Ok(Self { version, digest, bytes: bytes.ok_or_else(strange)? })
    }
}

fn file_path(name: &UserKey) -> String {
    format!("/v1/files/{}", escaped(name.as_str()))
}

/// Length and SHA-256 of a file.
async fn hash_of(path: &Path) -> io::Result<(u64, [u8; 32])> {
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut file = std::pin::pin!(pieces(File::open(path).await?, |_| {}));
    while let Some(piece) = file.next().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        hash.update(&piece);
    }
    Ok((bytes, hash.finalize().into()))
}

/// A file piece by piece.
fn pieces(file: File, tell: impl Fn(u64)) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, tell, 0_u64), |(mut file, tell, sent)| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        let sent = sent + length as u64;
        tell(sent);
        Ok((length > 0).then(|| (Bytes::from(piece), (file, tell, sent))))
    })
}
