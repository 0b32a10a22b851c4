//! The links of a page that a job follows.

use std::collections::HashSet;

use scraper::ElementRef;
use url::Url;

use super::ExtractError;
use super::budget::Meter;
use super::compile::Follow;
use super::document::Document;

/// Most links taken from one page; the rest is counted.
const MAX_LINKS: usize = 10_000;

#[derive(Default)]
pub(super) struct Links {
    /// Absolute http and https URLs without fragment, in document order, each once.
    pub(super) urls: Vec<String>,
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
        let root = document.html.tree.root();
        for element in root.descendants().filter_map(ElementRef::wrap) {
            for rule in rules {
                meter.step()?;
                let Some(written) = element.attr(&rule.attribute) else {
                    continue;
                };
                if is_nofollow(element) || !rule.selector.matches(&element) {
                    continue;
                }
                if let Some(url) = absolute(written, &document.base) {
                    links.add(url, &mut seen, meter)?;
                }
            }
        }
        Ok(links)
    }

    fn add(&mut self, url: String, seen: &mut HashSet<String>, meter: &mut Meter) -> Result<(), ExtractError> {
        if seen.contains(&url) {
            return Ok(());
        }
        if self.urls.len() == MAX_LINKS {
            self.cut += 1;
            return Ok(());
        }
        meter.charge(url.len())?;
        seen.insert(url.clone());
        self.urls.push(url);
        Ok(())
    }
}

/// `rel` is a set of words (HTML Standard, section 4.6.7 "Link types").
fn is_nofollow(element: ElementRef<'_>) -> bool {
    element
        .attr("rel")
        .is_some_and(|rel| rel.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("nofollow")))
}

fn absolute(written: &str, base: &Url) -> Option<String> {
    let mut url = base.join(written).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_fragment(None);
    Some(url.into())
}
