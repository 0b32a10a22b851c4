//! A server on loopback that answers byte by byte what a test tells it to, and remembers every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scrapering_core::job::NormalizedUrl;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a server does with a connection after it has read the head of a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Writes and closes.
    Close(Vec<u8>),
    /// Writes and then keeps silent until the client leaves.
    Hang(Vec<u8>),
    /// Writes the head, then the same piece until the client leaves.
    Endless(Vec<u8>, Vec<u8>),
    /// The same with a pause after each piece.
    Drip { head: Vec<u8>, piece: Vec<u8>, pause: Duration },
    /// Resets the connection.
    Reset,
}

impl Reply {
    /// A complete answer; `headers` are whole lines, and text/html is added unless they name a type.
    pub(super) fn page(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let content_type =
            if headers.to_ascii_lowercase().contains("content-type:") { "" } else { "content-type: text/html\r\n" };
        let head = format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n{content_type}{headers}\r\n",
            body.len()
        );
        Self::Close([head.as_bytes(), body].concat())
    }

    pub(super) fn redirect(status: u16, location: &str) -> Self {
        Self::page(status, &format!("location: {location}\r\n"), "moved")
    }

    async fn play(self, mut stream: TcpStream) -> std::io::Result<()> {
        match self {
            Self::Close(bytes) => {
                stream.write_all(&bytes).await?;
                stream.shutdown().await?;
                // Reading to the end keeps the kernel from resetting what was written.
                stream.read_to_end(&mut Vec::new()).await?;
            }
            Self::Hang(bytes) => {
                stream.write_all(&bytes).await?;
                stream.read_to_end(&mut Vec::new()).await?;
            }
            Self::Endless(head, piece) => {
                stream.write_all(&head).await?;
                loop {
                    stream.write_all(&piece).await?;
                }
            }
            Self::Drip { head, piece, pause } => {
                stream.write_all(&head).await?;
                loop {
                    stream.write_all(&piece).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Self::Reset => stream.set_zero_linger()?,
        }
        Ok(())
    }
}

pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Answers each request as `answer` says; it is given the path.
    pub(super) async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let answer = Arc::new(answer);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                let answer = Arc::clone(&answer);
                tokio::spawn(async move {
                    // The client hanging up is what many tests are about.
                    let _ = serve(stream, &log, answer.as_ref()).await;
                });
            }
        });
        Self { address, requests, accepting }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self, path: &str) -> NormalizedUrl {
        NormalizedUrl::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    /// The heads of all requests, in lower case.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The paths of all requests.
    pub(super) fn paths(&self) -> Vec<String> {
        self.requests().iter().map(|head| head.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
    }

    /// Stops listening; the port is closed when this returns.
    pub(super) async fn stop(mut self) {
        self.accepting.abort();
        let _cancelled = (&mut self.accepting).await;
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push(head);
    answer(&path).play(stream).await
}
