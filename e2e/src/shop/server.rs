//! The shop's server: finds the page, keeps it for the next visitor, writes the access log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION, RETRY_AFTER, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::catalog::{CATEGORIES, Catalog};
use super::{Config, MAX_PRODUCTS, pages};
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
    let counter = Arc::new(Counter::new(&config, Arc::clone(&log)));
    let app = Router::new().fallback(serve).with_state(counter);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // Both a message and a dropped sender mean the same.
        let _ = stopped.await;
    });
    let task = tokio::spawn(server.into_future());
    Ok(Shop { address, log, stop: Some(stop), task })
}

/// What stands behind the counter: the catalogue, and the pages written so far.
#[derive(Debug)]
struct Counter {
    catalog: Catalog,
    products: Vec<OnceLock<Bytes>>,
    listings: Vec<Vec<OnceLock<Bytes>>>,
    home: Bytes,
    robots: Bytes,
    was_busy: AtomicBool,
    latency: Duration,
    log: Arc<AccessLog>,
}

/// An answer before it is HTTP.
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    fn html(body: Bytes) -> Self {
        Self { status: StatusCode::OK, content_type: "text/html; charset=utf-8", header: None, body }
    }

    fn page(status: StatusCode, title: &str, sentence: &str) -> Self {
        Self { status, ..Self::html(pages::plain(title, sentence).into()) }
    }

    fn not_found() -> Self {
        Self::page(StatusCode::NOT_FOUND, "Not found", "There is nothing here.")
    }
}

impl Counter {
    fn new(config: &Config, log: Arc<AccessLog>) -> Self {
        let catalog = Catalog::new(config.seed, config.products);
        let empty = |count: u32| (0..count).map(|_| OnceLock::new()).collect::<Vec<_>>();
        Self {
            products: empty(catalog.products()),
            listings: (0..CATEGORIES.len()).map(|category| empty(catalog.listing_pages(category))).collect(),
            home: pages::home(&catalog).into(),
            robots: pages::robots(config.crawl_delay_s).into(),
            was_busy: AtomicBool::new(!config.busy_once),
            latency: config.latency,
            catalog,
            log,
        }
    }

    fn answer(&self, path: &str, query: Option<&str>) -> Answer {
        if let Some(id) = path.strip_prefix("/product/") {
            return self.product(id);
        }
        if let Some(name) = path.strip_prefix("/category/") {
            return self.listing(name, query);
        }
        match path {
            "/" => Answer::html(self.home.clone()),
            "/robots.txt" => Answer { content_type: "text/plain; charset=utf-8", ..Answer::html(self.robots.clone()) },
            "/about-us" => {
                let moved = Answer::page(StatusCode::MOVED_PERMANENTLY, "Moved", "See /company/about instead.");
                Answer { header: Some((LOCATION, HeaderValue::from_static("/company/about"))), ..moved }
            }
            "/company/about" => {
                Answer::page(StatusCode::OK, "About us", "We exist so that crawlers have somewhere to go.")
            }
            "/cart" => Answer::page(StatusCode::OK, "Cart", "Crawlers have no business here."),
            "/admin" => Answer::page(StatusCode::OK, "Staff only", "Crawlers have no business here."),
            _ => Answer::not_found(),
        }
    }

    fn product(&self, id: &str) -> Answer {
        let Some(id) = number(id) else {
            return Answer::not_found();
        };
        let Some(page) = (id as usize).checked_sub(1).and_then(|place| self.products.get(place)) else {
            return Answer::not_found();
        };
        if id == self.catalog.busy_product() && !self.was_busy.swap(true, Ordering::SeqCst) {
            let busy = Answer::page(StatusCode::SERVICE_UNAVAILABLE, "Busy", "Please come again in a second.");
            return Answer { header: Some((RETRY_AFTER, HeaderValue::from_static("1"))), ..busy };
        }
        let page = page.get_or_init(|| {
            let product = self.catalog.product(id).expect("the shop has a page for each of its products");
            pages::product(&product).into()
        });
        Answer::html(page.clone())
    }

    fn listing(&self, name: &str, query: Option<&str>) -> Answer {
        let category = CATEGORIES.iter().position(|&category| category == name);
        let page = query.unwrap_or("page=1").strip_prefix("page=").and_then(number);
        let (Some(category), Some(page)) = (category, page) else {
            return Answer::not_found();
        };
        let Some(products) = self.catalog.listing(category, page) else {
            return Answer::not_found();
        };
        let written = &self.listings[category][page as usize - 1];
        Answer::html(written.get_or_init(|| pages::listing(&self.catalog, category, page, &products).into()).clone())
    }
}

/// A number as links write it: no sign, no leading zero, so that a page has one path only.
fn number(text: &str) -> Option<u32> {
    let parsed = text.parse::<u32>().ok()?;
    (!text.starts_with('0') && !text.starts_with('+')).then_some(parsed)
}

async fn serve(State(counter): State<Arc<Counter>>, request: Parts) -> Response<Body> {
    let header = |name| request.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let visit = counter.log.begin(request.method.as_str(), header(HOST), target, header(USER_AGENT));
    if !counter.latency.is_zero() {
        tokio::time::sleep(counter.latency).await;
    }
    let answer = if counter.log.is_broken() {
        Answer::page(StatusCode::INTERNAL_SERVER_ERROR, "Closed", "The access log cannot be written: is the disk full?")
    } else if matches!(request.method, Method::GET | Method::HEAD) {
        counter.answer(request.uri.path(), request.uri.query())
    } else {
        Answer::page(StatusCode::METHOD_NOT_ALLOWED, "Look, don't touch", "Only GET and HEAD are served.")
    };
    visit.finish(answer.status.as_u16());
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Some((name, value)) = answer.header {
        response.headers_mut().insert(name, value);
    }
    response
}
