//! The timers and bounds of the membership, with the reason of each.

use std::time::Duration;

/// Timers and bounds. The defaults are those of the ring; a simulation may change them.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// A protocol period: so often the next member is probed (SWIM, section 3.1).
    pub period: Duration,
    /// How long a probe may take; a later answer counts as none.
    pub probe_timeout: Duration,
    /// How long a helper's probe may take: less than the asker waits, so that a "not reached" arrives in time
    /// and says that the helper at least is well (Lifeguard, LHA-Probe).
    pub relay_timeout: Duration,
    /// Members asked to probe in one's stead (k of SWIM, section 3.1).
    pub helpers: usize,
    /// While there are at most so many others, all of them are probed in every period: then everybody sees a
    /// crash for himself within one period, and the confirmations shorten the suspicion at once. In a larger
    /// ring one a period suffices: somebody probes a dead member after 1.6 periods on average, whatever the
    /// size (SWIM, section 3.3).
    pub probe_all_up_to: usize,
    /// A suspicion that others confirmed lasts this many periods, times log10 of the ring's size.
    pub suspicion_periods: f64,
    /// An unconfirmed suspicion lasts so many times longer (Lifeguard, LHA-Suspicion).
    pub suspicion_stretch: f64,
    /// Confirmations by others after which the suspicion is as short as it gets.
    pub confirmations: usize,
    /// In a ring too large for everybody to probe everybody, about so many of those who hear of a suspicion probe
    /// the suspect at once: it learns of it and can refute it, or it is confirmed soon.
    pub witnesses: usize,
    /// While there is something to tell, it is told between probes too, this often ...
    pub gossip_period: Duration,
    /// ... to so many members.
    pub gossip_fanout: usize,
    /// Most updates in a message: it has to fit in the headers of an HTTP/2 request.
    pub updates_per_message: usize,
    /// An update is sent so many times, times log10 of the ring's size.
    pub spread: usize,
    /// How often the whole table is exchanged with a random member.
    pub exchange_period: Duration,
    /// How often a member that is down is spoken to: so the halves of a healed partition find each other.
    pub announce_period: Duration,
    /// The worst local health: periods and timeouts are stretched up to this plus one times.
    pub max_local_health: u32,
    /// A timer served so much too late shows that this process stood still: nobody is judged by it.
    pub standstill: Duration,
    /// A failed call elsewhere brings no second probe of a member that was probed so lately.
    pub hint_pause: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            relay_timeout: Duration::from_millis(400),
            helpers: 3,
            probe_all_up_to: 7,
            suspicion_periods: 2.0,
            suspicion_stretch: 4.0,
            confirmations: 2,
            witnesses: 4,
            gossip_period: Duration::from_millis(250),
            gossip_fanout: 2,
            updates_per_message: 6,
            spread: 8,
            exchange_period: Duration::from_secs(30),
            announce_period: Duration::from_secs(2),
            max_local_health: 8,
            standstill: Duration::from_secs(2),
            hint_pause: Duration::from_millis(200),
        }
    }
}

/// Most names in the table; entries of further names are not taken in.
pub const MAX_MEMBERS: usize = 1024;
/// Tombstones kept of the older generations of one name, the newest; older ones are refused without one.
pub const MAX_TOMBSTONES: usize = 4;
/// Most probes out of turn on their way at a time.
pub const MAX_URGENT: usize = 8;
/// Most members that are told that this process ends.
pub const MAX_FAREWELLS: usize = 8;

/// log10 of a ring of `members`, at least 1.
pub(super) fn scale(members: usize) -> f64 {
    (members as f64).log10().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_ring_is_not_scaled_and_a_large_one_by_its_logarithm() {
        assert_eq!((scale(0), scale(5), scale(10)), (1.0, 1.0, 1.0));
        assert_eq!(scale(1000), 3.0);
    }
}
