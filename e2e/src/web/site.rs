//! What a host of the fixture web is like: decided by the seed and its number alone, so that the judge knows it too.

use std::time::Duration;

use super::{Config, DOMAIN};

/// The paths that robots.txt forbids wherever it forbids anything.
pub const SECRET: &str = "/secret";
/// What a robots.txt with wildcards forbids: paths that end like this.
pub const SECRET_ENDING: &str = ".tmp";
/// The product token of the group that some robots.txt write for one crawler alone.
pub const TOKEN: &str = "webtest";

/// What a host answers to a request for `/robots.txt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Robots {
    /// 404: everything is allowed.
    Missing,
    /// An empty file.
    Empty,
    /// `/secret` is forbidden.
    Disallow,
    /// `/secret` and everything that ends with `.tmp` is forbidden, with wildcards.
    Wildcards,
    /// `/secret` is forbidden to one crawler; to all others everything is.
    ForOne,
    /// `/secret` is forbidden, and a pause asked for.
    CrawlDelay(Duration),
    /// Everything is forbidden.
    DisallowAll,
    /// Always 500: nothing may be fetched.
    Broken,
    /// 503 with `Retry-After` the first time, `/secret` forbidden from then on.
    Busy,
    /// A redirect to another file of the host, which forbids `/secret`.
    Moved,
    /// 600 KiB, the rule against `/secret` at the beginning.
    Huge,
    /// Byte order mark, carriage returns, comments, odd case; `/secret` is forbidden.
    Untidy,
}

impl Robots {
    /// Every kind, in the order in which the first hosts have them.
    pub const ALL: [Self; 12] = [
        Self::Disallow,
        Self::Missing,
        Self::Empty,
        Self::Wildcards,
        Self::ForOne,
        Self::CrawlDelay(Duration::from_secs(1)),
        Self::DisallowAll,
        Self::Broken,
        Self::Busy,
        Self::Moved,
        Self::Huge,
        Self::Untidy,
    ];

    /// What a crawler with the token [`TOKEN`] may not fetch: beginnings of paths, and endings behind a `*`.
    pub fn disallowed(self) -> Vec<String> {
        match self {
            Self::Missing | Self::Empty => Vec::new(),
            Self::DisallowAll | Self::Broken => vec!["/".to_owned()],
            Self::Wildcards => vec![SECRET.to_owned(), format!("*{SECRET_ENDING}")],
            _ => vec![SECRET.to_owned()],
        }
    }

    /// The pause it asks for.
    pub fn crawl_delay(self) -> Duration {
        if let Self::CrawlDelay(delay) = self { delay } else { Duration::ZERO }
    }
}

/// A host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Its number, from 0.
    pub number: u32,
    /// What its robots.txt is.
    pub robots: Robots,
    /// Its pages beside the front page, `/p/1` and on.
    pub pages: u32,
    /// Whether its front page leads to everything that goes wrong out there.
    pub is_odd: bool,
}

/// One host in so many has oddities.
const ODD_EVERY: u32 = 8;

impl Site {
    /// The host with this number.
    pub fn new(config: &Config, number: u32) -> Self {
        let kinds = u32::try_from(Robots::ALL.len()).unwrap_or(u32::MAX);
        let dice = mix(config.seed, u64::from(number));
        // The first hosts have every kind once; further out most have what most have.
        let robots = match number {
            number if number < kinds => Robots::ALL[number as usize],
            _ if dice.is_multiple_of(4) => Robots::ALL[(dice >> 8) as usize % Robots::ALL.len()],
            _ => Robots::Disallow,
        };
        let pages = 1 + u32::try_from((dice >> 32) % u64::from(config.pages.max(1))).unwrap_or(0);
        Self { number, robots, pages, is_odd: number.is_multiple_of(ODD_EVERY) }
    }

    /// Its name.
    pub fn name(self, config: &Config) -> String {
        format!("h{}.ip{}.{DOMAIN}", self.number, self.number as usize % config.addresses.len().max(1))
    }

    /// The host with this name; `None` if there is none.
    pub fn of_name(config: &Config, name: &str) -> Option<Self> {
        let digits = name.strip_prefix('h')?.split_once('.')?.0;
        let number = digits.parse().ok().filter(|number| *number < config.hosts)?;
        Some(Self::new(config, number)).filter(|site| site.name(config) == name)
    }

    /// Pages of this host that the page `from` (0: the front page) links to.
    pub fn links(self, config: &Config, from: u32) -> Vec<u32> {
        let next = from % self.pages + 1;
        let mut links = vec![next];
        links.extend((0..4).map(|die| {
            let dice = mix(config.seed ^ 0xA5, u64::from(self.number) << 32 | u64::from(from) << 3 | die);
            u32::try_from(dice % u64::from(self.pages)).unwrap_or(0) + 1
        }));
        links
    }

    /// Other hosts that the front page links to; together the front pages reach every host.
    pub fn neighbours(self, config: &Config) -> Vec<u32> {
        let far = u32::try_from(mix(config.seed ^ 0x5A, u64::from(self.number)) % u64::from(config.hosts)).unwrap_or(0);
        let mut neighbours: Vec<u32> = [self.number + 1, self.number * 2 + 1, self.number * 2 + 2]
            .into_iter()
            .filter(|number| *number < config.hosts)
            .collect();
        neighbours.push(far);
        neighbours
    }
}

/// SplitMix64 of two numbers: the same on every machine.
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let addresses = (1..=4).map(|last| [127, 77, 0, last].into()).collect();
        Config { addresses, hosts: 3_000, ..Config::default() }
    }

    #[test]
    fn a_host_is_found_by_its_name_and_nothing_else_is() {
        let config = config();
        for number in [0, 1, 17, 2_999] {
            let site = Site::new(&config, number);
            assert_eq!(Site::of_name(&config, &site.name(&config)), Some(site));
        }
        for name in ["h3000.ip0.web.test", "h1.ip0.web.test", "web.test", "hx.ip0.web.test", ""] {
            assert_eq!(Site::of_name(&config, name), None, "{name}");
        }
    }

    #[test]
    fn every_host_and_every_page_can_be_reached_from_the_first() {
        let config = config();
        let mut reached = std::collections::BTreeSet::from([0]);
        let mut open = vec![0];
        while let Some(number) = open.pop() {
            let site = Site::new(&config, number);
            open.extend(site.neighbours(&config).into_iter().filter(|next| reached.insert(*next)));
        }
        assert_eq!(reached.len(), 3_000);
        let site = Site::new(&config, 5);
        let mut pages = std::collections::BTreeSet::from([0]);
        let mut open = vec![0];
        while let Some(page) = open.pop() {
            open.extend(site.links(&config, page).into_iter().filter(|next| pages.insert(*next)));
        }
        assert_eq!(pages.len(), site.pages as usize + 1);
    }
}
