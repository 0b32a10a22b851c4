//! What a route says of itself in the OpenAPI document, beside what its handler's arguments say.

use super::Route;
use crate::gateway::openapi::{Parameter, SchemaOf, schema_of};
use crate::gateway::problem::Kind;
use http::StatusCode;
use schemars::JsonSchema;

const JSON: &str = "application/json";

impl Route {
    /// Its name in the document and what it does.
    pub(in crate::gateway) fn named(mut self, id: &'static str, says: &'static str) -> Self {
        self.operation.id = id;
        self.operation.says = says;
        self
    }

    /// Answers with a `T` as JSON.
    pub(in crate::gateway) fn answers<T: JsonSchema>(self, status: StatusCode, says: &'static str) -> Self {
        self.answers_as(status, says, vec![(JSON, schema_of::<T>)])
    }

    /// Answers with a status and no body.
    pub(in crate::gateway) fn answers_nothing(self, status: StatusCode, says: &'static str) -> Self {
        self.answers_as(status, says, Vec::new())
    }

    /// Answers with one of these media types.
    pub(in crate::gateway) fn answers_as(
        mut self,
        status: StatusCode,
        says: &'static str,
        content: Vec<(&'static str, SchemaOf)>,
    ) -> Self {
        self.operation.answer(status, says, content);
        self
    }

    /// The answer named last has this header.
    pub(in crate::gateway) fn with_header(mut self, name: &'static str, says: &'static str) -> Self {
        let answer = self.operation.answers.last_mut().expect("an answer is named before its headers");
        answer.headers.push((name, says));
        self
    }

    /// Reads a parameter that no argument of the handler names by itself.
    pub(in crate::gateway) fn takes(mut self, parameter: Parameter) -> Self {
        self.operation.take(parameter);
        self
    }

    /// Reads a body that no argument of the handler names by itself.
    pub(in crate::gateway) fn reads(
        mut self,
        says: &'static str,
        types: &'static [&'static str],
        schema: SchemaOf,
    ) -> Self {
        self.operation.read(says, types, schema);
        self
    }

    /// May answer with these problems.
    pub(in crate::gateway) fn may_fail(mut self, kinds: &[Kind]) -> Self {
        self.operation.may_fail(kinds);
        self
    }
}
