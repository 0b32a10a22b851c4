//! What the schemas of the custom resources need beyond what their types say: bounds, one spelling of "absent", and rules.
//!
//! An API server estimates the cost of every rule from the bounds of what it reads, and refuses a definition without
//! them. The functions here are schemars transforms: they run where a type is described, on the schema with everything
//! that lies below it, so a field that is added later is bounded and held fixed without another word.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// Where the rules of a schema stand.
const RULES: &str = "x-kubernetes-validations";
/// Where a schema says how a list is merged.
const LIST_TYPE: &str = "x-kubernetes-list-type";

/// Most entries of a list of somebody else's type.
const FOREIGN_ITEMS_MAX: u64 = 64;
/// Most entries of a map of somebody else's type.
const FOREIGN_PROPERTIES_MAX: u64 = 64;
/// Longest text in somebody else's type, characters.
const FOREIGN_LENGTH_MAX: u64 = 4_096;

const TIME_ZONE_PATTERN: &str = "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$";

/// To ask for the hour in a zone that does not exist is an error, and that refuses the object. "Local" is the server's
/// own zone, and no name.
const TIME_ZONE: [Rule; 1] = [Rule {
    rule: "self != 'Local' && timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
    message: "is no time zone; use a name of the IANA database such as Europe/Madrid or UTC",
    field: None,
}];

/// A rule of the Common Expression Language, as the API server checks it at every write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The expression; one that reads `oldSelf` binds changes only.
    pub(crate) rule: &'static str,
    /// What is wrong and what to do.
    pub(crate) message: &'static str,
    /// The field to name, from where the rule stands, such as `.storage.size`.
    pub(crate) field: Option<&'static str>,
}

/// Writes `rules` into a schema, behind those that it has.
pub(crate) fn add_rules(schema: &mut Schema, rules: &[Rule]) {
    for Rule { rule, message, field } in rules {
        let mut written = json!({ "rule": rule, "message": message });
        if let Some(field) = field {
            written["fieldPath"] = json!(field);
        }
        push_rule(schema, written);
    }
}

/// The name of a time zone: what looks like one, and what the server finds in its own copy of the IANA database.
pub(crate) fn time_zone(schema: &mut Schema) {
    let object = schema.ensure_object();
    object.insert("minLength".to_owned(), json!(1));
    object.insert("maxLength".to_owned(), json!(64));
    object.insert("pattern".to_owned(), json!(TIME_ZONE_PATTERN));
    add_rules(schema, &TIME_ZONE);
}

/// A list without order and without repetition.
#[cfg(feature = "kube")]
pub(crate) fn set(schema: &mut Schema) {
    schema.insert(LIST_TYPE.to_owned(), json!("set"));
}

/// A list of entries that are known, and merged, by their `name`.
pub(crate) fn keyed_by_name(schema: &mut Schema) {
    keyed(schema, "name");
}

/// A list of entries that are known, and merged, by their `type`.
pub(crate) fn keyed_by_type(schema: &mut Schema) {
    keyed(schema, "type");
}

fn keyed(schema: &mut Schema, key: &str) {
    schema.insert(LIST_TYPE.to_owned(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".to_owned(), json!([key]));
}

/// Lets no property of an object change, come or go, except those named in `free`.
pub(crate) fn fix_all_but(schema: &mut Schema, free: &[&str], advice: &str) {
    let names: Vec<String> = schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().filter(|name| !free.contains(&name.as_str())).cloned().collect())
        .unwrap_or_default();
    for name in names {
        let rule =
            format!("has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})");
        push_rule(
            schema,
            json!({ "rule": rule, "message": format!("cannot be changed; {advice}"), "fieldPath": format!(".{name}") }),
        );
    }
}

fn push_rule(schema: &mut Schema, rule: Value) {
    let rules = schema.ensure_object().entry(RULES).or_insert_with(|| json!([]));
    rules.as_array_mut().expect("nobody else writes this key").push(rule);
}

/// Removes, here and below, the rules that compare with the object before: for a schema inside another kind, whose
/// owner may change it at will.
pub(crate) fn without_transition_rules(schema: &mut Schema) {
    each(schema.ensure_object(), &mut |object| {
        let Some(rules) = object.get_mut(RULES).and_then(Value::as_array_mut) else { return };
        rules.retain(|rule| !rule["rule"].as_str().is_some_and(|text| text.contains("oldSelf")));
        if rules.is_empty() {
            object.shift_remove(RULES);
        }
    });
}

/// Says "absent" in one way: leaving a field out. The API server then drops a `null` instead of keeping and owning it.
pub(crate) fn without_null(schema: &mut Schema) {
    each(schema.ensure_object(), &mut |object| {
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                object.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(values)) = object.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        if object.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
            // kube takes every optional one for nullable unless told otherwise.
            object.insert("nullable".to_owned(), json!(false));
        }
        let alternatives = object.get("anyOf").and_then(Value::as_array);
        let Some([kept, null]) = alternatives.map(Vec::as_slice) else { return };
        if null != &json!({ "type": "null" }) {
            return;
        }
        let kept = kept.as_object().cloned().unwrap_or_default();
        object.shift_remove("anyOf");
        for (key, value) in kept {
            object.entry(key).or_insert(value);
        }
    });
}

