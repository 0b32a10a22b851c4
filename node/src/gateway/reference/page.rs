//! The OpenAPI document as a page: one section an area, one heading an operation, the schemas below.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Written in this order within a section.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// The page of `document`.
pub(super) fn html(document: &Value) -> String {
    let mut areas: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, methods) in fields(&document["paths"]) {
        for method in METHODS {
            let Some(operation) = methods.get(method) else { continue };
            areas.entry(word(&operation["tags"][0])).or_default().push((method, path, operation));
        }
    }
    let title = word(&document["info"]["title"]);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}: the API</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body>"
    );
    contents(&mut page, &areas);
    add(
        &mut page,
        format_args!(
            "<main><h1>{title}: the API</h1><p>{}</p>\
             <p class=\"quiet\">Version {}. For programs: <a href=\"/openapi.json\">openapi.json</a>.</p>",
            prose(word(&document["info"]["description"])),
            escaped(word(&document["info"]["version"])),
        ),
    );
    for (area, operations) in &areas {
        add(&mut page, format_args!("<h2 id=\"{area}\">{area}</h2>"));
        for (method, path, described) in operations {
            operation(&mut page, method, path, described);
        }
    }
    page.push_str("<h2 id=\"schemas\">schemas</h2>");
    for (name, schema) in fields(&document["components"]["schemas"]) {
        let text = serde_json::to_string_pretty(schema).expect("a schema has string keys");
        add(
            &mut page,
            format_args!(
                "<h3 id=\"schema-{0}\"><code>{0}</code></h3><pre tabindex=\"0\">{1}</pre>",
                escaped(name),
                escaped(&text)
            ),
        );
    }
    page.push_str("</main></body></html>\n");
    page
}

fn contents(page: &mut String, areas: &BTreeMap<&str, Vec<(&str, &str, &Value)>>) {
    page.push_str("<nav aria-label=\"Operations\"><ul>");
    for (area, operations) in areas {
        add(page, format_args!("<li><a href=\"#{area}\">{area}</a><ul>"));
        for (method, path, described) in operations {
            let id = word(&described["operationId"]);
            let named = method.to_ascii_uppercase();
            // All of them begin so, and there is little room.
            let short = escaped(path.strip_prefix("/v1").unwrap_or(path));
            add(
                page,
                format_args!(
                    "<li><a href=\"#{id}\"><span class=\"method {method}\">{named}</span><span>{short}</span></a></li>"
                ),
            );
        }
        page.push_str("</ul></li>");
    }
    page.push_str("<li><a href=\"#schemas\">schemas</a></li></ul></nav>");
}

fn operation(page: &mut String, method: &str, path: &str, described: &Value) {
    let says = described.get("description").unwrap_or(&described["summary"]);
    add(
        page,
        format_args!(
            "<h3 id=\"{}\"><span class=\"method {method}\">{}</span> <code>{}</code></h3><p>{}</p>",
            word(&described["operationId"]),
            method.to_ascii_uppercase(),
            escaped(path),
            prose(word(says)),
        ),
    );
    match described["security"][0]["token"][0].as_str() {
        Some(scope) => add(page, format_args!("<p class=\"quiet\">Needs the scope <code>{scope}</code>.</p>")),
        None => page.push_str("<p class=\"quiet\">Open to everybody.</p>"),
    }
    let parameters = described["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = parameters.iter().map(|one| {
        let required = if one["required"] == true { ", required" } else { "" };
        [word(&one["name"]).to_owned(), format!("{}{required}", word(&one["in"])), word(&one["description"]).to_owned()]
    });
    table(page, ["Parameter", "Where", "What it means"], rows);
    if let Some(body) = described.get("requestBody") {
        add(page, format_args!("<p>Body: {} {}</p>", prose(word(&body["description"])), content(&body["content"])));
    }
    page.push_str("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Status</th><th scope=\"col\">What it means</th><th scope=\"col\">Body</th></tr></thead><tbody>");
    for (status, answer) in fields(&described["responses"]) {
        add(
            page,
            format_args!(
                "<tr><td>{status}</td><td>{}</td><td>{}</td></tr>",
                prose(word(&answer["description"])),
                content(&answer["content"])
            ),
        );
    }
    page.push_str("</tbody></table></div>");
}

fn table(page: &mut String, head: [&str; 3], rows: impl ExactSizeIterator<Item = [String; 3]>) {
    if rows.len() == 0 {
        return;
    }
    page.push_str("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    head.iter().for_each(|cell| add(page, format_args!("<th scope=\"col\">{cell}</th>")));
    page.push_str("</tr></thead><tbody>");
    for row in rows {
        page.push_str("<tr>");
        row.iter().for_each(|cell| add(page, format_args!("<td>{}</td>", prose(cell))));
        page.push_str("</tr>");
    }
    page.push_str("</tbody></table></div>");
}

/// Media types, each with a link to its schema if that has a name.
fn content(content: &Value) -> String {
    let each = fields(content).map(|(media, described)| {
        let schema = &described["schema"];
        let named = schema.get("$ref").or_else(|| schema["contentSchema"].get("$ref"));
        let name = named.and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
        match name {
            Some(name) => format!("<code>{}</code> <a href=\"#schema-{1}\">{1}</a>", escaped(media), escaped(name)),
            None => format!("<code>{}</code>", escaped(media)),
        }
    });
    each.collect::<Vec<_>>().join("<br>")
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields: Option<&Map<String, Value>> = value.as_object();
    fields.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Words in which code stands in backticks.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.fold(String::new(), |text, (place, part)| match place % 2 {
        0 => text + &escaped(part),
        _ => format!("{text}<code>{}</code>", escaped(part)),
    })
}

fn add(page: &mut String, part: std::fmt::Arguments<'_>) {
    page.write_fmt(part).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::openapi;

    #[test]
    fn the_page_names_every_operation_and_takes_nothing_from_elsewhere() {
        let document = openapi::value();
        let page = html(&document);
        for (path, methods) in fields(&document["paths"]) {
            for (_, operation) in fields(methods) {
                let heading = format!("<h3 id=\"{}\">", word(&operation["operationId"]));
                assert!(page.contains(&heading) && page.contains(&escaped(path)), "{path}");
            }
        }
        for foreign in ["<script", "<style", "src=", "style=", "href=\"http", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_is_written_in_the_document_is_text_and_no_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
        assert_eq!(prose("with `a<b` in it"), "with <code>a&lt;b</code> in it");
    }
}
