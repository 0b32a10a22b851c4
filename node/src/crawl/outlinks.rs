//! Where a fetched document leads: the links of a page, the pages of a sitemap or feed, the sitemaps of a robots.txt.

use super::worker::Visit;
use crate::extract::PageLink;
use crate::extract::listing::Listing;
use scrapering_core::frontier::record::{UrlHash, Way};
use scrapering_core::frontier::shard::Link;
use scrapering_core::job::{DocumentKind, FollowRule, NormalizedUrl, Robots, SkipReason, ValidatedJob};
use std::collections::BTreeSet;

/// Links of one document that are recorded as not followed; more are not worth the disk.
const MOST_UNFOLLOWED: usize = 200;
/// Lists of lists that may lead to a list: an index of indexes is not allowed by sitemaps.org, but sites have them.
const MOST_LEVELS: u16 = 3;

/// What is to be followed, and what is recorded with the reason why not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outlinks {
    pub(super) follow: Vec<Link>,
    pub(super) unfollowed: Vec<(NormalizedUrl, SkipReason)>,
    seen: BTreeSet<UrlHash>,
}

impl Outlinks {
    /// The links of a page, and where it says that it belongs.
    pub(super) fn of_page(job: &ValidatedJob, visit: &Visit, links: Vec<PageLink>, canonical: Option<&str>) -> Self {
        let mut out = Self::default();
        if let Some(url) = canonical.filter(|_| !job.follow.is_empty()).and_then(|url| NormalizedUrl::parse(url).ok()) {
            out.add_beside(job, visit, Link { url, depth: visit.depth, way: Way { redirects: 0, ..visit.way } });
        }
        for link in links {
            let (Ok(url), Some(rule)) = (NormalizedUrl::parse(&link.url), job.follow.get(link.rule)) else { continue };
            match way(visit.way, link.rule, rule) {
                Some(way) => out.add(job, visit, Link { url, depth: visit.depth + 1, way }),
                None => out.leave(visit, url, SkipReason::PageLimit),
            }
        }
        out
    }

    /// The pages that a sitemap or feed names are seeds; further lists are read as well.
    pub(super) fn of_list(job: &ValidatedJob, visit: &Visit, listing: Listing) -> Self {
        let mut out = Self::default();
        let Way { label, priority, page: levels, .. } = visit.way;
        for url in listing.pages.iter().filter_map(|url| NormalizedUrl::parse(url).ok()) {
            let way = Way { label, page: levels + 1, priority, ..Way::default() };
            out.add_beside(job, visit, Link { url, depth: 0, way });
        }
        if levels < MOST_LEVELS {
            let way = Way { redirects: 0, page: levels + 1, ..visit.way };
            out.add_lists(job, visit, way, listing.lists.iter().filter_map(|url| NormalizedUrl::parse(url).ok()));
        }
        out
    }

    /// The sitemaps that a robots.txt names.
    pub(super) fn of_robots(job: &ValidatedJob, visit: &Visit, robots: &Robots) -> Self {
        let mut out = Self::default();
        let way = Way { kind: DocumentKind::List, redirects: 0, page: 1, ..visit.way };
        out.add_lists(job, visit, way, robots.sitemaps().iter().filter_map(|url| visit.url.join(url).ok()));
        out
    }

    /// Lists of the document's own origin, or in scope: a prefix seldom holds them.
    fn add_lists(&mut self, job: &ValidatedJob, visit: &Visit, way: Way, lists: impl Iterator<Item = NormalizedUrl>) {
        for url in lists {
            if url.origin() == visit.url.origin() {
                if self.is_new(visit, &url) {
                    self.follow.push(Link { url, depth: 0, way });
                }
            } else {
                self.add_beside(job, visit, Link { url, depth: 0, way });
            }
        }
    }

    /// Adds what is a link further away, if it is in scope.
    fn add(&mut self, job: &ValidatedJob, visit: &Visit, link: Link) {
        let link = Link { url: job.url_rules.canonical(link.url), ..link };
        let verdict = job.scope.verdict(&link.url, link.depth, visit.way.hops);
        self.sort(job, visit, link, verdict);
    }

    /// Adds what is no link further away, if it is in scope.
    fn add_beside(&mut self, job: &ValidatedJob, visit: &Visit, link: Link) {
        // The parameters of a sitemap choose a part of it.
        let is_page = link.way.kind == DocumentKind::Page;
        let link = if is_page { Link { url: job.url_rules.canonical(link.url), ..link } } else { link };
        let verdict = job.scope.verdict_beside(&link.url, link.way.kind, visit.way.hops.saturating_sub(1));
        self.sort(job, visit, link, verdict);
    }

    fn sort(&mut self, job: &ValidatedJob, visit: &Visit, link: Link, verdict: Result<u32, SkipReason>) {
        let Link { url, depth, way } = link;
        match verdict.and_then(|hops| job.url_rules.check(&url).map(|()| hops)) {
            Ok(hops) if self.is_new(visit, &url) => self.follow.push(Link { url, depth, way: Way { hops, ..way } }),
            Ok(_) => {}
            Err(reason) => self.leave(visit, url, reason),
        }
    }

    fn leave(&mut self, visit: &Visit, url: NormalizedUrl, reason: SkipReason) {
        if self.unfollowed.len() < MOST_UNFOLLOWED && self.is_new(visit, &url) {
            self.unfollowed.push((url, reason));
        }
    }

    fn is_new(&mut self, visit: &Visit, url: &NormalizedUrl) -> bool {
        *url != visit.url && self.seen.insert(UrlHash::of(url))
    }
}

/// How a link that `rule` found is come upon; `None` if its listing has had enough pages.
fn way(from: Way, index: usize, rule: &FollowRule) -> Option<Way> {
    let number = u16::try_from(index + 1).ok()?;
    let way = Way { label: rule.label, priority: rule.priority, ..Way::default() };
    let Some(most) = rule.max_pages else { return Some(way) };
    let pages = if from.rule == number { from.page } else { 1 };
    (pages < most).then(|| Way { rule: number, page: pages + 1, ..way })
}

#[cfg(test)]
mod tests;