/// Bounds every list, map and text of a type that is not ours.
pub(crate) fn bounded(schema: &mut Schema) {
    without_null(schema);
    each(schema.ensure_object(), &mut |object| {
        let (bound, most) = match object.get("type").and_then(Value::as_str) {
            Some("array") => ("maxItems", FOREIGN_ITEMS_MAX),
            Some("object") if object.contains_key("additionalProperties") => ("maxProperties", FOREIGN_PROPERTIES_MAX),
            Some("string") if !object.contains_key("enum") => ("maxLength", FOREIGN_LENGTH_MAX),
            _ => return,
        };
        object.entry(bound).or_insert_with(|| json!(most));
    });
}

/// Applies `change` to every schema below and including `schema`.
fn each(schema: &mut Map<String, Value>, change: &mut impl FnMut(&mut Map<String, Value>)) {
    change(schema);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(|inner| each(inner, change));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key).and_then(Value::as_object_mut) {
            each(inner, change);
        }
    }
}

#[cfg(all(test, feature = "kube"))]
mod tests {
    use super::*;

    fn schema(value: Value) -> Schema {
        Schema::try_from(value).expect("a schema")
    }

    #[test]
    fn every_property_but_the_free_ones_is_held_fixed() {
        let mut fixed = schema(json!({ "properties": { "a": {}, "b": {}, "suspend": {} } }));
        fix_all_but(&mut fixed, &["suspend"], "make a new one");
        let paths: Vec<_> = fixed
            .get(RULES)
            .and_then(Value::as_array)
            .expect("rules")
            .iter()
            .map(|rule| rule["fieldPath"].clone())
            .collect();
        assert_eq!(paths, [".a", ".b"]);
        without_transition_rules(&mut fixed);
        assert_eq!(fixed.get(RULES), None);
    }

    #[test]
    fn rules_that_do_not_look_back_stay() {
        let mut both = schema(json!({ "items": { RULES: [{ "rule": "self > 0" }, { "rule": "self >= oldSelf" }] } }));
        without_transition_rules(&mut both);
        assert_eq!(both.pointer("/items/x-kubernetes-validations"), Some(&json!([{ "rule": "self > 0" }])));
    }

    #[test]
    fn null_is_taken_out_of_types_enums_and_alternatives() {
        let mut nullable = schema(json!({
            "properties": {
                "a": { "type": ["string", "null"], "enum": ["x", null] },
                "b": { "description": "outer", "anyOf": [{ "type": "object", "description": "inner" }, { "type": "null" }] },
            },
        }));
        without_null(&mut nullable);
        assert_eq!(
            nullable.get("properties"),
            Some(&json!({
                "a": { "type": "string", "enum": ["x"] },
                "b": { "description": "outer", "type": "object" },
            }))
        );
    }

    #[test]
    fn what_has_no_bound_of_its_own_gets_one() {
        let mut foreign = schema(json!({
            "type": "object",
            "properties": {
                "list": { "type": "array", "items": { "type": "string" } },
                "map": { "type": "object", "additionalProperties": { "type": "string", "maxLength": 3 } },
            },
        }));
        bounded(&mut foreign);
        assert_eq!(foreign.pointer("/properties/list/maxItems"), Some(&json!(64)));
        assert_eq!(foreign.pointer("/properties/list/items/maxLength"), Some(&json!(4096)));
        assert_eq!(foreign.pointer("/properties/map/maxProperties"), Some(&json!(64)));
        assert_eq!(foreign.pointer("/properties/map/additionalProperties/maxLength"), Some(&json!(3)));
        assert_eq!(foreign.get("maxProperties"), None);
    }
}
