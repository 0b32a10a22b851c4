//! The JSON Schema that the items of a rule must satisfy, and the key that tells them apart.

use aws_lc_rs::digest::{SHA256, digest};
use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

/// Largest schema, bytes as JSON.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// Largest program a pattern of the schema may compile to, bytes.
const MAX_PROGRAM_BYTES: usize = 256 * 1024;

/// A schema ready for any number of items.
#[derive(Debug)]
pub(crate) struct ItemSchema(Validator);

impl ItemSchema {
    /// Compiles `schema`; the message says what is wrong with it.
    ///
    /// References are refused: a chain of them makes validation take exponential time, and an item of four levels can be described without.
    pub(crate) fn compile(schema: &Value) -> Result<Self, String> {
        if !schema.is_object() {
            return Err("is not an object".to_owned());
        }
        let bytes = schema.to_string().len();
        if bytes > MAX_SCHEMA_BYTES {
            return Err(format!("has {bytes} bytes; at most {MAX_SCHEMA_BYTES} are allowed"));
        }
        if let Some(word) = reference(schema) {
            return Err(format!("uses `{word}`; write what it refers to in its place"));
        }
        jsonschema::draft202012::options()
            .should_validate_formats(false)
            .with_pattern_options(
                PatternOptions::regex().size_limit(MAX_PROGRAM_BYTES).dfa_size_limit(MAX_PROGRAM_BYTES),
            )
            .build(schema)
            .map(Self)
            .map_err(|error| format!("is not a JSON Schema: {}", excerpt(&error.to_string())))
    }

    /// The first fault of an item: the place in it, such as `specs[2].k`, and what is wrong there.
    pub(super) fn fault(&self, item: &Value) -> Option<(String, String)> {
        let error = self.0.validate(item).err()?;
        Some((place(error.instance_path().as_str()), excerpt(&error.to_string())))
    }
}

/// `/specs/2/k` as `specs[2].k`.
fn place(pointer: &str) -> String {
    let mut place = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            place.push_str(&format!("[{part}]"));
        } else {
            if !place.is_empty() {
                place.push('.');
            }
            place.push_str(part);
        }
    }
    place
}

/// Messages quote the item, which may be long.
fn excerpt(message: &str) -> String {
    const SHOWN: usize = 200;
    if message.chars().count() <= SHOWN {
        return message.to_owned();
    }
    message.chars().take(SHOWN).chain(['…']).collect()
}

fn reference(schema: &Value) -> Option<&str> {
    match schema {
        Value::Object(object) => {
            let word = object.keys().find(|key| matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef"));
            word.map(String::as_str).or_else(|| object.values().find_map(reference))
        }
        Value::Array(list) => list.iter().find_map(reference),
        _ => None,
    }
}

/// The identity of an item of the kind `rule`: a digest of the values of its key fields. `None` if it has none of them.
pub(super) fn item_key(rule: &str, names: &[String], item: &Map<String, Value>) -> Option<String> {
    let values: Vec<&Value> = names.iter().map(|name| item.get(name).unwrap_or(&Value::Null)).collect();
    if values.iter().all(|value| value.is_null()) {
        return None;
    }
    let text = serde_json::to_string(&(rule, values)).expect("JSON values are JSON");
    Some(digest(&SHA256, text.as_bytes()).as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_item_that_breaks_the_schema_is_told_with_its_place() {
        let schema = ItemSchema::compile(&json!({
            "type": "object",
            "required": ["title"],
            "properties": {
                "price": {"type": "number", "minimum": 0},
                "specs": {"items": {"properties": {"k": {"pattern": "^[a-z]+$"}}}}
            }
        }))
        .unwrap();
        assert_eq!(schema.fault(&json!({"title": "a", "price": 1})), None);
        for (item, place) in [
            (json!({"price": 1}), ""),
            (json!({"title": "a", "price": -1}), "price"),
            (json!({"title": "a", "specs": [{"k": "a"}, {"k": "A"}]}), "specs[1].k"),
        ] {
            let (found, message) = schema.fault(&item).expect("a fault");
            assert_eq!(found, place, "{item}");
            assert!(!message.is_empty());
        }
    }

    #[test]
    fn schemas_that_cannot_be_used_or_cost_too_much_are_refused() {
        for (schema, word) in [
            (json!(true), "object"),
            (json!({"type": "nonsense"}), "nonsense"),
            (json!({"properties": {"a": {"$ref": "#/x"}}}), "$ref"),
            (json!({"pattern": "("}), "not a JSON Schema"),
            (json!({"pattern": "(?:\\w{1,50}){1,50}"}), "not a JSON Schema"),
            (json!({"description": "x".repeat(70_000)}), "bytes"),
        ] {
            let error =
                ItemSchema::compile(&schema).expect_err(&schema.to_string()[..40.min(schema.to_string().len())]);
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn items_with_the_same_key_fields_have_the_same_key_whatever_else_they_hold() {
        let key = |item: Value| item_key("book", &["isbn".to_owned(), "lang".to_owned()], item.as_object().unwrap());
        let first = key(json!({"isbn": "1", "price": 2}));
        assert!(first.as_ref().is_some_and(|key| key.len() == 32));
        assert_eq!(first, key(json!({"price": 3, "isbn": "1"})));
        assert_ne!(first, key(json!({"isbn": "1", "lang": "en"})));
        assert_ne!(first, key(json!({"isbn": 1})));
        assert_eq!(key(json!({"price": 3})), None);
    }
}
