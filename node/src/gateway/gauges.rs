//! What is so when the numbers are read: nodes, views, background work, and the frontier of the jobs coordinated here.

use super::{Liveness, RingStatus};
use crate::crawl::jobs::Load;
use crate::metrics::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LivenessLabels {
    liveness: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TaskLabels {
    task: String,
}

/// What a node sees of its ring.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    nodes: Family<LivenessLabels, Gauge>,
    tolerates: Gauge,
    partitions: Gauge,
    moving: Gauge,
    sealed: Gauge,
    under_replicated: Gauge,
    unavailable: Gauge,
    done: Family<TaskLabels, Gauge>,
    remaining: Family<TaskLabels, Gauge>,
    failing: Family<TaskLabels, Gauge>,
    queued: Gauge,
    in_flight: Gauge,
    jobs: Gauge,
}

impl Gauges {
    /// Gauges that are read with `metrics`.
    pub(super) fn of(metrics: &Metrics) -> Self {
        let gauges = Self::default();
        metrics.register(|registry| gauges.register(registry));
        gauges
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("ring_nodes", "Nodes of the ring, as this one sees them", self.nodes.clone());
        let help = "Nodes that may still be lost at the same instant without losing anything acknowledged";
        registry.register("ring_tolerated_losses", help, self.tolerates.clone());
        registry.register("partitions", "Partitions", self.partitions.clone());
        registry.register("partitions_moving", "Partitions that other nodes should keep than do", self.moving.clone());
        registry.register("partitions_sealed", "Partitions whose view is being changed here", self.sealed.clone());
        let help = "Partitions with fewer living copies than a ring of this size keeps";
        registry.register("partitions_under_replicated", help, self.under_replicated.clone());
        let help = "Partitions without a living majority";
        registry.register("partitions_unavailable", help, self.unavailable.clone());
        registry.register("background_units_done", "Units of background work done since the start", self.done.clone());
        registry.register("background_units_remaining", "Units of background work left", self.remaining.clone());
        registry.register("background_failing", "1 if the task failed last", self.failing.clone());
        registry.register("frontier_urls_queued", "URLs that wait, of the jobs coordinated here", self.queued.clone());
        let help = "URLs being fetched, of the jobs coordinated here";
        registry.register("frontier_urls_in_flight", help, self.in_flight.clone());
        registry.register("jobs_coordinated", "Jobs coordinated here that have not ended", self.jobs.clone());
    }

    /// Sets them to what is so now.
    pub(super) fn set(&self, ring: &RingStatus, load: Load) {
        self.queued.set(whole(load.queued));
        self.in_flight.set(whole(load.in_flight));
        self.jobs.set(whole(load.jobs));
        for (liveness, word) in [(Liveness::Alive, "alive"), (Liveness::Suspect, "suspect"), (Liveness::Dead, "dead")] {
            let count = ring.nodes.iter().filter(|node| node.liveness == liveness).count();
            self.nodes.get_or_create(&LivenessLabels { liveness: word }).set(whole(count));
        }
        self.tolerates.set(whole(ring.tolerates));
        self.partitions.set(whole(ring.views.count));
        self.moving.set(whole(ring.views.moving));
        self.sealed.set(whole(ring.views.sealed));
        self.under_replicated.set(whole(ring.views.under_replicated));
        self.unavailable.set(whole(ring.views.unavailable));
        for task in &ring.background {
            let labels = TaskLabels { task: task.name.clone() };
            self.done.get_or_create(&labels).set(whole(task.done));
            self.remaining.get_or_create(&labels).set(whole(task.remaining.unwrap_or_default()));
            self.failing.get_or_create(&labels).set(i64::from(task.state == "failing"));
        }
    }
}

fn whole(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use crate::gateway::tests::House;
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn what_happened_and_what_is_so_stand_in_the_numbers() {
        let house = House::new();
        let text = house.metrics().await;
        for line in [
            "scrapering_ring_nodes{liveness=\"alive\"} 1",
            "scrapering_partitions 256",
            "scrapering_partitions_under_replicated 0",
            "scrapering_frontier_urls_queued 7",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let counted = "scrapering_http_requests_total{method=\"GET\",route=\"/metrics\",status=\"200\"} 1";
        assert!(house.metrics().await.contains(counted), "the request before");
    }

    #[tokio::test]
    async fn the_dashboard_asks_only_for_numbers_that_there_are() {
        let dashboard = include_str!("../../../docs/grafana.json");
        let house = House::new();
        // Requests are counted when they have been answered.
        house.metrics().await;
        let text = house.metrics().await;
        let names = dashboard.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let names: BTreeSet<&str> = names.filter(|name| name.starts_with("scrapering_")).collect();
        assert!(names.len() > 10);
        for name in names {
            let ends = ["_bucket", "_total", "_sum", "_count"];
            let family = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(text.contains(&format!("# TYPE {family} ")), "{name}");
        }
    }
}
