//! One operation as the document describes it.

use crate::gateway::problem::Kind;
use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::collections::BTreeSet;

/// Makes a schema; the types it refers to go into the generator.
pub(in crate::gateway) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Place {
    /// In braces in the path.
    Path,
    /// After the question mark.
    Query,
    /// Among the headers.
    Header,
}

impl Place {
    /// The word of the document.
    pub(in crate::gateway) fn word(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A parameter.
#[derive(Clone)]
pub(in crate::gateway) struct Parameter {
    /// As it is written.
    pub(in crate::gateway) name: &'static str,
    /// Where it stands.
    pub(in crate::gateway) place: Place,
    /// What it means.
    pub(in crate::gateway) says: &'static str,
    /// What it may be.
    pub(in crate::gateway) schema: SchemaOf,
    /// Whether it must be there.
    pub(in crate::gateway) required: bool,
}

impl Parameter {
    /// Part of the path; always there.
    pub(in crate::gateway) fn path(name: &'static str, says: &'static str, schema: SchemaOf) -> Self {
        Self { name, place: Place::Path, says, schema, required: true }
    }

    /// A parameter of the query that may be left out.
    pub(in crate::gateway) fn query(name: &'static str, says: &'static str, schema: SchemaOf) -> Self {
        Self { name, place: Place::Query, says, schema, required: false }
    }

    /// A header that may be left out.
    pub(in crate::gateway) fn header(name: &'static str, says: &'static str, schema: SchemaOf) -> Self {
        Self { name, place: Place::Header, says, schema, required: false }
    }

    /// The same, but it must be there.
    pub(in crate::gateway) fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// What a request carries.
pub(in crate::gateway) struct RequestBody {
    /// What it is.
    pub(in crate::gateway) says: &'static str,
    /// Media types, the usual one first.
    pub(in crate::gateway) types: &'static [&'static str],
    /// Its shape.
    pub(in crate::gateway) schema: SchemaOf,
}

/// A success.
pub(in crate::gateway) struct Answer {
    /// Its status.
    pub(in crate::gateway) status: StatusCode,
    /// What it means.
    pub(in crate::gateway) says: &'static str,
    /// Its body by media type; none if it has no body.
    pub(in crate::gateway) content: Vec<(&'static str, SchemaOf)>,
    /// Headers that say more, and what.
    pub(in crate::gateway) headers: Vec<(&'static str, &'static str)>,
}

/// What the document says of one method of one path.
#[derive(Default)]
pub(in crate::gateway) struct Operation {
    /// Unique, for programs that are generated.
    pub(in crate::gateway) id: &'static str,
    /// What it does; the first sentence is its summary.
    pub(in crate::gateway) says: &'static str,
    /// In the order of the handler's arguments.
    pub(in crate::gateway) parameters: Vec<Parameter>,
    /// What the request carries.
    pub(in crate::gateway) body: Option<RequestBody>,
    /// Every success.
    pub(in crate::gateway) answers: Vec<Answer>,
    /// Every problem but those of the token, which all operations share.
    pub(in crate::gateway) problems: BTreeSet<Kind>,
}

impl Operation {
    /// Reads `parameter`.
    pub(in crate::gateway) fn take(&mut self, parameter: Parameter) {
        self.parameters.push(parameter);
    }

    /// Reads a body of one of `types`.
    pub(in crate::gateway) fn read(&mut self, says: &'static str, types: &'static [&'static str], schema: SchemaOf) {
        self.body = Some(RequestBody { says, types, schema });
    }

    /// May answer with these problems.
    pub(in crate::gateway) fn may_fail(&mut self, kinds: &[Kind]) {
        self.problems.extend(kinds);
    }

    pub(in crate::gateway) fn answer(
        &mut self,
        status: StatusCode,
        says: &'static str,
        content: Vec<(&'static str, SchemaOf)>,
    ) {
        self.answers.push(Answer { status, says, content, headers: Vec::new() });
    }
}

/// The schema of a type.
pub(in crate::gateway) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Any text.
pub(in crate::gateway) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string"})
}

/// `true` or `false`.
pub(in crate::gateway) fn boolean(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "boolean"})
}

/// Lines, each a value of type `T` as JSON.
pub(in crate::gateway) fn lines_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let line = generator.subschema_for::<T>();
    json_schema!({"type": "string", "description": "One JSON value a line.", "contentMediaType": "application/x-ndjson", "contentSchema": line})
}

/// Server-sent events whose data is a `T`.
pub(in crate::gateway) fn events_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let data = generator.subschema_for::<T>();
    json_schema!({
        "type": "object",
        "description": "One of the events that come.",
        "properties": {
            "event": {"type": "string"},
            "id": {"type": "string"},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": data},
        },
    })
}

/// Bytes as they are.
pub(in crate::gateway) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({})
}
