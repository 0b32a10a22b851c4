//! The web, and what becomes of a request to it.

use super::super::dice::Dice;
use super::*;
use crate::frontier::history::{Sight, Validators};
use crate::frontier::record::Way;

const HOSTS: usize = 4;

/// Pages on a few hosts; which links to which, and how each behaves, the seed decides.
pub(in super::super) struct Web {
    pub(in super::super) pages: BTreeMap<NormalizedUrl, Page>,
}

pub(in super::super) struct Page {
    links: Vec<NormalizedUrl>,
    /// Attempts that fail before one succeeds.
    failures: u32,
}

fn origin(host: usize) -> String {
    format!("http://{}.test:80", char::from(b'a' + host as u8))
}

impl Web {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x5eed);
        let count = 4 + dice.below(14);
        let name = |dice: &mut Dice, number: u64| {
            let forbidden = if dice.one_in(6) { "x" } else { "p" };
            url(&format!("{}/{forbidden}{number}", origin(dice.below(HOSTS as u64) as usize)))
        };
        let urls: Vec<NormalizedUrl> = (0..count).map(|number| name(&mut dice, number)).collect();
        let mut pages = BTreeMap::new();
        for page in &urls {
            let links = (0..dice.below(5)).map(|_| urls[dice.below(count) as usize].clone()).collect();
            let failures = if dice.one_in(4) { dice.below(5) as u32 } else { 0 };
            pages.insert(page.clone(), Page { links, failures });
        }
        Self { pages }
    }

    /// Two of the pages; together with what is linked from them they are the crawl.
    pub(super) fn seeds(&self) -> Vec<NormalizedUrl> {
        self.pages.keys().step_by(self.pages.len() / 2).cloned().collect()
    }

    /// The first host asks for a pause of three seconds.
    pub(in super::super) fn crawl_delay_ms(host: &str) -> u64 {
        if host == origin(0) { 3_000 } else { 1_000 }
    }

    pub(super) fn robots(host: &str) -> RobotsFile {
        let delay = if host == origin(0) { "Crawl-delay: 3\n" } else { "" };
        RobotsFile::Text(format!("User-agent: *\n{delay}Disallow: /x\n"))
    }

    /// A link that is on every page of a host and is not followed.
    pub(super) fn unfollowed(host: &str) -> NormalizedUrl {
        url(&format!("{host}/out-of-scope"))
    }

    pub(in super::super) fn is_allowed(page: &NormalizedUrl) -> bool {
        page.path().starts_with("/p")
    }

    /// Every page that the crawl has to find.
    pub(in super::super) fn reachable(&self, retries: u32) -> BTreeSet<NormalizedUrl> {
        let mut found: BTreeSet<NormalizedUrl> = BTreeSet::new();
        let mut open = self.seeds();
        while let Some(next) = open.pop() {
            if found.insert(next.clone()) && Self::is_allowed(&next) && self.pages[&next].failures <= retries {
                open.extend(self.pages[&next].links.iter().cloned());
            }
        }
        found
    }
}

/// A page that was fetched, whose number of items tells its visits apart.
fn closed_with(history: History) -> Attempt {
    let PageResult::Fetched(page) = fetched() else { panic!("not a page") };
    Attempt::Closed(PageResult::Fetched(FetchedPage {
        items: history.visits,
        history: Some(Box::new(history)),
        ..page
    }))
}

impl World {
    fn request(&mut self, site: usize, origin: &str, path: &str) -> usize {
        self.check_request(site, origin, path);
        let answered = self.now + 1 + self.dice.below(300);
        let ended = answered + 1 + self.dice.below(300);
        self.seen.push(Seen { origin: origin.to_owned(), path: path.to_owned(), answered, ended, site });
        self.seen.len() - 1
    }

    pub(super) fn fetch_robots(&mut self, site: usize, origin: String) {
        assert!(!self.sites[site].robots_loaded.contains(&origin), "robots.txt is fetched though its record survived");
        let seen = self.request(site, &origin, "/robots.txt");
        self.seen[seen].ended = self.seen[seen].answered;
        self.later(self.seen[seen].answered - self.now, Happening::RobotsEnded(site, origin));
    }

    pub(super) fn fetch(
        &mut self,
        site: usize,
        url: NormalizedUrl,
        depth: u32,
        hash: UrlHash,
        history: Option<Box<History>>,
    ) {
        assert_eq!(hash, UrlHash::of(&url));
        if let Some(known) = &history {
            assert!(
                known.next_ms <= self.now,
                "{url} is visited at {} by {site}, before it is due: {known:?}",
                self.now
            );
        }
        let seen = self.request(site, &url.origin(), url.path());
        self.later(self.seen[seen].answered - self.now, Happening::Answered(seen));
        self.attempts.insert(seen, Attempting { site, url, depth, seen, history, unacknowledged: BTreeSet::new() });
    }

