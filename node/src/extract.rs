//! Extraction: the bytes of a page in, items and links out.
//!
//! [`CompiledExtract`] is made once for a job; [`CompiledExtract::page`] is synchronous and takes up to its processor budget, so it belongs on a thread
//! where nothing waits for it. A page is hostile until its cost is known: `document` parses in small pieces with an eye on the clock, `budget` counts
//! what the walks and the output cost, and nothing here recurses deeper than the bounds on depth allow.

mod budget;
mod charset;
mod compile;
mod date;
mod directives;
mod document;
mod fields;
mod json;
mod links;
pub mod listing;
mod number;
mod schema;
mod scope;
mod selector;
mod structured;
mod text;
mod transform;
mod value;
mod xpath;

use std::time::Duration;

use scrapering_core::job::{ExtractRule, FollowRule, NormalizedUrl, Source};
use serde_json::{Map, Value};
use url::Url;

pub use budget::CpuBudget;
pub(crate) use date::check_format;
pub use directives::RobotsDirectives;
pub(crate) use json::parse_path;
use links::absolute;
pub(crate) use schema::ItemSchema;
pub(crate) use selector::Css;
pub(crate) use transform::Pattern;
pub(crate) use xpath::{XPath, Yields};

use budget::Meter;
use document::Document;
use fields::{Reader, Sources};
use links::Links;
use value::Values;

/// A rule that cannot be used; whoever wrote the job is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ExtractSpecError {
    /// Where it stands in the job, such as `extract[0].fields[2].selector`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Why a page yielded nothing: it costs more than an honest page could. Trying again would not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The processor time was used up.
    #[error("the page took more than {} ms of processor time", budget.as_millis())]
    BudgetExceeded {
        /// The budget.
        budget: Duration,
    },
    /// The tree is too large.
    #[error("the page has more than {limit} nodes")]
    TooManyNodes {
        /// The bound.
        limit: usize,
    },
    /// The tree is too deep.
    #[error("the page is nested more than {limit} deep")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
    /// The items repeat the page's text over and over.
    #[error("the page yields more than {limit_bytes} bytes")]
    TooMuchOutput {
        /// The bound.
        limit_bytes: usize,
    },
}

/// An item: `_type`, `_key` if its rule has a key, then the fields in the order of the rule.
pub type Item = Map<String, Value>;

/// Why there is no item where there should be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemError {
    /// The rule's name.
    pub rule: String,
    /// The field, such as `specs[2].name`.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// A link that a rule of the job follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageLink {
    /// Absolute, http or https, without fragment.
    pub url: String,
    /// Which of the job's follow rules found it, counted from 0.
    pub rule: usize,
}

/// A page to be read.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its bytes.
    pub body: &'a [u8],
    /// Its `Content-Type`; HTML without one.
    pub content_type: Option<&'a str>,
    /// Where it was found.
    pub url: &'a NormalizedUrl,
    /// Which of the job's labels it has, counted from 1; 0 is none.
    pub label: u16,
}

/// What a page yielded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageResult {
    /// The items of all rules, rule by rule, each in document order.
    pub items: Vec<Item>,
    /// Items that were dropped, 100 at most.
    pub item_errors: Vec<ItemError>,
    /// In document order, each URL once, by the first rule that finds it; 10,000 at most.
    pub links: Vec<PageLink>,
    /// Links beyond those; the same one may count twice.
    pub links_cut: u64,
    /// Where `<link rel="canonical">` says that the page belongs.
    pub canonical: Option<String>,
    /// The visible text with white space collapsed, if it was asked for.
    pub text: Option<String>,
    /// What the page's `<meta name="robots">` ask for; with `nofollow` there are no links.
    pub meta_robots: RobotsDirectives,
}

/// The rules of a job, ready for any number of pages and threads.
#[derive(Debug)]
pub struct CompiledExtract {
    rules: Vec<compile::Rule>,
    follow: Vec<compile::Follow>,
    wants_text: bool,
}

