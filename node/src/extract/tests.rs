//! Pages as their authors wrote them, and pages as an attacker would.

mod fields;
mod hostile;
mod links;
mod sources;

use scrapering_core::job::{ExtractRule, Field, FieldKind, FollowRule, NormalizedUrl, Patterns, Selector};
use serde_json::{Value, json};

use super::*;

fn native(selector: &str) -> Option<Selector> {
    (!selector.is_empty()).then(|| Selector::Native(selector.to_owned()))
}

fn field(name: &str, selector: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        selector: native(selector),
        kind,
        pattern: None,
        transforms: Vec::new(),
        required: false,
        default: None,
    }
}

fn rule(base: &str, fields: Vec<Field>) -> ExtractRule {
    ExtractRule { name: "thing".to_owned(), base_selector: native(base), fields, ..ExtractRule::default() }
}

fn follow(selector: &str) -> FollowRule {
    FollowRule {
        selector: Selector::Native(selector.to_owned()),
        attribute: "href".to_owned(),
        allow: Patterns::default(),
        deny: Patterns::default(),
        label: 0,
        priority: 50,
        max_pages: None,
    }
}

fn url() -> NormalizedUrl {
    NormalizedUrl::parse("https://shop.example/a/page?x=1").unwrap()
}

fn extract(rules: &[ExtractRule], follow: &[FollowRule], html: &str) -> Result<PageResult, ExtractError> {
    // Tests run on crowded machines and unoptimised code; what is bounded here is bounded by other tests.
    let budget = CpuBudget(std::time::Duration::from_secs(20));
    CompiledExtract::compile(rules, follow).unwrap().page(
        Page { body: html.as_bytes(), content_type: Some("text/html; charset=utf-8"), url: &url(), label: 0 },
        budget,
    )
}

fn items(rules: &[ExtractRule], html: &str) -> Value {
    json!(extract(rules, &[], html).unwrap().items)
}
