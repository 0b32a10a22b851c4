//! What must hold while the world runs, and at its end.

use super::*;
use crate::frontier::keys::origin_hash;
use crate::frontier::{LEASE, LEASE_HOLD};

impl World {
    pub(super) fn check_links(&self, links: &[NormalizedUrl], part: u16) {
        for link in links.iter().filter(|link| part_of(&link.origin()) == part) {
            assert!(self.url_record(link).is_some(), "{link} is acknowledged without a register");
        }
    }

    pub(super) fn check_request(&self, site: usize, origin: &str, path: &str) {
        let Site { part, token, claimed_at, .. } = self.sites[site];
        let host = Name::Host(origin_hash(origin)).key(Partition(part));
        assert!(
            path == "/robots.txt" || self.registers.map.contains_key(&host),
            "{path} is requested before robots.txt is known"
        );
        assert!(!path.starts_with("/x"), "{path} is disallowed");
        let lease = |since: u64, length: Duration| since + length.as_millis() as u64;
        assert!(token == Token(1) || self.now >= lease(claimed_at, LEASE), "a new owner fetches within the lease");
        let successor = self.sites.iter().find(|other| other.part == part && other.token.0 == token.0 + 1);
        let until = successor.map_or(u64::MAX, |other| lease(other.claimed_at, LEASE_HOLD));
        assert!(self.now <= until, "a deposed owner fetches after its lease");
        let limit = self.spec.politeness.concurrent_requests_per_host as usize;
        let in_flight =
            self.seen.iter().filter(|seen| seen.origin == origin && seen.site == site && seen.ended > self.now).count();
        assert!(in_flight < limit, "more than {limit} in flight");
        // The crawl delay is not known before robots.txt is.
        let delay = if path == "/robots.txt" { 1_000 } else { Web::crawl_delay_ms(origin) };
        for seen in self.seen.iter().filter(|seen| seen.origin == origin) {
            assert!(seen.answered + delay <= self.now, "{path} on {origin} at {} after {seen:?}", self.now);
        }
    }

    pub(super) fn url_record(&self, url: &NormalizedUrl) -> Option<UrlRecord> {
        let key = Name::Url(JOB, UrlHash::of(url)).key(Partition(part_of(&url.origin())));
        Some(decode(self.registers.map.get(&key)?.content.as_ref()?).expect("a record"))
    }

    /// Every URL has one result, and the counters are what the records say.
    pub(in super::super) fn check_end(&self) {
        for page in self.web.reachable(self.spec.retry.max_retries) {
            let found = self.url_record(&page).is_some();
            assert!(found || self.faults.max_pages.is_some(), "{page} was not found");
        }
        for part in 0..PARTS {
            let (mut expected, urls, links) = self.recount(part);
            let told = self.results(part);
            let distinct: BTreeSet<UrlHash> = told.iter().copied().collect();
            assert_eq!(told.len(), distinct.len(), "a result is told once");
            assert!(urls.is_subset(&distinct) && links.is_subset(&distinct), "every result is told");
            // A link that only a deposed owner saw, on a page that was closed without it, belongs to no page.
            expected.unfollowed = (distinct.len() - urls.len()) as u64;
            let site = self.owner(part).expect("an owner");
            assert_eq!(self.counters(site), expected);
            assert_eq!(expected.done(), expected.discovered);
        }
    }

    /// No page is forgotten: each was visited when it was due, or soon after that.
    pub(in super::super) fn check_visits(&self) {
        let records = self.registers.map.iter().filter(|(key, _)| matches!(Name::parse(key), Some(Name::Url(..))));
        for (_, value) in records {
            let record: UrlRecord = decode(value.content.as_deref().expect("nothing is removed")).expect("a record");
            let Some(history) = record.history() else { continue };
            assert!(history.next_ms + 60_000 > STOPPED_AT, "{} was due at {}", record.url, history.next_ms);
        }
    }

    /// The most often that a page was requested.
    pub(in super::super) fn most_requests(&self) -> usize {
        let mut times: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for seen in self.seen.iter().filter(|seen| seen.path != "/robots.txt") {
            *times.entry((&seen.origin, &seen.path)).or_default() += 1;
        }
        times.into_values().max().unwrap_or(0)
    }

    /// The counters, the URLs, and the links that a page showed, as the records tell them.
    fn recount(&self, part: u16) -> (Counters, BTreeSet<UrlHash>, BTreeSet<UrlHash>) {
        let (mut counters, mut urls, mut links) = (Counters::default(), BTreeSet::new(), BTreeSet::new());
        for (key, value) in self.registers.map.iter().filter(|(key, _)| key.partition.0 == part) {
            let content = value.content.as_ref().expect("nothing is removed");
            let Some(Name::Url(_, hash)) = Name::parse(key) else { continue };
            let record: UrlRecord = decode(content).expect("a record");
            let UrlState::Closed { result, .. } = record.state else { panic!("{} is open", record.url) };
            urls.insert(hash);
            counters.discovered += 1;
            counters.admitted += u64::from(record.admitted);
            counters.admitted_closed += u64::from(record.admitted);
            match result {
                PageResult::Fetched(page) => {
                    counters.succeeded += 1;
                    counters.items += u64::from(page.items);
                    counters.item_errors += u64::from(page.item_errors);
                    counters.bytes += page.bytes;
                    counters.not_modified += page.history.map_or(0, |history| history.not_modified.into());
                    let page = NormalizedUrl::parse(&record.url).expect("a URL");
                    links.insert(UrlHash::of(&Web::unfollowed(&page.origin())));
                }
                PageResult::Failed { .. } => counters.failed += 1,
                PageResult::Skipped { .. } => counters.skipped += 1,
            }
        }
        (counters, urls, links)
    }

    /// What a reader from the beginning is told.
    fn results(&self, part: u16) -> Vec<UrlHash> {
        let shard = self.owner(part).and_then(|site| self.sites[site].shard.as_ref()).expect("an owner");
        shard.results(JOB, 0, usize::MAX, |_| true).into_iter().map(|(_, _, hash)| hash).collect()
    }

    /// How often a reader that went on after its cursor all along has seen each result.
    pub(in super::super) fn times_read(&self) -> BTreeMap<UrlHash, usize> {
        (0..PARTS)
            .flat_map(|part| self.results(part))
            .map(|hash| (hash, self.read.get(&hash).copied().unwrap_or(0)))
            .collect()
    }

    /// Pages admitted; after [`Self::check_end`] also in the records.
    pub(in super::super) fn admitted(&self) -> u64 {
        (0..PARTS).filter_map(|part| self.owner(part)).map(|site| self.counters(site).admitted).sum()
    }

    /// Distinct pages that were requested.
    pub(in super::super) fn requested(&self) -> u64 {
        let pages: BTreeSet<(&str, &str)> =
            self.seen.iter().map(|seen| (seen.origin.as_str(), seen.path.as_str())).collect();
        pages.into_iter().filter(|(_, path)| *path != "/robots.txt").count() as u64
    }
}
