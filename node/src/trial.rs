//! Extraction tried on one page without a job: for whoever is writing the rules.
//!
//! The verdict on the rules is that of a job file, with the paths of the fields; the page is read exactly as a crawl would read it.

use schemars::JsonSchema;
use scrapering_core::job::{NormalizedUrl, Patterns};
use scrapering_crds::TrialSpec;
use scrapering_crds::job::{ExtractSpec, FollowSpec};
use serde::Serialize;

use crate::extract::{CompiledExtract, CpuBudget, ExtractError, Item, Page, PageResult};
use crate::job::{self, FieldError};

/// Where a page is taken to be when nobody says.
const NOWHERE: &str = "https://page.invalid/";

/// Rules that passed every check.
#[derive(Debug)]
pub struct Trial {
    rules: CompiledExtract,
}

/// A page to try them on.
#[derive(Clone, Copy, Debug)]
pub struct TrialPage<'a> {
    /// Its bytes.
    pub body: &'a [u8],
    /// Its `Content-Type`; HTML without one.
    pub content_type: Option<&'a str>,
    /// What relative links are resolved against.
    pub url: &'a NormalizedUrl,
}

/// What the rules found.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialReport {
    /// The items, in the order of the page.
    pub items: Vec<Item>,
    /// Why there is no item where there should be one.
    pub item_errors: Vec<TrialFault>,
    /// Absolute URLs that the follow rules found.
    pub links: Vec<String>,
    /// Where the page says that it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical: Option<String>,
    /// The page asks that its links are not followed.
    pub nofollow: bool,
    /// The page asks not to be indexed.
    pub noindex: bool,
}

/// An item that was dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialFault {
    /// The rule's name.
    pub rule: String,
    /// The field, such as `specs[2].name`.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl Trial {
    /// Checks the rules as a job's rules are checked.
    ///
    /// # Errors
    /// Every fault with the path of its field, such as `extract[0].fields[1].selector`.
    pub fn new(extract: &[ExtractSpec], follow: &[FollowSpec]) -> Result<Self, Vec<FieldError>> {
        let (mut extract, follow) = job::rules(extract, follow)?;
        // Whoever tries rules on a page means that they are for it.
        for rule in &mut extract {
            rule.labels.clear();
            rule.urls = Patterns::default();
        }
        CompiledExtract::compile(&extract, &follow)
            .map(|rules| Self { rules })
            .map_err(|error| vec![FieldError { path: error.path, message: error.message }])
    }

    /// Reads one page. Takes up to the budget of a page, so it belongs on a thread where nothing waits for it.
    ///
    /// # Errors
    /// [`ExtractError`] if the page costs more than it may.
    pub fn run(&self, page: TrialPage<'_>) -> Result<TrialReport, ExtractError> {
        let page = Page { body: page.body, content_type: page.content_type, url: page.url, label: 0 };
        self.rules.page(page, CpuBudget::default()).map(TrialReport::from)
    }
}

impl From<PageResult> for TrialReport {
    fn from(page: PageResult) -> Self {
        let fault = |error: crate::extract::ItemError| TrialFault {
            rule: error.rule,
            field: error.field,
            message: error.message,
        };
        Self {
            items: page.items,
            item_errors: page.item_errors.into_iter().map(fault).collect(),
            links: page.links.into_iter().map(|link| link.url).collect(),
            canonical: page.canonical,
            nofollow: page.meta_robots.nofollow,
            noindex: page.meta_robots.noindex,
        }
    }
}

/// Where the page of `spec` is, or is taken to be.
///
/// # Errors
/// The fault of `url`.
pub fn address(spec: &TrialSpec) -> Result<NormalizedUrl, FieldError> {
    let written = spec.url.as_deref().unwrap_or(NOWHERE);
    NormalizedUrl::parse(written).map_err(|error| {
        let shown: String = written.chars().take(80).collect();
        FieldError { path: "url".to_owned(), message: format!("`{shown}` {error}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: serde_json::Value) -> TrialSpec {
        serde_json::from_value(json).expect("a trial")
    }

    #[test]
    fn rules_are_tried_on_a_page() {
        let spec = spec(serde_json::json!({
            "url": "https://shop.example/a/",
            "extract": [{"name": "p", "baseSelector": "li", "match": {"labels": ["detail"]}, "fields": [{"name": "n", "type": "number", "required": true}]}],
            "follow": [{"selector": "a"}]
        }));
        let page = b"<link rel=canonical href=/c><meta name=robots content=noindex><li>3<li>x<a href=b>";
        let url = address(&spec).expect("a URL");
        let trial = Trial::new(&spec.extract, &spec.follow).expect("good rules");
        let report = trial.run(TrialPage { body: page, content_type: None, url: &url }).expect("a small page");
        assert_eq!(serde_json::to_value(&report.items).expect("JSON"), serde_json::json!([{"_type": "p", "n": 3}]));
        assert_eq!(report.item_errors[0].field, "n");
        assert_eq!(report.links, ["https://shop.example/a/b"]);
        assert_eq!(report.canonical.as_deref(), Some("https://shop.example/c"));
        assert!(report.noindex && !report.nofollow);
    }

    #[test]
    fn faults_carry_the_path_of_their_field() {
        let spec = spec(serde_json::json!({
            "url": "nonsense",
            "extract": [{"name": "p", "fields": [{"name": "n", "selector": "["}]}],
            "follow": [{"selector": "a"}, {"selector": ""}]
        }));
        let faults = Trial::new(&spec.extract, &spec.follow).expect_err("two faults");
        let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(paths, ["follow[1].selector", "extract[0].fields[0].selector"]);
        assert_eq!(address(&spec).expect_err("no URL").path, "url");
    }
}
