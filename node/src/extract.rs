//! Extraction: the bytes of a page in, items and links out.
//!
//! [`CompiledExtract`] is made once for a job; [`CompiledExtract::page`] is synchronous and takes up to its processor budget, so it belongs on a thread
//! where nothing waits for it. A page is hostile until its cost is known: `document` parses in small pieces with an eye on the clock, `budget` counts
//! what the walks and the output cost, and nothing here recurses deeper than the bounds on depth allow.

mod budget;
mod charset;
mod compile;
mod directives;
mod document;
mod fields;
mod links;
mod number;
mod text;

use std::time::Duration;

use scrapering_core::job::{ExtractRule, FollowRule, NormalizedUrl};
use serde_json::{Map, Value};

pub use budget::CpuBudget;
pub(crate) use compile::parse_selector;
pub use directives::RobotsDirectives;

use budget::Meter;
use document::Document;
use fields::Reader;
use links::Links;

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

/// An item: `_type`, then the fields in the order of the rule.
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

/// What a page yielded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageResult {
    /// The items of all rules, rule by rule, each in document order.
    pub items: Vec<Item>,
    /// Items that were dropped, 100 at most.
    pub item_errors: Vec<ItemError>,
    /// Absolute http and https URLs without fragment, in document order, each once; 10,000 at most.
    pub links: Vec<String>,
    /// Links beyond those; the same one may count twice.
    pub links_cut: u64,
    /// What the page's `<meta name="robots">` ask for; with `nofollow` there are no links.
    pub meta_robots: RobotsDirectives,
}

/// The rules of a job, ready for any number of pages and threads.
#[derive(Debug)]
pub struct CompiledExtract {
    rules: Vec<compile::Rule>,
    follow: Vec<compile::Follow>,
}

impl CompiledExtract {
    /// Parses every selector of the rules.
    ///
    /// # Errors
    /// [`ExtractSpecError`] for the first rule that cannot be used.
    pub fn compile(rules: &[ExtractRule], follow: &[FollowRule]) -> Result<Self, ExtractSpecError> {
        Ok(Self { rules: compile::rules(rules)?, follow: compile::follow(follow)? })
    }

    /// Takes items and links from a page found at `url`. JSON and plain text have neither.
    ///
    /// # Errors
    /// [`ExtractError`] if the page costs more than it may; nothing of it is returned.
    pub fn page(
        &self,
        body: &[u8],
        content_type: Option<&str>,
        url: &NormalizedUrl,
        budget: CpuBudget,
    ) -> Result<PageResult, ExtractError> {
        if (self.rules.is_empty() && self.follow.is_empty()) || !is_markup(content_type) {
            return Ok(PageResult::default());
        }
        let mut meter = Meter::start(budget);
        let text = charset::decode(body, content_type);
        let document = Document::parse(&text, url.as_url(), &mut meter)?;
        let links = Links::collect(&document, &self.follow, &mut meter)?;
        let mut reader = Reader::new(&document, &mut meter);
        for rule in &self.rules {
            reader.read(rule)?;
        }
        Ok(PageResult {
            items: reader.items,
            item_errors: reader.errors,
            links: links.urls,
            links_cut: links.cut,
            meta_robots: document.directives,
        })
    }
}

/// Whether a body is worth giving to the HTML parser; one without a type is.
fn is_markup(content_type: Option<&str>) -> bool {
    let essence =
        content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    essence != "text/plain" && essence != "text/json" && !essence.ends_with("json")
}

#[cfg(test)]
mod tests;