impl CompiledExtract {
    /// Parses every selector of the rules.
    ///
    /// # Errors
    /// [`ExtractSpecError`] for the first rule that cannot be used.
    pub fn compile(rules: &[ExtractRule], follow: &[FollowRule]) -> Result<Self, ExtractSpecError> {
        Ok(Self { rules: compile::rules(rules)?, follow: compile::follow(follow)?, wants_text: false })
    }

    /// Has the visible text of each page told as well.
    #[must_use]
    pub fn with_text(self, wants_text: bool) -> Self {
        Self { wants_text, ..self }
    }

    /// Takes items and links from a page. JSON has items for the rules that read JSON; plain text has neither.
    ///
    /// # Errors
    /// [`ExtractError`] if the page costs more than it may; nothing of it is returned.
    pub fn page(&self, page: Page<'_>, budget: CpuBudget) -> Result<PageResult, ExtractError> {
        let rules: Vec<&compile::Rule> =
            self.rules.iter().filter(|rule| rule.pages.include(page.label, page.url.as_str())).collect();
        let nothing_asked = rules.is_empty() && self.follow.is_empty() && !self.wants_text;
        let mut meter = Meter::start(budget);
        match Form::of(page.content_type) {
            _ if nothing_asked => Ok(PageResult::default()),
            Form::Markup => self.markup(&charset::decode(page.body, page.content_type), page.url, &rules, &mut meter),
            Form::Json => json_page(&charset::decode(page.body, page.content_type), page.url, &rules, &mut meter),
            Form::Other => Ok(PageResult::default()),
        }
    }

    fn markup(
        &self,
        text: &str,
        url: &NormalizedUrl,
        rules: &[&compile::Rule],
        meter: &mut Meter,
    ) -> Result<PageResult, ExtractError> {
        let document = Document::parse(text, url.as_url(), meter)?;
        let links = Links::collect(&document, &self.follow, meter)?;
        let sources = Sources::prepare(Some(&document), None, rules, meter)?;
        let (items, item_errors) = items(rules, &sources, &document.base, meter)?;
        let text = if self.wants_text { Some(text::collapsed(document.root_element(), meter)?) } else { None };
        Ok(PageResult {
            items,
            item_errors,
            text,
            links: links.found,
            links_cut: links.cut,
            canonical: document.canonical.as_ref().map(|url| url.as_str().to_owned()),
            meta_robots: document.directives,
        })
    }
}

fn json_page(
    text: &str,
    url: &NormalizedUrl,
    rules: &[&compile::Rule],
    meter: &mut Meter,
) -> Result<PageResult, ExtractError> {
    let Some(rule) = rules.iter().find(|rule| rule.source == Source::Json) else {
        return Ok(PageResult::default());
    };
    let value = match json::parse(text, meter)? {
        Ok(value) => value,
        Err(problem) => {
            let message = format!("the page is not JSON: {problem}");
            let error = ItemError { rule: rule.name.clone(), field: String::new(), message };
            return Ok(PageResult { item_errors: vec![error], ..PageResult::default() });
        }
    };
    let sources = Sources::prepare(None, Some(value), rules, meter)?;
    let (items, item_errors) = items(rules, &sources, url.as_url(), meter)?;
    Ok(PageResult { items, item_errors, ..PageResult::default() })
}

fn items(
    rules: &[&compile::Rule],
    sources: &Sources<'_>,
    base: &Url,
    meter: &mut Meter,
) -> Result<(Vec<Item>, Vec<ItemError>), ExtractError> {
    let mut reader = Reader::new(Values { base }, meter);
    for rule in rules {
        reader.read(rule, sources)?;
    }
    Ok((reader.items, reader.errors))
}

/// How a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// By the HTML parser; also what has no type.
    Markup,
    Json,
    Other,
}

impl Form {
    fn of(content_type: Option<&str>) -> Self {
        let essence =
            content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/plain" => Self::Other,
            "text/json" => Self::Json,
            json if json.ends_with("/json") || json.ends_with("+json") => Self::Json,
            _ => Self::Markup,
        }
    }
}

#[cfg(test)]
mod tests;
