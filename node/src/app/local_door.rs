//! The local door of a node: a Unix socket on which its own user may ask it to make way before it is stopped.
//!
//! No token opens it and no certificate: whoever has either may be on another machine. The kernel says who is at the other end
//! (`SO_PEERCRED`, unix(7)), and only the node's own user and root are heard.

use super::parting::Parting;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use axum::serve::Listener;
use http::StatusCode;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::unix::SocketAddr;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Where the node is asked to make way.
pub const PRESTOP_PATH: &str = "/prestop";

/// Pause after a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_secs(1);
const ROOT: u32 = 0;

/// Why there is no local door. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LocalDoorError {
    /// Another node has it.
    #[error("another process listens on the local socket {}; give each node its own", .0.display())]
    InUse(PathBuf),
    /// It would be removed.
    #[error("{} exists and is no socket; name another place for the local socket", .0.display())]
    NotASocket(PathBuf),
    /// The system refused: a folder is missing or not writable, or the path is longer than about 100 bytes.
    #[error("cannot listen on the local socket {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// An open local door; its file goes with it.
#[derive(Debug)]
pub struct LocalDoor {
    listener: UnixListener,
    file: Removed,
}

#[derive(Debug)]
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "the local socket could not be removed");
        }
    }
}

impl LocalDoor {
    /// Opens the door at `path`; a socket that a dead process has left there is replaced. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`LocalDoorError`].
    pub fn open(path: &Path) -> Result<Self, LocalDoorError> {
        let failed = |error| LocalDoorError::Io(path.to_owned(), error);
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(LocalDoorError::NotASocket(path.to_owned())),
            Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
                return Err(LocalDoorError::InUse(path.to_owned()));
            }
            Ok(_) => std::fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let file = Removed(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, file })
    }

    /// Answers until it is dropped; `node` is the node's way out once it has started.
    pub async fn serve(self, node: watch::Receiver<Option<Parting>>) {
        let Self { listener, file: _file } = self;
        let router = Router::new().route(PRESTOP_PATH, post(prestop)).with_state(node);
        if let Err(error) = axum::serve(OwnUser(listener), router).await {
            tracing::error!(%error, "the local socket cannot be served");
        }
    }
}

/// `POST /prestop`: answered with a sentence when the node may be stopped.
async fn prestop(State(node): State<watch::Receiver<Option<Parting>>>) -> (StatusCode, String) {
    let parting = node.borrow().clone();
    let told = match parting {
        Some(parting) => parting.part().await.to_string(),
        None => "the node has not found its ring yet, so nobody counts on it".to_owned(),
    };
    (StatusCode::OK, format!("{told}\n"))
}

/// Takes connections of this process's own user only.
struct OwnUser(UnixListener);

impl Listener for OwnUser {
    type Io = UnixStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (UnixStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) if is_heard(&stream) => return (stream, address),
                Ok(_) => tracing::warn!("another user was turned away at the local socket"),
                Err(error) => {
                    tracing::warn!(%error, "the local socket accepts nobody just now");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn is_heard(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| may_ask(peer.uid(), own))
}

const fn may_ask(peer: u32, own: u32) -> bool {
    peer == own || peer == ROOT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_replaced_only_if_nobody_listens_and_other_files_never() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.sock");
        let door = LocalDoor::open(&path).expect("a new door");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(LocalDoor::open(&path), Err(LocalDoorError::InUse(_))));
        drop(door);
        assert!(!path.exists(), "it goes with the door");

        // As a killed process leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists());
        drop(LocalDoor::open(&path).expect("a door in its place"));

        std::fs::write(&path, "precious").expect("a file");
        assert!(matches!(LocalDoor::open(&path), Err(LocalDoorError::NotASocket(_))));
        assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
        let long = folder.path().join("x".repeat(150));
        assert!(matches!(LocalDoor::open(&long), Err(LocalDoorError::Io(_, _))));
    }

    #[test]
    fn only_the_nodes_own_user_and_root_are_heard() {
        assert!(may_ask(65532, 65532) && may_ask(0, 65532));
        assert!(!may_ask(65533, 65532) && !may_ask(1000, 0));
    }

    #[tokio::test]
    async fn a_node_without_a_ring_may_be_stopped_at_once() {
        // Another test of this process may have installed it.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("node.sock");
        let (_told, node) = watch::channel(None);
        let _served = tokio::spawn(LocalDoor::open(&path).expect("a door").serve(node));
        let client = reqwest::Client::builder().unix_socket(path).no_proxy().build().expect("a client");
        let answer = client.post(format!("http://node{PRESTOP_PATH}")).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.text().await.expect("a sentence").contains("has not found its ring"));
    }
}
