//! Puts the document together from the routes.

use super::operation::{Answer, Operation, Parameter, RequestBody, schema_of};
use crate::auth::Scope;
use crate::gateway::access::Access;
use crate::gateway::problem::{Kind, ProblemBody, TYPE_PREFIX};
use crate::gateway::routes::Route;
use http::StatusCode;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where schemas stand in the document.
const SCHEMAS: &str = "/components/schemas";
const PROBLEM: &str = "application/problem+json";

const ABOUT: &str = "Declarative web scraping by a ring of equal nodes. Every node has this interface, and every \
    node gives the same answers. Errors are problem documents (RFC 9457) whose `type` is stable; 503 says that \
    nothing was changed, 504 that it is not known whether it was. Lists are read with an opaque cursor that every \
    node understands.";

/// Problems that every operation behind a token may answer with.
const BEHIND_A_TOKEN: [Kind; 4] = [Kind::Unauthorized, Kind::Forbidden, Kind::RateLimited, Kind::Timeout];

/// The document of these routes.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = SCHEMAS.into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let path = paths.entry(template(route.path)).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation(route, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ScrapeRing",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": token_scheme()}},
    })
}

fn token_scheme() -> Value {
    let scopes = Scope::ALL.map(Scope::as_str).join(", ");
    json!({
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": format!("A signed token (RFC 9068) with the scopes that its operations need: {scopes}. Its claim `tenant` says whose jobs, keys and files it may touch."),
    })
}

/// `{*rest}` is axum's word for the rest of the path; the document knows only `{rest}`.
fn template(path: &str) -> String {
    path.replace("{*", "{")
}

fn operation(route: &Route, generator: &mut SchemaGenerator) -> Value {
    let operation = &route.operation;
    let summary = operation.says.split_inclusive(". ").next().unwrap_or_default().trim_end();
    let mut described = json!({
        "operationId": operation.id,
        "tags": [tag(route.path)],
        "summary": summary,
    });
    if summary.len() < operation.says.len() {
        described["description"] = operation.says.into();
    }
    match route.access {
        Access::Needs(scope) => described["security"] = json!([{"token": [scope.as_str()]}]),
        Access::Open => described["security"] = json!([]),
    }
    if !operation.parameters.is_empty() {
        let parameters = operation.parameters.iter().map(|one| parameter(one, generator));
        described["parameters"] = parameters.collect();
    }
    if let Some(body) = &operation.body {
        described["requestBody"] = request_body(body, generator);
    }
    described["responses"] = responses(operation, route.access, generator);
    described
}

/// The first word of the path that is not the version.
fn tag(path: &str) -> &str {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    match words.next() {
        Some("v1") => words.next().and_then(|word| word.split(':').next()).unwrap_or_default(),
        _ => "about",
    }
}

fn parameter(parameter: &Parameter, generator: &mut SchemaGenerator) -> Value {
    json!({
        "name": parameter.name,
        "in": parameter.place.word(),
        "required": parameter.required,
        "description": parameter.says,
        "schema": (parameter.schema)(generator),
    })
}

fn request_body(body: &RequestBody, generator: &mut SchemaGenerator) -> Value {
    let schema = (body.schema)(generator).to_value();
    let content: Map<String, Value> =
        body.types.iter().map(|media| ((*media).to_owned(), json!({"schema": schema}))).collect();
    json!({"required": true, "description": body.says, "content": content})
}

fn responses(operation: &Operation, access: Access, generator: &mut SchemaGenerator) -> Value {
    let mut all: BTreeMap<u16, Value> = BTreeMap::new();
    for answer in &operation.answers {
        all.insert(answer.status.as_u16(), success(answer, generator));
    }
    let mut kinds = operation.problems.clone();
    if matches!(access, Access::Needs(_)) {
        kinds.extend(BEHIND_A_TOKEN);
    }
    let mut problems: BTreeMap<StatusCode, Vec<Kind>> = BTreeMap::new();
    for kind in kinds {
        problems.entry(kind.row().1).or_default().push(kind);
    }
    for (status, kinds) in problems {
        all.insert(status.as_u16(), problem(&kinds, generator));
    }
    all.into_iter().map(|(status, value)| (status.to_string(), value)).collect::<Map<_, _>>().into()
}

fn success(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let mut described = json!({"description": answer.says});
    if !answer.content.is_empty() {
        let content = answer.content.iter();
        let content = content.map(|(media, schema)| ((*media).to_owned(), json!({"schema": schema(generator)})));
        described["content"] = content.collect::<Map<_, _>>().into();
    }
    if !answer.headers.is_empty() {
        let headers = answer.headers.iter();
        let headers = headers
            .map(|(name, says)| ((*name).to_owned(), json!({"description": says, "schema": {"type": "string"}})));
        described["headers"] = headers.collect::<Map<_, _>>().into();
    }
    described
}

fn problem(kinds: &[Kind], generator: &mut SchemaGenerator) -> Value {
    let says: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let (slug, _, title) = kind.row();
            format!("{title} (`{TYPE_PREFIX}{slug}`).")
        })
        .collect();
    json!({
        "description": says.join(" "),
        "content": {PROBLEM: {"schema": schema_of::<ProblemBody>(generator)}},
    })
}
