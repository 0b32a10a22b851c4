//! The shop's server: asks the counter for the page, writes the access log.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{HOST, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Response};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::counter::{Answer, Counter};
use super::{Config, MAX_PRODUCTS};
use crate::access_log::{self, AccessLog};

/// Why a shop could not open, or had to close.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}: choose another address, or port 0 for any free port")]
    Listen {
        /// What was asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The number of products is out of bounds.
    #[error("a shop has 1 to {MAX_PRODUCTS} products, not {products}")]
    Products {
        /// What was asked for.
        products: u32,
    },
    /// The access log cannot be written.
    #[error(transparent)]
    AccessLog(#[from] access_log::Error),
    /// The server stopped by itself.
    #[error("the shop's server failed")]
    Serve(#[source] std::io::Error),
}

/// A shop that is open; it closes when this is dropped.
#[derive(Debug)]
pub struct Shop {
    address: std::net::SocketAddr,
    log: Arc<AccessLog>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Shop {
    /// Where the shop listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// The front page.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The log of this shop, to be asked for its counts.
    pub fn log(&self) -> &AccessLog {
        &self.log
    }

    /// Lets the open requests finish and closes.
    ///
    /// # Errors
    /// [`Error::Serve`] when the server had failed before.
    pub async fn close(mut self) -> Result<(), Error> {
        drop(self.stop.take());
        match self.task.await {
            Ok(served) => served.map_err(Error::Serve),
            Err(_) => Ok(()),
        }
    }
}

/// Opens a shop on the current tokio runtime.
///
/// # Errors
/// The address is taken, the number of products is out of bounds, or the log cannot be created. Nothing is left behind.
pub async fn start(config: Config) -> Result<Shop, Error> {
    if config.products == 0 || config.products > MAX_PRODUCTS {
        return Err(Error::Products { products: config.products });
    }
    let listener =
        TcpListener::bind(config.listen).await.map_err(|source| Error::Listen { address: config.listen, source })?;
    let address = listener.local_addr().map_err(|source| Error::Listen { address: config.listen, source })?;
    let log = AccessLog::create(config.access_log.as_deref())?;
    let counter = Counter::new(config.seed, config.products, config.crawl_delay_s, config.busy_once);
    let open = Open { counter, latency: config.latency, log: Arc::clone(&log) };
    let app = Router::new().fallback(serve).with_state(Arc::new(open));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // Both a message and a dropped sender mean the same.
        let _ = stopped.await;
    });
    let task = tokio::spawn(server.into_future());
    Ok(Shop { address, log, stop: Some(stop), task })
}

/// An open shop as its visitors meet it.
#[derive(Debug)]
struct Open {
    counter: Counter,
    latency: Duration,
    log: Arc<AccessLog>,
}

async fn serve(State(shop): State<Arc<Open>>, request: Parts) -> Response<Body> {
    let header = |name| request.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let visit = shop.log.begin(request.method.as_str(), header(HOST), target, header(USER_AGENT));
    if !shop.latency.is_zero() {
        tokio::time::sleep(shop.latency).await;
    }
    let answer = if shop.log.is_broken() {
        Answer::page(500, "Closed", "The access log cannot be written: is the disk full?")
    } else if matches!(request.method, Method::GET | Method::HEAD) {
        shop.counter.answer(request.uri.path(), request.uri.query())
    } else {
        Answer::page(405, "Look, don't touch", "Only GET and HEAD are served.")
    };
    visit.finish(answer.status);
    let headers = [("content-type", answer.content_type)].into_iter().chain(answer.header);
    let response =
        headers.fold(Response::builder().status(answer.status), |response, (name, value)| response.header(name, value));
    response.body(Body::from(answer.body)).expect("the shop's statuses and headers are well-formed")
}
