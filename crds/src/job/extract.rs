//! `spec.extract`: where items sit on a page and how their fields are read.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Levels of fields within fields, the first included. The schema of a custom resource cannot be recursive.
pub const FIELD_LEVELS_MAX: usize = 4;
/// Most fields on one level of one rule.
pub const FIELDS_MAX: usize = 128;
/// Most entries in `transform`.
pub const TRANSFORMS_MAX: usize = 16;
/// Longest text in an entry of `transform`, characters.
pub const TRANSFORM_LENGTH_MAX: usize = 1_024;
/// Most entries in `key`.
pub const KEY_FIELDS_MAX: usize = 8;
/// Largest JSON Schema, bytes as JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1_024;

/// One kind of item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = super::rules::of_extract)]
pub struct ExtractSpec {
    /// Name of the kind of item; each item carries it as `_type`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub name: String,
    /// What items are read from. html: the elements of a page, by CSS selectors or XPath. json: the JSON that the page is. jsonLd: the objects of its `application/ld+json` scripts, lists and `@graph` taken apart. openGraph: one object of its `og:` properties (without that prefix) and other properties with a colon. meta: one object of its named `meta` elements, with `title`, `lang` and `canonical`. All but html are selected by JSONPath (RFC 9535) in which `$` is what is looked at.
    #[serde(default)]
    pub from: SourceType,
    /// Which pages the rule is for; all without it.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub match_: Option<MatchSpec>,
    /// Selector of what is around one item; without it the whole page is one item, and each object of jsonLd is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub base_selector: Option<String>,
    /// XPath 1.0 in place of `baseSelector`, for html: the elements around one item each, such as `//article[@class='product']`.
    #[serde(rename = "baseXPath", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub base_xpath: Option<String>,
    /// The fields of an item, in the order in which they are written.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub fields: Vec<FieldSpec>,
    /// Fields on the first level that tell items apart. Each item carries a digest of them as `_key`; of a page's items with the same one the first is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub key: Vec<String>,
    /// A JSON Schema (2020-12, without `$ref`) that each item must satisfy, else it is an item error; at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub schema: Option<Value>,
}

/// Which pages a rule is for: those that satisfy every part that is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct MatchSpec {
    /// Labels that links or seeds give; the page has one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 63)))]
    pub labels: Vec<String>,
    /// Regular expressions; the page's URL matches one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 1024)))]
    pub urls: Vec<String>,
}

/// What items are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum SourceType {
    /// The elements of a page.
    #[default]
    Html,
    /// The JSON that the page is.
    Json,
    /// The objects of `application/ld+json` scripts.
    JsonLd,
    /// Properties such as `og:title`.
    OpenGraph,
    /// Named `meta` elements.
    Meta,
}

/// One field of an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline, transform = unroll_fields)]
pub struct FieldSpec {
    /// Key of the value in the item.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9_-]*$"))]
    pub name: String,
    /// Selector below the item's element (CSS), or in the item's JSON (JSONPath); without it the item itself is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub selector: Option<String>,
    /// XPath 1.0 in place of the selector, for html, seen from the item's element, which is `html` for the whole page: `.//a` is below it, `//a` anywhere on the page. Elements are read as those of a selector; an attribute or a text node, such as `.//a/@href`, is read as its text; what an expression gives, such as `count(.//li)`, is the value, and an empty text is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub xpath: Option<String>,
    /// What is read. text: the text, white space collapsed. attribute: the attribute named by `attribute`. html: the inner HTML. number: the first number in the text or in `attribute`. url: an absolute URL from `attribute`, else href, else src. date: a date or time of `attribute`, else datetime, else content, else the text, as `2024-01-15`, `2024-01-15T10:30:00` or, with its zone known, in UTC with a `Z`. json: any JSON value, in HTML the one written in the text or in `attribute`. list: every match, each read as `of` says or as an object of `fields`. nested: one object of `fields`.
    #[serde(rename = "type", default)]
    pub type_: FieldType,
    /// The attribute to read, for the types attribute (where it is needed), number, url, date and json, or for a list of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub attribute: Option<String>,
    /// Regular expression (linear time); what its first group matched is kept, or all of the match if there is no group. Only the first 64 KiB of a text are searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
    /// What is done to the text that was read, one after the other, before it becomes a number, URL, date or JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub transform: Vec<TransformSpec>,
    /// How a date is written, such as `%d.%m.%Y`; without it ISO 8601, RFC 2822 and the forms with the month in English are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub format: Option<String>,
    /// JSONPath of the value inside the JSON of a field of type json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
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
    /// A date or time.
    Date,
    /// A JSON value.
    Json,
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
    /// A date or time.
    Date,
    /// A JSON value.
    Json,
}

/// One step of `transform`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(inline)]
pub struct TransformSpec {
    /// trim: no white space at the ends. collapse: one space for each run of white space. lower, upper: other case. replace: every `find` by `with`. regex: every match of the regular expression `find` by `with`, in which `$1` is a group. prefix, suffix: `with` before or after. split: a list of the parts between `separator`. join: one text of a list, with `separator` between. unique: a list without repetitions.
    pub op: TransformOp,
    /// What is looked for, for replace (a text) and regex (a regular expression).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub find: Option<String>,
    /// What takes its place, or for prefix and suffix what is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub with: Option<String>,
    /// What stands between the parts, for split and join.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub separator: Option<String>,
}

/// What is done to a value that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum TransformOp {
    /// No white space at the ends.
    Trim,
    /// One space for each run of white space.
    Collapse,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// A text by another.
    Replace,
    /// What a regular expression matches by a text.
    Regex,
    /// A text before it.
    Prefix,
    /// A text after it.
    Suffix,
    /// Into a list.
    Split,
    /// Out of a list.
    Join,
    /// A list without repetitions.
    Unique,
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
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
