//! The fixture web's server: HTTP/1.1 by hand on a few loopback addresses, so that it can also do what HTTP forbids.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answers;
use super::exchange::{Answer, Manner, Question};
use super::site::Site;
use super::{Config, DOMAIN, MAX_ADDRESSES, MAX_HOSTS, REBINDING};
use crate::access_log::{self, AccessLog};
use crate::shop::MAX_PRODUCTS;
use crate::shop::counter::Counter;

/// Longest head of a request, bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// How long a connection may stay idle.
const IDLE: Duration = Duration::from_secs(60);
/// The most that an endless body sends, bytes, and the longest that a slow header takes.
const ENDLESS_BYTES: usize = 256 << 20;
const SLOW: Duration = Duration::from_secs(120);
/// Attempts to find a port that is free on every address.
const PORTS_TRIED: usize = 20;

/// Why a web could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address is taken, or not this machine's.
    #[error("cannot listen on {address}: choose other addresses, or port 0 for a free one")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The shape of the web is out of bounds.
    #[error(
        "a web has 1 to {MAX_HOSTS} hosts on 1 to {MAX_ADDRESSES} loopback addresses, and {MAX_PRODUCTS} products at most"
    )]
    Shape,
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] access_log::Error),
}

/// A web that is open; it closes when this is dropped.
#[derive(Debug)]
pub struct Web {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    port: u16,
    log: Arc<AccessLog>,
    shop: Option<Counter>,
    /// How often each path of each host was asked for.
    times: Mutex<BTreeMap<String, u32>>,
}

impl Web {
    /// The port on every address.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// How it was set up.
    pub fn config(&self) -> &Config {
        &self.shared.config
    }

    /// The log of this web, to be asked for its counts.
    pub fn log(&self) -> &AccessLog {
        &self.shared.log
    }

    /// The front page of the host with this number.
    pub fn url(&self, number: u32) -> String {
        format!("http://{}:{}/", Site::new(self.config(), number).name(self.config()), self.port())
    }

    /// The options by which `scrapering node` finds every host.
    pub fn options(&self) -> Vec<String> {
        self.resolve_rules().into_iter().flat_map(|rule| ["--resolve".to_owned(), rule]).collect()
    }

    /// Which names are at which address, as `NAME=ADDRESS[,ADDRESS]`.
    pub fn resolve_rules(&self) -> Vec<String> {
        let rule = |(place, address): (usize, &IpAddr)| format!("*.ip{place}.{DOMAIN}={address}");
        let rebinding = self.config().addresses.first().map(|first| format!("{REBINDING}={first},169.254.169.254"));
        self.config().addresses.iter().enumerate().map(rule).chain(rebinding).collect()
    }
}

/// Opens a web on the current tokio runtime.
///
/// # Errors
/// The shape is out of bounds, an address is taken, or the log cannot be created. Nothing is left behind.
pub async fn start(config: Config) -> Result<Web, Error> {
    let loopback = config.addresses.iter().all(IpAddr::is_loopback);
    let shaped = (1..=MAX_HOSTS).contains(&config.hosts)
        && (1..=MAX_ADDRESSES).contains(&config.addresses.len())
        && config.products <= MAX_PRODUCTS;
    if !loopback || !shaped {
        return Err(Error::Shape);
    }
    let (listeners, port) = listen(&config).await?;
    let log = AccessLog::create(config.access_log.as_deref())?;
    let shop = (config.products > 0).then(|| Counter::new(config.seed, config.products, None, true));
    let shared = Arc::new(Shared { config, port, log, shop, times: Mutex::default() });
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(listener, Arc::clone(&shared)));
    }
    Ok(Web { shared, _tasks: tasks })
}

/// Listeners on one port of all addresses.
async fn listen(config: &Config) -> Result<(Vec<TcpListener>, u16), Error> {
    let mut last = None;
    for _ in 0..PORTS_TRIED {
        match listen_once(config).await {
            Ok(found) => return Ok(found),
            Err(error) if config.port == 0 => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(Error::Shape))
}

async fn listen_once(config: &Config) -> Result<(Vec<TcpListener>, u16), Error> {
    let (mut listeners, mut port) = (Vec::new(), config.port);
    for address in &config.addresses {
        let address = SocketAddr::new(*address, port);
        let refused = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        port = listener.local_addr().map_err(refused)?.port();
        listeners.push(listener);
    }
    Ok((listeners, port))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let shared = Arc::clone(&shared);
        // A visitor that goes away in the middle is in the log; there is nothing else to tell of it.
        connections.spawn(async move { drop(serve(stream, &shared).await) });
        while connections.try_join_next().is_some() {}
    }
}

