//! What a page says of itself to machines, as JSON: JSON-LD, OpenGraph, `meta` elements.

use html5ever::ns;
use scraper::ElementRef;
use serde_json::{Map, Value};

use super::budget::Meter;
use super::document::Document;
use super::{ExtractError, json, text};

/// A list of the objects in the page's `application/ld+json` scripts: lists and `@graph` taken apart, what is not JSON passed over.
pub(super) fn json_ld(document: &Document, meter: &mut Meter) -> Result<Value, ExtractError> {
    let mut objects = Vec::new();
    for element in elements(document) {
        meter.step()?;
        if element.value().name() != "script" || !is_json_ld(element.attr("type")) {
            continue;
        }
        let script: String = element.text().collect();
        if let Ok(value) = json::parse(script.trim(), meter)? {
            take_apart(value, &mut objects);
        }
    }
    Ok(Value::Array(objects))
}

fn is_json_ld(written: Option<&str>) -> bool {
    let essence = written.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/ld+json")
}

fn take_apart(value: Value, objects: &mut Vec<Value>) {
    match value {
        Value::Array(list) => list.into_iter().for_each(|value| take_apart(value, objects)),
        Value::Object(mut object) => {
            let graph = object.shift_remove("@graph");
            // Beside a graph there is usually nothing but its context.
            if graph.is_none() || object.keys().any(|key| key != "@context") {
                objects.push(Value::Object(object));
            }
            if let Some(graph) = graph {
                take_apart(graph, objects);
            }
        }
        _ => {}
    }
}

/// One object of the properties in `<meta property>`; `og:` is left out of their names, and one that occurs several times is a list.
pub(super) fn open_graph(document: &Document, meter: &mut Meter) -> Result<Value, ExtractError> {
    let mut properties = Map::new();
    for element in elements(document) {
        meter.step()?;
        if element.value().name() != "meta" {
            continue;
        }
        let property = element.attr("property").unwrap_or_default().trim();
        if let Some(content) = element.attr("content").filter(|_| property.contains(':')) {
            add(&mut properties, property.strip_prefix("og:").unwrap_or(property), content, meter)?;
        }
    }
    Ok(Value::Object(properties))
}

/// One object of the named `meta` elements, names in lower case, with `title`, `lang` and `canonical`.
pub(super) fn meta(document: &Document, meter: &mut Meter) -> Result<Value, ExtractError> {
    let mut names = Map::new();
    if let Some(lang) = document.root_element().attr("lang") {
        add(&mut names, "lang", lang, meter)?;
    }
    if let Some(canonical) = &document.canonical {
        add(&mut names, "canonical", canonical.as_str(), meter)?;
    }
    for element in elements(document) {
        meter.step()?;
        match element.value().name() {
            "title" if !names.contains_key("title") => {
                let title = text::collapsed(element, meter)?;
                add(&mut names, "title", &title, meter)?;
            }
            "meta" => {
                let name = element.attr("name").unwrap_or_default().trim().to_ascii_lowercase();
                if let Some(content) = element.attr("content").filter(|_| !name.is_empty()) {
                    add(&mut names, &name, content, meter)?;
                }
            }
            _ => {}
        }
    }
    Ok(Value::Object(names))
}

/// Elements of HTML, not those of drawings and formulas in it.
fn elements(document: &Document) -> impl Iterator<Item = ElementRef<'_>> {
    let is_html = |element: &ElementRef<'_>| element.value().name.ns == ns!(html);
    document.html.tree.root().descendants().filter_map(ElementRef::wrap).filter(is_html)
}

fn add(map: &mut Map<String, Value>, name: &str, content: &str, meter: &mut Meter) -> Result<(), ExtractError> {
    meter.charge(name.len() + content.len())?;
    let content = Value::from(content);
    match map.get_mut(name) {
        None => {
            map.insert(name.to_owned(), content);
        }
        Some(Value::Array(list)) => list.push(content),
        Some(first) => {
            let before = first.take();
            *first = Value::Array(vec![before, content]);
        }
    }
    Ok(())
}
