//! The links of a page that a job follows.

use std::collections::HashSet;

use scraper::ElementRef;
use scrapering_core::job::resolve;
use url::Url;

use super::budget::Meter;
use super::compile::Follow;
use super::document::{Document, has_word};
use super::selector::Matcher;
use super::{ExtractError, PageLink};

/// Most links taken from one page; the rest is counted.
const MAX_LINKS: usize = 10_000;

#[derive(Default)]
pub(super) struct Links {
    /// In document order, each URL once, by the first rule that finds it.
    pub(super) found: Vec<PageLink>,
    /// Further URLs that were left out.
    pub(super) cut: u64,
}

impl Links {
    /// Collects what `rules` match, unless the page asks not to.
    pub(super) fn collect(document: &Document, rules: &[Follow], meter: &mut Meter) -> Result<Self, ExtractError> {
        let mut links = Self::default();
        if rules.is_empty() || document.directives.nofollow {
            return Ok(links);
        }
        let mut seen = HashSet::new();
        let mut matchers: Vec<_> = rules.iter().map(|rule| Matcher::new(&rule.selector)).collect();
        let root = document.html.tree.root();
        for element in root.descendants().filter_map(ElementRef::wrap) {
            for (index, (rule, matcher)) in rules.iter().zip(&mut matchers).enumerate() {
                meter.step()?;
                let Some(written) = element.attr(&rule.attribute) else {
                    continue;
                };
                if has_word(element.attr("rel"), "nofollow") || !matcher.matches(element, None, meter) {
                    continue;
                }
                if let Some(url) = absolute(written, &document.base).filter(|url| rule.accepts(url)) {
                    links.add(PageLink { url, rule: index }, &mut seen, meter)?;
                }
            }
        }
        // A match that was cut short by the clock says nothing.
        meter.check()?;
        Ok(links)
    }

    fn add(&mut self, link: PageLink, seen: &mut HashSet<String>, meter: &mut Meter) -> Result<(), ExtractError> {
        if seen.contains(&link.url) {
            return Ok(());
        }
        if self.found.len() == MAX_LINKS {
            self.cut += 1;
            return Ok(());
        }
        meter.charge(link.url.len())?;
        seen.insert(link.url.clone());
        self.found.push(link);
        Ok(())
    }
}

/// The http or https URL without fragment that `written` means on a page at `base`.
pub(super) fn absolute(written: &str, base: &Url) -> Option<String> {
    let mut url = resolve(base, written).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_fragment(None);
    Some(url.into())
}
