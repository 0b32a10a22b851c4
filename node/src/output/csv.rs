//! Comma-separated values as RFC 4180 describes them.

use serde_json::value::RawValue;

use super::ExportError;
use super::columns::{Table, object};

/// A header and one line for each item.
pub(super) fn write(table: &Table, items: &[Box<RawValue>]) -> Result<Vec<u8>, ExportError> {
    let mut text = String::new();
    line(table.columns.iter().map(|column| Some(column.name.clone())), &mut text);
    for item in items {
        let item = object(item)?;
        line(table.columns.iter().map(|column| table.text(column, &item)), &mut text);
    }
    Ok(text.into_bytes())
}

fn line(cells: impl Iterator<Item = Option<String>>, text: &mut String) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        let Some(cell) = cell else { continue };
        // An empty text is quoted, to tell it from nothing.
        if cell.is_empty() || cell.contains(['"', ',', '\r', '\n']) || cell.starts_with(' ') || cell.ends_with(' ') {
            text.push('"');
            text.push_str(&cell.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&cell);
        }
    }
    text.push_str("\r\n");
}
