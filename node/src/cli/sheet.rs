//! Items as a table for spreadsheets: CSV (RFC 4180) whose columns are known before the first item comes.

use crate::gateway::object::JobObject;
use serde_json::{Map, Value};
use std::fmt::Write;

/// Columns that every item has before those of its job, and after them.
const BEFORE: [&str; 1] = ["_type"];
const AFTER: [&str; 4] = ["_url", "_fetchedAt", "_status", "_depth"];

/// The columns of a job's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sheet(Vec<String>);

/// A line of items that is no JSON object; the ring is of another version.
#[derive(Debug, thiserror::Error)]
#[error("an item cannot be written as CSV, because it is no JSON object; ask for --format ndjson")]
pub(super) struct NoObject(#[source] serde_json::Error);

impl Sheet {
    /// The columns of `job`: every field that it extracts, in order, among what is known of every page.
    pub(super) fn of(job: &JobObject) -> Self {
        let fields = job.spec["extract"].as_array().into_iter().flatten();
        let fields = fields.flat_map(|extract| extract["fields"].as_array().into_iter().flatten());
        let fields = fields.filter_map(|field| field["name"].as_str());
        let mut columns: Vec<String> = Vec::new();
        for name in BEFORE.into_iter().chain(fields).chain(AFTER) {
            if !columns.iter().any(|known| known == name) {
                columns.push(name.to_owned());
            }
        }
        Self(columns)
    }

    /// The first line: the names of the columns.
    pub(super) fn head(&self) -> String {
        let mut text = String::new();
        line(&mut text, self.0.iter().map(String::as_str));
        text
    }

    /// Items as lines; what is no text, number or truth value is written as JSON.
    pub(super) fn rows(&self, ndjson: &[u8]) -> Result<Vec<u8>, NoObject> {
        let mut text = String::new();
        for item in ndjson.split(|byte| *byte == b'\n').filter(|item| !item.is_empty()) {
            let item: Map<String, Value> = serde_json::from_slice(item).map_err(NoObject)?;
            let cells: Vec<String> = self.0.iter().map(|name| cell(item.get(name))).collect();
            line(&mut text, cells.iter().map(String::as_str));
        }
        Ok(text.into_bytes())
    }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn line<'a>(text: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (number, cell) in cells.enumerate() {
        if number > 0 {
            text.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            let _ = write!(text, "\"{}\"", cell.replace('"', "\"\""));
        } else {
            text.push_str(cell);
        }
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sheet(extract: &Value) -> Sheet {
        let job = json!({
            "apiVersion": "scrapering.io/v1alpha1", "kind": "ScrapeJob", "spec": {"extract": extract},
            "metadata": {"name": "j", "uid": "0198c1d2-7f3e-7abc-9def-0123456789ab", "creationTimestamp": "2026-01-02T03:04:05Z"},
            "status": {"phase": "Running", "items": 0, "itemErrors": 0,
                "pages": {"discovered": 0, "queued": 0, "inFlight": 0, "succeeded": 0, "failed": 0, "skipped": 0}},
        });
        Sheet::of(&serde_json::from_value(job).expect("a job"))
    }

    #[test]
    fn the_columns_are_the_fields_of_the_job_each_once() {
        let extract = json!([{"name": "a", "fields": [{"name": "title"}, {"name": "price"}]}, {"name": "b", "fields": [{"name": "title"}]}]);
        assert_eq!(sheet(&extract).head(), "_type,title,price,_url,_fetchedAt,_status,_depth\r\n");
        assert_eq!(sheet(&json!(null)).head(), "_type,_url,_fetchedAt,_status,_depth\r\n");
    }

    #[test]
    fn cells_with_quotes_commas_and_lines_come_back_as_they_were() {
        let sheet = Sheet(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        let items = b"{\"a\":\"say \\\"hi\\\", you\",\"b\":1.5,\"x\":0}\n{\"c\":[1,\"two\"],\"a\":\"two\\nlines\",\"b\":null}\n";
        let rows = String::from_utf8(sheet.rows(items).expect("rows")).expect("text");
        assert_eq!(rows, "\"say \"\"hi\"\", you\",1.5,\r\n\"two\nlines\",,\"[1,\"\"two\"\"]\"\r\n");
        assert!(sheet.rows(b"7\n").is_err());
    }
}
