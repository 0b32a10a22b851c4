//! Which page is to be visited next: each URL of a job keeps the second in which it is due, and only the next few are in
//! order. When these are done, or what is due lies behind them, the next few are looked for among all.

use crate::frontier::record::UrlHash;
use std::collections::BTreeSet;

/// Most pages in order.
const MOST: usize = 256;

/// The next pages of a job by the second, since 1970, in which they are due.
#[derive(Debug)]
pub(super) struct Agenda {
    next: BTreeSet<(u32, UrlHash)>,
    /// Every page that is due before this second is in `next`.
    complete_until: u32,
}

impl Default for Agenda {
    fn default() -> Self {
        Self { next: BTreeSet::new(), complete_until: u32::MAX }
    }
}

impl Agenda {
    /// Every page with the second in which it is due.
    pub(super) fn of(pages: impl Iterator<Item = (u32, UrlHash)>) -> Self {
        let mut agenda = Self::default();
        pages.for_each(|(due, url)| agenda.note(due, url));
        agenda
    }

    pub(super) fn note(&mut self, due: u32, url: UrlHash) {
        if due >= self.complete_until {
            return;
        }
        self.next.insert((due, url));
        if self.next.len() > MOST
            && let Some((last, _)) = self.next.pop_last()
        {
            self.complete_until = last;
        }
    }

    /// When the next page is due.
    pub(super) fn first(&self) -> Option<u32> {
        let rest = Some(self.complete_until).filter(|until| *until < u32::MAX);
        [self.next.first().map(|(due, _)| *due), rest].into_iter().flatten().min()
    }

    /// Whether pages that are due by `now` may be missing: it has to be made anew.
    pub(super) fn is_short(&self, now: u32) -> bool {
        self.next.first().is_none_or(|(due, _)| *due > now) && self.complete_until <= now
    }

    /// The next page that is due.
    pub(super) fn take(&mut self, now: u32) -> Option<UrlHash> {
        let (due, _) = self.next.first()?;
        if *due > now {
            return None;
        }
        self.next.pop_first().map(|(_, url)| url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn url(number: usize) -> UrlHash {
        let mut hash = [0; 20];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        UrlHash(hash)
    }

    #[test]
    fn only_the_next_few_are_in_order_and_the_rest_is_found_when_their_time_has_come() {
        let all: BTreeMap<UrlHash, u32> = (0..1_000).map(|number| (url(number), 5_000 - number as u32)).collect();
        let mut agenda = Agenda::of(all.iter().map(|(url, due)| (*due, *url)));
        assert_eq!((agenda.next.len(), agenda.first()), (MOST, Some(4_001)));
        assert_eq!(agenda.take(4_000), None);
        let taken: Vec<UrlHash> = std::iter::from_fn(|| agenda.take(9_000)).collect();
        assert_eq!(taken, (1_000 - MOST..1_000).rev().map(url).collect::<Vec<_>>());
        assert!(agenda.is_short(9_000) && !agenda.is_short(4_000), "nobody else is due by then");
        assert_eq!(agenda.first(), Some(4_001 + MOST as u32), "one of those that are not in order");
    }

    proptest! {
        #[test]
        fn every_page_is_taken_once_it_is_due_and_not_before(
            pages in proptest::collection::vec(0_u32..400, 0..1_500),
            steps in proptest::collection::vec(1_u32..90, 1..40),
        ) {
            let mut open: BTreeMap<UrlHash, u32> = pages.into_iter().enumerate().map(|(n, due)| (url(n), due)).collect();
            let mut agenda = Agenda::of(open.iter().map(|(url, due)| (*due, *url)));
            let mut now = 0;
            for (step, delay) in steps.into_iter().enumerate() {
                now += delay;
                loop {
                    if agenda.is_short(now) {
                        agenda = Agenda::of(open.iter().map(|(url, due)| (*due, *url)));
                    }
                    let Some(taken) = agenda.take(now) else { break };
                    prop_assert!(open.remove(&taken).is_some_and(|due| due <= now));
                    prop_assert!(agenda.next.len() <= MOST);
                }
                prop_assert!(open.values().all(|due| *due > now), "a page was passed over");
                prop_assert_eq!(agenda.first(), open.values().min().copied());
                open.insert(url(10_000 + step), now + delay);
                agenda.note(now + delay, url(10_000 + step));
            }
        }
    }
}
