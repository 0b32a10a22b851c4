//! What the operator counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// The counters of one operator. A cheap clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<&'static str, Counts>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    reconciles: u64,
    failures: u64,
}

impl Metrics {
    /// Counts a reconcile that begins, of an object of this kind.
    pub fn reconciled(&self, kind: &'static str) {
        self.count(kind, |counts| counts.reconciles += 1);
    }

    /// Counts a reconcile that failed and is tried again.
    pub fn failed(&self, kind: &'static str) {
        self.count(kind, |counts| counts.failures += 1);
    }

    /// Everything, as `/metrics` answers it.
    pub fn text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut text = String::new();
        let mut family = |name: &str, help: &str, value: fn(&Counts) -> u64| {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter").expect("a String takes everything");
            for (kind, counts) in &counts {
                writeln!(text, "{name}{{kind=\"{kind}\"}} {}", value(counts)).expect("a String takes everything");
            }
        };
        family("scrapering_operator_reconciles_total", "Reconciles that were begun.", |counts| counts.reconciles);
        family("scrapering_operator_failures_total", "Reconciles that failed.", |counts| counts.failures);
        text
    }

    fn count(&self, kind: &'static str, change: impl FnOnce(&mut Counts)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_counters() {
        let metrics = Metrics::default();
        metrics.reconciled("ScrapeRing");
        metrics.reconciled("ScrapeRing");
        metrics.failed("ScrapeJob");
        let text = metrics.text();
        assert!(text.contains("scrapering_operator_reconciles_total{kind=\"ScrapeRing\"} 2\n"), "{text}");
        assert!(text.contains("scrapering_operator_failures_total{kind=\"ScrapeJob\"} 1\n"), "{text}");
    }
}
