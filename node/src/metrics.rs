//! The numbers of a node for Prometheus: what it answered, fetched and looked up, counted where it happens.
//!
//! What is so rather than happens (nodes, views, the frontier) the gateway adds when the numbers are read. Names follow
//! the conventions of Prometheus: base units, `_total` for counters.

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: &'static str,
    status: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RuleLabels {
    rule: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// What comes of a request to a crawled host.
const CLASSES: [&str; 6] = ["2xx", "3xx", "4xx", "5xx", "other", "unanswered"];

/// Which promise a request broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// It left too soon after the answer before it, or before there was one.
    Delay,
    /// It was one too many.
    Concurrency,
}

impl Breach {
    /// The words that the metric's label `rule` has.
    pub(crate) const WORDS: [&'static str; 2] = ["delay", "concurrency"];

    pub(crate) const fn word(self) -> &'static str {
        let [delay, concurrency] = Self::WORDS;
        match self {
            Self::Delay => delay,
            Self::Concurrency => concurrency,
        }
    }
}

/// From a tenth of a millisecond to 52 seconds, each twice the one before.
#[derive(Clone, Debug)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.000_1, 2.0, 20))
    }
}

/// The numbers of a node. A cheap clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram, Seconds>,
    fetches: Family<ClassLabels, Counter>,
    fetch_seconds: Histogram,
    breaches: Family<RuleLabels, Counter>,
    lookup_hops: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("scrapering");
        let inner = Inner {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(Seconds),
            fetches: Family::default(),
            fetch_seconds: Seconds.new_metric(),
            breaches: Family::default(),
            lookup_hops: Histogram::new((0..12).map(f64::from)),
            registry: Mutex::default(),
        };
        // What has not happened yet is zero, and not unknown.
        for class in CLASSES {
            drop(inner.fetches.get_or_create(&ClassLabels { class }));
        }
        for rule in Breach::WORDS {
            drop(inner.breaches.get_or_create(&RuleLabels { rule }));
        }
        inner.register(&mut registry);
        *inner.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered by the gateway", self.requests.clone());
        let help = "Time to the header of an answer of the gateway";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.request_seconds.clone());
        registry.register("fetches", "Requests sent to crawled hosts, by status class", self.fetches.clone());
        let help = "Time to the header of an answer of a crawled host";
        registry.register_with_unit("fetch_duration", help, Unit::Seconds, self.fetch_seconds.clone());
        let help = "Requests that left sooner, or with more others, than their jobs promise a host; always zero";
        registry.register("politeness_violations", help, self.breaches.clone());
        registry.register("ring_lookup_hops", "Nodes asked in a lookup", self.lookup_hops.clone());
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "Which version runs here", build);
    }
}

impl Metrics {
    /// The gateway answered a request to the route `route`.
    pub(crate) fn answered(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let method = method.to_string();
        let labels = RequestLabels { method: method.clone(), route, status: u32::from(status.as_u16()) };
        self.inner.requests.get_or_create(&labels).inc();
        self.inner.request_seconds.get_or_create(&RouteLabels { method, route }).observe(took.as_secs_f64());
    }

    /// A request to a crawled host was answered with `status`, or not at all.
    pub(crate) fn fetched(&self, status: Option<u16>, took: Duration) {
        let [success, redirect, refusal, failure, other, unanswered] = CLASSES;
        let class = match status.map(|status| status / 100) {
            Some(2) => success,
            Some(3) => redirect,
            Some(4) => refusal,
            Some(5) => failure,
            Some(_) => other,
            None => unanswered,
        };
        self.inner.fetches.get_or_create(&ClassLabels { class }).inc();
        self.inner.fetch_seconds.observe(took.as_secs_f64());
    }

    /// A request to a crawled host broke what its job promises.
    pub(crate) fn breached(&self, breach: Breach) {
        self.inner.breaches.get_or_create(&RuleLabels { rule: breach.word() }).inc();
    }

    /// A lookup was answered after asking so many nodes.
    pub(crate) fn looked_up(&self, hops: usize) {
        self.inner.lookup_hops.observe(hops as f64);
    }

    /// Adds numbers of somebody else.
    pub(crate) fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All numbers, as OpenMetrics text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to memory does not fail");
        text
    }
}
