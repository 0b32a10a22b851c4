//! The links of a page that a job follows.

use std::collections::{HashMap, HashSet};

use ego_tree::NodeId;
use scraper::ElementRef;
use scrapering_core::job::resolve;
use url::Url;

use super::budget::Meter;
use super::compile::{Follow, LinkQuery};
use super::document::{Document, has_word};
use super::selector::Matcher;
use super::xpath::{Found, Spot, Wanted, XPath};
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
        let mut finders = Vec::with_capacity(rules.len());
        for rule in rules {
            finders.push(Finder::new(rule, document, meter)?);
        }
        let root = document.html.tree.root();
        for element in root.descendants().filter_map(ElementRef::wrap) {
            for (index, (rule, finder)) in rules.iter().zip(&mut finders).enumerate() {
                meter.step()?;
                for written in finder.links(element, &rule.attribute, meter) {
                    if let Some(url) = absolute(written, &document.base).filter(|url| rule.accepts(url)) {
                        links.add(PageLink { url, rule: index }, &mut seen, meter)?;
                    }
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

/// Says what is written as a link at an element.
enum Finder<'a> {
    /// In the rule's attribute of the elements that match.
    Css(Box<Matcher<'a>>),
    /// What was found on the whole page, by the elements that it stands at.
    XPath(HashMap<NodeId, Vec<&'a str>>),
}

impl<'a> Finder<'a> {
    fn new(rule: &'a Follow, document: &'a Document, meter: &mut Meter) -> Result<Self, ExtractError> {
        Ok(match &rule.selector {
            LinkQuery::Css(css) => Self::Css(Box::new(Matcher::new(css))),
            LinkQuery::XPath(xpath) => Self::XPath(written_links(xpath, &rule.attribute, document, meter)?),
        })
    }

    fn links(&mut self, element: ElementRef<'a>, attribute: &str, meter: &Meter) -> Vec<&'a str> {
        match self {
            Self::Css(matcher) => {
                let Some(written) = element.value().attr(attribute) else { return Vec::new() };
                let is_followed = !is_nofollow(element) && matcher.matches(element, None, meter);
                if is_followed { vec![written] } else { Vec::new() }
            }
            Self::XPath(_) if is_nofollow(element) => Vec::new(),
            Self::XPath(found) => found.remove(&element.id()).unwrap_or_default(),
        }
    }
}

fn is_nofollow(element: ElementRef<'_>) -> bool {
    has_word(element.attr("rel"), "nofollow")
}

/// The attribute of each element that `xpath` finds, or the other nodes themselves.
fn written_links<'a>(
    xpath: &'a XPath,
    attribute: &str,
    document: &'a Document,
    meter: &mut Meter,
) -> Result<HashMap<NodeId, Vec<&'a str>>, ExtractError> {
    let mut links: HashMap<_, Vec<_>> = HashMap::new();
    let Found::Nodes(spots) = xpath.find(Wanted::All, document, document.root_element(), meter)? else {
        return Ok(links);
    };
    for spot in spots {
        meter.step()?;
        let (element, written) = match spot {
            Spot::Element(element) => (Some(element), element.value().attr(attribute)),
            Spot::Text { text, owner } => (owner, Some(text)),
        };
        if let (Some(element), Some(written)) = (element, written) {
            links.entry(element.id()).or_default().push(written);
        }
    }
    Ok(links)
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
