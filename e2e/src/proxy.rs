//! Proxies on loopback: HTTP `CONNECT` (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928, 1929), by hand, with a list of whom they led where.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Longest head of a request, bytes.
const HEAD_BYTES: usize = 8 * 1024;

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// HTTP.
    Http,
    /// SOCKS, version 5.
    Socks5,
}

/// A proxy that listens; it closes when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    kind: Kind,
    address: SocketAddr,
    login: Option<(&'static str, &'static str)>,
    asked: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Proxy {
    /// Opens a proxy on the current tokio runtime; with `login`, nobody else is let through.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(kind: Kind, login: Option<(&'static str, &'static str)>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut task = JoinSet::new();
        let log = Arc::clone(&asked);
        task.spawn(async move {
            let mut tunnels = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tunnels.spawn(async move {
                    // A visitor that is not let through, or leaves, is no news.
                    let _ = serve(stream, kind, login, &log).await;
                });
            }
        });
        Ok(Self { kind, address, login, asked, _task: task })
    }

    /// Where it is, as a job names it.
    pub fn url(&self) -> String {
        let login = self.login.map(|(user, password)| format!("{user}:{password}@")).unwrap_or_default();
        let scheme = if self.kind == Kind::Http { "http" } else { "socks5" };
        format!("{scheme}://{login}{}", self.address)
    }

    /// Where its visitors asked to be led, with the port, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(
    mut visitor: TcpStream,
    kind: Kind,
    login: Option<(&str, &str)>,
    log: &Mutex<Vec<String>>,
) -> anyhow::Result<()> {
    let target = match kind {
        Kind::Http => http(&mut visitor, login).await?,
        Kind::Socks5 => socks5(&mut visitor, login).await?,
    };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    let mut host = TcpStream::connect(&target).await?;
    match kind {
        Kind::Http => visitor.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?,
        Kind::Socks5 => visitor.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?,
    }
    copy_bidirectional(&mut visitor, &mut host).await?;
    Ok(())
}

/// Reads a request for a tunnel; where to.
async fn http(visitor: &mut TcpStream, login: Option<(&str, &str)>) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < HEAD_BYTES, "a head without an end");
        head.push(visitor.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    if let Some((user, password)) = login {
        let expected = format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}")));
        if !head.contains(&expected) {
            visitor.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await?;
            bail!("no login");
        }
    }
    let mut words = head.split(' ');
    if words.next() != Some("CONNECT") {
        visitor.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n").await?;
        bail!("not a request for a tunnel");
    }
    Ok(words.next().context("no target")?.to_owned())
}

/// Reads a handshake; where to.
async fn socks5(visitor: &mut TcpStream, login: Option<(&str, &str)>) -> anyhow::Result<String> {
    ensure!(visitor.read_u8().await? == 5, "another version");
    let mut methods = vec![0; visitor.read_u8().await?.into()];
    visitor.read_exact(&mut methods).await?;
    let method = if login.is_some() { 2 } else { 0 };
    if !methods.contains(&method) {
        visitor.write_all(&[5, 0xff]).await?;
        bail!("no common method");
    }
    visitor.write_all(&[5, method]).await?;
    if let Some(login) = login {
        ensure!(visitor.read_u8().await? == 1, "another version of the login");
        let user = text(visitor).await?;
        let is_known = (user.as_str(), text(visitor).await?.as_str()) == login;
        visitor.write_all(&[1, u8::from(!is_known)]).await?;
        ensure!(is_known, "a wrong login");
    }
    let mut request = [0; 4];
    visitor.read_exact(&mut request).await?;
    ensure!(request[..2] == [5, 1], "not a request for a connection");
    let host = match request[3] {
        1 => Ipv4Addr::from_bits(visitor.read_u32().await?).to_string(),
        4 => format!("[{}]", Ipv6Addr::from_bits(visitor.read_u128().await?)),
        3 => text(visitor).await?,
        _ => bail!("an unknown kind of address"),
    };
    Ok(format!("{host}:{}", visitor.read_u16().await?))
}

/// A text behind its length.
async fn text(visitor: &mut TcpStream) -> anyhow::Result<String> {
    let mut bytes = vec![0; visitor.read_u8().await?.into()];
    visitor.read_exact(&mut bytes).await?;
    Ok(String::from_utf8(bytes)?)
}
