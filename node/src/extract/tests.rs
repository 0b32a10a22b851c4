//! Pages as their authors wrote them, and pages as an attacker would.

mod fields;
mod hostile;
mod links;

use scrapering_core::job::{ExtractRule, Field, FieldKind, FollowRule, NormalizedUrl};
use serde_json::{Value, json};

use super::*;

fn field(name: &str, selector: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        selector: (!selector.is_empty()).then(|| selector.to_owned()),
        kind,
        required: false,
        default: None,
    }
}

fn rule(base: &str, fields: Vec<Field>) -> ExtractRule {
    ExtractRule { name: "thing".to_owned(), base_selector: (!base.is_empty()).then(|| base.to_owned()), fields }
}

fn follow(selector: &str) -> FollowRule {
    FollowRule { selector: selector.to_owned(), attribute: "href".to_owned() }
}

fn url() -> NormalizedUrl {
    NormalizedUrl::parse("https://shop.example/a/page?x=1").unwrap()
}

fn extract(rules: &[ExtractRule], follow: &[FollowRule], html: &str) -> Result<PageResult, ExtractError> {
    // Tests run on crowded machines and unoptimised code; what is bounded here is bounded by other tests.
    let budget = CpuBudget(std::time::Duration::from_secs(20));
    CompiledExtract::compile(rules, follow).unwrap().page(
        html.as_bytes(),
        Some("text/html; charset=utf-8"),
        &url(),
        budget,
    )
}

fn items(rules: &[ExtractRule], html: &str) -> Value {
    json!(extract(rules, &[], html).unwrap().items)
}
