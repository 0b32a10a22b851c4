//! What stands behind the shop's counter: finds the page that is asked for, and keeps it for the next visitor.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;

use super::catalog::{CATEGORIES, Catalog};
use super::pages;

/// What stands behind the counter: the catalogue, and the pages written so far.
#[derive(Debug)]
pub(crate) struct Counter {
    catalog: Catalog,
    products: Vec<OnceLock<Bytes>>,
    listings: Vec<Vec<OnceLock<Bytes>>>,
    home: Bytes,
    robots: Bytes,
    was_busy: AtomicBool,
}

/// An answer before it is HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    /// A further header, its name and its value.
    pub(crate) header: Option<(&'static str, &'static str)>,
    pub(crate) body: Bytes,
}

impl Answer {
    fn html(body: Bytes) -> Self {
        Self { status: 200, content_type: "text/html; charset=utf-8", header: None, body }
    }

    pub(super) fn page(status: u16, title: &str, sentence: &str) -> Self {
        Self { status, ..Self::html(pages::plain(title, sentence).into()) }
    }

    fn not_found() -> Self {
        Self::page(404, "Not found", "There is nothing here.")
    }
}

impl Counter {
    /// A shop of `products` products; [`super::Config`] says what the others mean.
    pub(crate) fn new(seed: u64, products: u32, crawl_delay_s: Option<u32>, busy_once: bool) -> Self {
        let catalog = Catalog::new(seed, products);
        let empty = |count: u32| (0..count).map(|_| OnceLock::new()).collect::<Vec<_>>();
        Self {
            products: empty(catalog.products()),
            listings: (0..CATEGORIES.len()).map(|category| empty(catalog.listing_pages(category))).collect(),
            home: pages::home(&catalog).into(),
            robots: pages::robots(crawl_delay_s).into(),
            was_busy: AtomicBool::new(!busy_once),
            catalog,
        }
    }

    /// The answer to a GET of `path`.
    pub(crate) fn answer(&self, path: &str, query: Option<&str>) -> Answer {
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
                let moved = Answer::page(301, "Moved", "See /company/about instead.");
                Answer { header: Some(("Location", "/company/about")), ..moved }
            }
            "/company/about" => Answer::page(200, "About us", "We exist so that crawlers have somewhere to go."),
            "/cart" => Answer::page(200, "Cart", "Crawlers have no business here."),
            "/admin" => Answer::page(200, "Staff only", "Crawlers have no business here."),
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
            let busy = Answer::page(503, "Busy", "Please come again in a second.");
            return Answer { header: Some(("Retry-After", "1")), ..busy };
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