    pub(super) fn answered(&mut self, id: usize) {
        let Some(page) = self.attempts.get(&id) else { return };
        let (site, origin, seen, now) = (page.site, page.url.origin(), page.seen, self.instant());
        self.later(self.seen[seen].ended - self.now, Happening::Ended(id));
        self.with(site, |shard| shard.handle_answered(JOB, &origin, now));
        if self.sites[site].dead {
            self.attempts.remove(&id);
        }
    }

    pub(super) fn ended(&mut self, id: usize) {
        let Some(page) = self.attempts.get(&id) else { return };
        let (site, url, again, now) = (page.site, page.url.clone(), page.history.is_some(), self.instant());
        self.with(site, |shard| shard.handle_fetched(JOB, &url.origin(), &Exchange::untold(true), now));
        let tried = self.seen.iter().filter(|seen| seen.origin == url.origin() && seen.path == url.path()).count();
        if again && self.dice.one_in(5) {
            return self.finish(id, failed());
        }
        let web = &self.web.pages[&url];
        // A page that succeeds within the retries does so soon; the others never do.
        if web.failures > self.spec.retry.max_retries || tried <= web.failures as usize {
            return self.finish(id, failed());
        }
        let parts: BTreeSet<u16> = web.links.iter().map(|link| part_of(&link.origin())).collect();
        self.attempts.entry(id).and_modify(|page| page.unacknowledged.clone_from(&parts));
        if parts.is_empty() {
            self.conclude(id);
        }
        parts.into_iter().for_each(|part| self.send_links(Some(id), part));
    }

    /// Sends the links of a page, or the seeds, to the owner of a part; whoever finds none waits for the next.
    pub(super) fn send_links(&mut self, page: Option<usize>, part: u16) {
        let Some(owner) = self.owner(part) else { return };
        let (urls, depth) = match page {
            Some(id) => {
                let Some(page) = self.attempts.get(&id) else { return };
                (self.web.pages[&page.url].links.clone(), page.depth + 1)
            }
            None => (self.web.seeds(), 0),
        };
        let links = urls
            .into_iter()
            .filter(|url| part_of(&url.origin()) == part)
            .map(|url| Link { url, depth, way: Way::default() })
            .collect();
        let waiter = Waiter(1_000_000 + self.waiters.len() as u64);
        self.waiters.insert(waiter, (page, part));
        self.with(owner, |shard| shard.handle_links(JOB, links, waiter));
    }

    pub(super) fn acknowledged(&mut self, waiter: Waiter) {
        let (page, part) = self.waiters[&waiter];
        let Some(id) = page else {
            self.seeds_missing.remove(&part);
            return self.check_links(&self.web.seeds(), part);
        };
        let Some(page) = self.attempts.get_mut(&id) else { return };
        page.unacknowledged.remove(&part);
        let (url, done) = (page.url.clone(), page.unacknowledged.is_empty());
        self.check_links(&self.web.pages[&url].links, part);
        if done {
            self.conclude(id);
        }
    }

    /// A page was fetched, and its links are acknowledged.
    fn conclude(&mut self, id: usize) {
        let Some(recrawl) = self.spec.recrawl else { return self.finish(id, Attempt::Closed(fetched())) };
        let (validators, content) = (Validators::default(), [self.dice.below(2) as u8; 20]);
        let attempt = match self.attempts[&id].history.as_deref() {
            None => closed_with(History::first(&recrawl, validators, content, self.now)),
            Some(before) if self.dice.one_in(4) || content == before.content => {
                Attempt::Unchanged(Box::new(before.after(&recrawl, Sight::Unchanged, self.now)))
            }
            Some(before) => closed_with(before.after(&recrawl, Sight::Page { validators, content }, self.now)),
        };
        self.finish(id, attempt);
    }

    /// Every request of a site whose lease has lapsed is broken off.
    pub(super) fn break_off(&mut self, site: usize) {
        let ids: Vec<usize> = self.attempts.iter().filter(|(_, page)| page.site == site).map(|(id, _)| *id).collect();
        for id in ids {
            let (origin, seen, now) = (self.attempts[&id].url.origin(), self.attempts[&id].seen, self.instant());
            if self.seen[seen].ended > self.now {
                self.seen[seen].ended = self.now;
                let answered = self.seen[seen].answered <= self.now;
                self.with(site, |shard| shard.handle_fetched(JOB, &origin, &Exchange::untold(answered), now));
                self.finish(id, Attempt::Abandoned);
            }
        }
    }

    fn finish(&mut self, id: usize, attempt: Attempt) {
        let Some(page) = self.attempts.remove(&id) else { return };
        let unfollowed = vec![(Web::unfollowed(&page.url.origin()), SkipReason::OutOfScope)];
        let (origin, now) = (page.url.origin(), self.instant());
        let visit = Visit { job: JOB, url: UrlHash::of(&page.url), origin: &origin, made: None };
        self.with(page.site, |shard| shard.handle_outcome(&visit, attempt, unfollowed, now));
    }
}
