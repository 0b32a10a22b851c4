//! A parsed page, and what it says about itself: its base URL and its wishes to robots.

use std::cell::OnceCell;
use std::time::{Duration, Instant};

use ego_tree::iter::Edge;
use html5ever::driver::{Parser, parse_document};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tokenizer::TokenizerOpts;
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{ParseOpts, ns};
use scraper::{ElementRef, Html, HtmlTreeSink, Node};
use url::Url;

use super::ExtractError;
use super::budget::Meter;
use super::directives::RobotsDirectives;
use super::xpath::Index;

/// Bytes given to the parser between two looks at the clock: at most, and at least. What a byte costs depends on the bytes before it, so the pieces
/// shrink as soon as one takes long.
const PIECE_BYTES: usize = 1024;
const SMALLEST_PIECE_BYTES: usize = 16;

/// A piece that took longer is followed by a smaller one; after one that was this much faster they grow again.
const SLOW_PIECE: Duration = Duration::from_millis(4);
const FAST_PIECE: Duration = Duration::from_micros(500);

/// Most nodes of a page, about 100 bytes each. The largest honest pages have a tenth.
pub(super) const MAX_NODES: usize = 500_000;

/// Deepest nesting. Browsers stop at 512; selectors with `:has` recurse once a level.
pub(super) const MAX_DEPTH: usize = 1024;

/// A parsed page within bounds.
pub(super) struct Document {
    pub(super) html: Html,
    /// What relative URLs are resolved against: `<base href>`, else the page's own URL.
    pub(super) base: Url,
    /// Where `<link rel="canonical">` says that the page belongs.
    pub(super) canonical: Option<Url>,
    pub(super) directives: RobotsDirectives,
    /// For XPath, once it is asked for.
    index: OnceCell<Index>,
}

impl Document {
    /// Parses `text`, found at `url`.
    pub(super) fn parse(text: &str, url: &Url, meter: &mut Meter) -> Result<Self, ExtractError> {
        let html = parse(text, meter)?;
        let mut document = Self {
            html,
            base: url.clone(),
            canonical: None,
            directives: RobotsDirectives::default(),
            index: OnceCell::new(),
        };
        document.survey(url, meter)?;
        Ok(document)
    }

    /// One walk over the tree: its depth, the first `<base>`, the first canonical link and every `<meta name="robots">`.
    fn survey(&mut self, url: &Url, meter: &mut Meter) -> Result<(), ExtractError> {
        let mut depth = 0_usize;
        let (mut base, mut canonical) = (None, None);
        let mut directives = RobotsDirectives::default();
        for edge in self.html.tree.root().traverse() {
            meter.step()?;
            let Edge::Open(node) = edge else {
                depth -= 1;
                continue;
            };
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(ExtractError::TooDeep { limit: MAX_DEPTH });
            }
            let Node::Element(element) = node.value() else {
                continue;
            };
            if element.name.ns != ns!(html) {
                continue;
            }
            match element.name() {
                "base" if base.is_none() => base = element.attr("href").map(str::to_owned),
                "link" if canonical.is_none() && has_word(element.attr("rel"), "canonical") => {
                    canonical = element.attr("href").map(str::to_owned);
                }
                "meta" if is_robots(element.attr("name")) => {
                    directives.add_list(element.attr("content").unwrap_or_default());
                }
                _ => {}
            }
        }
        if let Some(declared) = base.and_then(|href| url.join(&href).ok())
            && is_web(&declared)
        {
            self.base = declared;
        }
        self.canonical = canonical.and_then(|href| self.base.join(&href).ok()).filter(is_web);
        self.directives = directives;
        Ok(())
    }

    /// The nodes in document order.
    pub(super) fn index(&self, meter: &mut Meter) -> Result<&Index, ExtractError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let index = Index::build(&self.html.tree, meter)?;
        Ok(self.index.get_or_init(|| index))
    }

    /// The `<html>` element.
    pub(super) fn root_element(&self) -> ElementRef<'_> {
        self.html.root_element()
    }
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Whether an attribute that is a set of words, such as `rel`, holds `word` (HTML Standard, section 4.6.7 "Link types").
pub(super) fn has_word(written: Option<&str>, word: &str) -> bool {
    written.is_some_and(|words| words.split_ascii_whitespace().any(|each| each.eq_ignore_ascii_case(word)))
}

fn is_robots(name: Option<&str>) -> bool {
    name.is_some_and(|name| name.trim().eq_ignore_ascii_case("robots"))
}

fn parse(text: &str, meter: &mut Meter) -> Result<Html, ExtractError> {
    let mut parser = parse_document(HtmlTreeSink::new(Html::new_document()), options());
    let mut rest = text;
    let mut piece_bytes = PIECE_BYTES;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(piece_bytes));
        rest = after;
        let started = Instant::now();
        parser.process(StrTendril::from_slice(piece));
        let took = started.elapsed();
        if took > SLOW_PIECE {
            piece_bytes = (piece_bytes / 4).max(SMALLEST_PIECE_BYTES);
        } else if took < FAST_PIECE {
            piece_bytes = (piece_bytes * 2).min(PIECE_BYTES);
        }
        meter.check()?;
        bound_nodes(&parser)?;
    }
    Ok(parser.finish())
}

fn options() -> ParseOpts {
    ParseOpts {
        tokenizer: TokenizerOpts::default(),
        tree_builder: TreeBuilderOpts {
            // We run no scripts, so what stands in <noscript> is part of the page.
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
    }
}

fn bound_nodes(parser: &Parser<HtmlTreeSink>) -> Result<(), ExtractError> {
    let mut html = parser.tokenizer.sink.sink.0.borrow_mut();
    // Nobody reads the parse errors, and a bad page has one for every few bytes.
    html.errors.clear();
    if html.tree.nodes().len() > MAX_NODES {
        return Err(ExtractError::TooManyNodes { limit: MAX_NODES });
    }
    Ok(())
}