/// A request as far as the web looks at it.
struct Head {
    method: String,
    target: String,
    host: String,
    agent: String,
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let address = stream.local_addr()?.ip();
    let mut read = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream, &mut read).await? else { return Ok(()) };
        let visit = shared.log.begin(&head.method, &head.host, &head.target, &head.agent).at_address(address);
        if !shared.config.latency.is_zero() {
            tokio::time::sleep(shared.config.latency).await;
        }
        let answer = shared.answer(&head);
        let visit = match answer.pause {
            Some(pause) => visit.asking_for_a_pause(pause),
            None => visit,
        };
        match answer.manner {
            Manner::Plain => {
                // The answer is ready: what follows is the network's.
                visit.finish(answer.status);
                stream.write_all(&wire(&answer, answer.body.len())).await?;
                if head.method != "HEAD" {
                    stream.write_all(&answer.body).await?;
                }
            }
            Manner::Reset => {
                visit.finish(access_log::STATUS_CLIENT_GONE);
                stream.set_zero_linger()?;
                return Ok(());
            }
            Manner::CutOff => {
                visit.finish(access_log::STATUS_CLIENT_GONE);
                stream.write_all(&wire(&answer, answer.body.len() * 2)).await?;
                stream.write_all(&answer.body).await?;
                return Ok(());
            }
            Manner::SlowHeader => {
                let sent = slow_header(&mut stream).await;
                visit.finish(access_log::STATUS_CLIENT_GONE);
                return sent;
            }
            Manner::Endless => {
                stream.write_all(&wire(&answer, ENDLESS_BYTES)).await?;
                let sent = endless(&mut stream).await;
                visit.finish(answer.status);
                return sent;
            }
        }
    }
}

/// The next head on the connection; `None` when it is closed, idle for too long, or talks nonsense.
async fn read_head(stream: &mut TcpStream, read: &mut Vec<u8>) -> std::io::Result<Option<Head>> {
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = parse_head(&String::from_utf8_lossy(&read[..end]));
            read.drain(..end + 4);
            return Ok(head);
        }
        let more = tokio::time::timeout(IDLE, stream.read_buf(read)).await;
        if read.len() > HEAD_BYTES || !matches!(more, Ok(Ok(1..))) {
            return Ok(None);
        }
    }
}

fn parse_head(text: &str) -> Option<Head> {
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut host, mut agent) = (String::new(), String::new());
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match name.to_ascii_lowercase().as_str() {
            "host" => host = value.trim().to_owned(),
            "user-agent" => agent = value.trim().to_owned(),
            _ => {}
        }
    }
    Some(Head { method, target, host, agent })
}

fn wire(answer: &Answer, length: usize) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\nContent-Length: {length}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        404 => "Not Found",
        _ => "Otherwise",
    }
}

async fn slow_header(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ").await?;
    let dripping = async {
        loop {
            stream.write_all(b"a").await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(SLOW, dripping).await.unwrap_or(Ok(()))
}

async fn endless(stream: &mut TcpStream) -> std::io::Result<()> {
    let piece = [b'x'; 16 * 1024];
    for _ in 0..ENDLESS_BYTES / piece.len() {
        stream.write_all(&piece).await?;
    }
    Ok(())
}

impl Shared {
    fn answer(&self, head: &Head) -> Answer {
        if self.log.is_broken() {
            return Answer::new(500, "text/plain", "the access log cannot be written: is the disk full?");
        }
        if !matches!(head.method.as_str(), "GET" | "HEAD") {
            return Answer::new(405, "text/plain", "only GET and HEAD are served");
        }
        let name = head.host.rsplit_once(':').map_or(head.host.as_str(), |(name, _)| name);
        if let Some(shop) = self.shop.as_ref().filter(|_| name.parse::<IpAddr>().is_ok()) {
            let (path, query) =
                head.target.split_once('?').map_or((head.target.as_str(), None), |(path, query)| (path, Some(query)));
            return Answer::of_shop(shop.answer(path, query));
        }
        let Some(site) = Site::of_name(&self.config, name) else { return Answer::not_found() };
        let times = {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            let times = times.entry(format!("{name}{}", head.target)).or_default();
            *times += 1;
            *times
        };
        answers::answer(&Question { config: &self.config, port: self.port, site, path: &head.target, times })
    }
}
