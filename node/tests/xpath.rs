//! XPath 1.0 as the rules of a job use it: every axis, function and conversion of the recommendation, what is refused, and what is held within bounds.

#[path = "xpath/axes.rs"]
mod axes;
#[path = "xpath/fields.rs"]
mod fields;
#[path = "xpath/functions.rs"]
mod functions;
#[path = "xpath/hostile.rs"]
mod hostile;
#[path = "xpath/refused.rs"]
mod refused;
#[path = "xpath/values.rs"]
mod values;

use std::time::Duration;

use scrapering::extract::{CompiledExtract, CpuBudget, ExtractError, Page, PageResult};
use scrapering_core::job::{ExtractRule, Field, FieldKind, FollowRule, NormalizedUrl, Selector};
use serde_json::Value;

/// Crowded machines and code that is not optimised take their time.
const ENOUGH: CpuBudget = CpuBudget(Duration::from_secs(20));

/// A small page in which everything has an id.
const PAGE: &str = "<!doctype html><html id=html lang=en><head id=head><title id=title>Things</title></head><body id=body>\
    <div id=a class='x y'><p id=b>one<i id=c>two</i>three</p><!--note--><p id=d name=n title=t>four</p></div>\
    <div id=e lang=de-AT><ul id=f><li id=g>1</li><li id=h>2</li><li id=i class=x>30</li></ul></div></body></html>";

fn xpath(written: &str) -> Option<Selector> {
    Some(Selector::XPath(written.to_owned()))
}

fn field(name: &str, written: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        selector: xpath(written),
        kind,
        pattern: None,
        transforms: Vec::new(),
        required: false,
        default: None,
    }
}

fn list(element: FieldKind) -> FieldKind {
    FieldKind::List { element: Box::new(element), fields: Vec::new() }
}

fn rule(fields: Vec<Field>) -> ExtractRule {
    ExtractRule { name: "thing".to_owned(), fields, ..ExtractRule::default() }
}

fn run(
    rules: &[ExtractRule],
    follow: &[FollowRule],
    html: &str,
    budget: CpuBudget,
) -> Result<PageResult, ExtractError> {
    let url = NormalizedUrl::parse("https://shop.example/a/page?x=1").expect("a URL");
    CompiledExtract::compile(rules, follow).expect("good rules").page(
        Page { body: html.as_bytes(), content_type: Some("text/html; charset=utf-8"), url: &url, label: 0 },
        budget,
    )
}

/// What one field reads from the whole page; null if it reads nothing.
fn read(html: &str, kind: FieldKind, written: &str) -> Value {
    let page = run(&[rule(vec![field("f", written, kind)])], &[], html, ENOUGH).expect("an honest page");
    page.items.first().map_or(Value::Null, |item| item["f"].clone())
}

/// The ids of the elements that an expression finds, in the order in which it finds them.
fn ids(html: &str, written: &str) -> String {
    let id = field("id", "string(@id)", FieldKind::Html);
    let found = read(html, FieldKind::List { element: Box::new(FieldKind::Text), fields: vec![id] }, written);
    let ids = found.as_array().into_iter().flatten().filter_map(|object| object["id"].as_str());
    ids.collect::<Vec<_>>().join(" ")
}

/// The attributes and texts that an expression finds.
fn texts(html: &str, written: &str) -> String {
    let found = read(html, list(FieldKind::Html), written);
    found.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("|")
}

/// What an expression gives, as a text.
fn value(html: &str, written: &str) -> String {
    match read(html, FieldKind::Html, written) {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => panic!("{written}: {other}"),
    }
}

/// What is wrong with an expression.
fn refusal(written: &str) -> String {
    match CompiledExtract::compile(&[rule(vec![field("f", written, FieldKind::Text)])], &[]) {
        Ok(_) => panic!("`{written}` is accepted"),
        Err(error) => {
            assert_eq!(error.path, "extract[0].fields[0].xpath");
            error.message.split_once("is no XPath: ").expect("the usual sentence").1.to_owned()
        }
    }
}
