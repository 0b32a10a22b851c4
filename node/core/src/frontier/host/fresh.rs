//! URLs that nobody has looked at yet: the highest priority first, and among equals the one that was found first.

use crate::frontier::record::UrlHash;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// URLs of one piece of a queue, at most.
const PIECE: usize = 1_024;

/// A queue in the order of priority.
#[derive(Debug, Default)]
pub(in crate::frontier) struct Fresh(BTreeMap<Reverse<u8>, Pieces>);

/// A queue that may become very long: no piece is empty, and only the last one has room that is not used.
#[derive(Debug, Default)]
struct Pieces(VecDeque<VecDeque<UrlHash>>);

impl Pieces {
    fn push_back(&mut self, url: UrlHash) {
        match self.0.back_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push_back(url),
            None => self.0.push_back([url].into()),
        }
    }

    fn pop_front(&mut self) -> Option<UrlHash> {
        let first = self.0.front_mut()?;
        let url = first.pop_front();
        if first.is_empty() {
            self.0.pop_front();
        }
        url
    }
}

impl Fresh {
    pub(in crate::frontier) fn push_back(&mut self, url: UrlHash, priority: u8) {
        self.0.entry(Reverse(priority)).or_default().push_back(url);
    }

    pub(in crate::frontier) fn front(&self) -> Option<&UrlHash> {
        self.0.first_key_value()?.1.0.front()?.front()
    }

    pub(in crate::frontier) fn pop_front(&mut self) -> Option<UrlHash> {
        let mut first = self.0.first_entry()?;
        let url = first.get_mut().pop_front();
        // No queue is empty: the first one holds the front.
        if first.get().0.is_empty() {
            first.remove();
        }
        url
    }

    pub(in crate::frontier) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::frontier) fn len(&self) -> usize {
        self.0.values().flat_map(|pieces| &pieces.0).map(VecDeque::len).sum()
    }

    /// Everything in its order.
    pub(in crate::frontier) fn iter(&self) -> impl Iterator<Item = &UrlHash> {
        self.0.values().flat_map(|pieces| &pieces.0).flatten()
    }

    /// Takes everything.
    pub(in crate::frontier) fn drain(&mut self) -> impl Iterator<Item = UrlHash> + use<> {
        std::mem::take(&mut self.0).into_values().flat_map(|pieces| pieces.0).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_priority_comes_first_and_equals_come_in_their_order() {
        let url = |number: u8| UrlHash([number; 20]);
        let mut fresh = Fresh::default();
        for (number, priority) in [(1, 50), (2, 0), (3, 100), (4, 50), (5, 100)] {
            fresh.push_back(url(number), priority);
        }
        assert_eq!(fresh.len(), 5);
        let all: Vec<u8> = fresh.iter().map(|url| url.0[0]).collect();
        let mut order = Vec::new();
        while let Some(front) = fresh.front().copied() {
            assert_eq!(fresh.pop_front(), Some(front));
            order.push(front.0[0]);
        }
        assert_eq!(order, [3, 5, 1, 4, 2]);
        assert_eq!(all, order);
        assert!(fresh.is_empty() && fresh.pop_front().is_none());
        fresh.push_back(url(1), 0);
        assert_eq!(fresh.drain().collect::<Vec<_>>(), [url(1)]);
        assert!(fresh.is_empty());
    }

    #[test]
    fn a_long_queue_keeps_its_order_while_it_grows_and_shrinks() {
        let url = |number: usize| UrlHash([number.to_be_bytes(); 3].concat()[..20].try_into().unwrap());
        let (mut fresh, mut pushed, mut popped) = (Fresh::default(), 0, 0);
        for (push, pop) in [(3 * PIECE + 1, PIECE + 7), (1, 2 * PIECE - 5), (PIECE, PIECE - 1), (5, 3)] {
            (pushed..pushed + push).for_each(|number| fresh.push_back(url(number), 0));
            pushed += push;
            (popped..popped + pop).for_each(|number| assert_eq!(fresh.pop_front(), Some(url(number))));
            popped += pop;
            assert_eq!(fresh.len(), pushed - popped);
            assert!(fresh.iter().copied().eq((popped..pushed).map(url)));
        }
    }
}
