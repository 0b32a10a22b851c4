//! The columns that the items of one type have as a table: the fields of the rule, and what every item carries.

use scrapering_crds::job::{ExtractSpec, FieldType};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::ExportError;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Whole,
    /// A moment in RFC 3339.
    Moment,
    /// Any JSON value, written as JSON.
    Json,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, and the key in the item.
    pub name: String,
    /// What it holds.
    pub holds: ColumnType,
}

/// The columns of one type of item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// In order.
    pub columns: Vec<Column>,
    /// The items are of an unknown shape: the only column holds each as a whole.
    is_whole: bool,
}

/// An item with its fields.
pub(super) fn object(item: &RawValue) -> Result<Map<String, Value>, ExportError> {
    serde_json::from_str(item.get()).map_err(ExportError::Item)
}

/// What every item carries, behind its fields.
const CARRIED: [(&str, ColumnType); 6] = [
    ("_key", ColumnType::Text),
    ("_url", ColumnType::Text),
    ("_fetchedAt", ColumnType::Moment),
    ("_status", ColumnType::Whole),
    ("_depth", ColumnType::Whole),
    ("_job", ColumnType::Text),
];

impl Table {
    /// The columns of the items of a rule.
    #[must_use]
    pub fn of(rule: &ExtractSpec) -> Self {
        let fields = rule.fields.iter().map(|field| {
            let holds = match field.type_ {
                FieldType::Text | FieldType::Attribute | FieldType::Html | FieldType::Url | FieldType::Date
                    if field.transform.is_empty() =>
                {
                    ColumnType::Text
                }
                FieldType::Number => ColumnType::Number,
                _ => ColumnType::Json,
            };
            Column { name: field.name.clone(), holds }
        });
        let carried = CARRIED.into_iter().filter(|(name, _)| *name != "_key" || !rule.key.is_empty());
        let carried = carried.map(|(name, holds)| Column { name: name.to_owned(), holds });
        Self { columns: fields.chain(carried).collect(), is_whole: false }
    }

    /// The columns of all items of a job in one table: their type, the fields of every rule, and what every item carries.
    ///
    /// A field that two rules read as different things is JSON.
    #[must_use]
    pub fn of_all(rules: &[ExtractSpec]) -> Self {
        if rules.is_empty() {
            return Self::whole();
        }
        let mut columns = vec![Column { name: "_type".to_owned(), holds: ColumnType::Text }];
        for column in rules.iter().flat_map(|rule| Self::of(rule).columns) {
            match columns.iter_mut().find(|known| known.name == column.name) {
                None => columns.push(column),
                Some(known) if known.holds != column.holds => known.holds = ColumnType::Json,
                Some(_) => {}
            }
        }
        // What a later rule adds comes before what every item carries.
        columns.sort_by_key(|column| CARRIED.iter().position(|(name, _)| *name == column.name).map(|place| place + 1));
        Self { columns, is_whole: false }
    }

    /// One column for items of an unknown shape.
    #[must_use]
    pub fn whole() -> Self {
        Self { columns: vec![Column { name: "item".to_owned(), holds: ColumnType::Json }], is_whole: true }
    }

    /// The value of a column as text; `None` if the item has none.
    pub(super) fn text(&self, column: &Column, item: &Map<String, Value>) -> Option<String> {
        if self.is_whole {
            return Some(Value::Object(item.clone()).to_string());
        }
        match item.get(&column.name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }
}
