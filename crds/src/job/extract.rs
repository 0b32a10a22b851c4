//! `spec.extract`: where items sit on a page and how their fields are read.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Levels of fields within fields, the first included. The schema of a custom resource cannot be recursive.
pub const FIELD_LEVELS_MAX: usize = 4;
/// Most fields on one level of one rule.
pub const FIELDS_MAX: usize = 128;

/// One kind of item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExtractSpec {
    /// Name of the kind of item; each item carries it as `_type`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub name: String,
    /// CSS selector of the element around one item; without it the whole page is one item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub base_selector: Option<String>,
    /// The fields of an item, in the order in which they are written.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub fields: Vec<FieldSpec>,
}

/// One field of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, transform = unroll_fields)]
pub struct FieldSpec {
    /// Key of the value in the item.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub name: String,
    /// CSS selector below the item's element; without it the element itself is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub selector: Option<String>,
    /// What is read. text: the text, white space collapsed. attribute: the attribute named by `attribute`. html: the inner HTML. number: the first number in the text or in `attribute`. url: an absolute URL from `attribute`, else href, else src. list: every match, each read as `of` says or as an object of `fields`. nested: one object of `fields`.
    #[serde(rename = "type", default)]
    pub type_: FieldType,
    /// The attribute to read, for the types attribute (where it is needed), number and url, or for a list of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub attribute: Option<String>,
    /// Without this field there is no item, but an item error.
    #[serde(default)]
    pub required: bool,
    /// The value when nothing matched; any JSON value except null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub default: Option<Value>,
    /// What each element of a list is read as; text when left out. Not together with `fields`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<ElementType>,
    /// The fields of a nested object or of each element of a list, at most four levels deep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "field_list")]
    pub fields: Vec<FieldSpec>,
}

/// What a field is read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum FieldType {
    /// Text, white space collapsed.
    #[default]
    Text,
    /// The value of an attribute.
    Attribute,
    /// Inner HTML.
    Html,
    /// The first number in the text.
    Number,
    /// An absolute URL.
    Url,
    /// Every match.
    List,
    /// One object.
    Nested,
}

/// What an element of a list is read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum ElementType {
    /// Text, white space collapsed.
    #[default]
    Text,
    /// The value of an attribute.
    Attribute,
    /// Inner HTML.
    Html,
    /// The first number in the text.
    Number,
    /// An absolute URL.
    Url,
}

fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// The list without its elements; [`unroll_fields`] puts them in.
fn field_list(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": FIELDS_MAX,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    })
}

/// Writes the schema of a field [`FIELD_LEVELS_MAX`] times into itself; the innermost has no `fields`.
fn unroll_fields(schema: &mut Schema) {
    let flat = schema.clone();
    let mut level = flat.clone();
    if let Some(properties) = level.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_remove("fields");
    }
    for _ in 1..FIELD_LEVELS_MAX {
        let mut outer = flat.clone();
        if let Some(fields) = outer.pointer_mut("/properties/fields").and_then(Value::as_object_mut) {
            fields.insert("items".to_owned(), level.to_value());
        }
        level = outer;
    }
    super::rules::of_fields(&mut level);
    *schema = level;
}
