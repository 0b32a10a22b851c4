//! What `kubectl get` prints: the table that the server itself makes of a kind's columns.

use super::stage::NAMESPACE;
use anyhow::Context;
use kube::Client;
use serde_json::Value;
use std::fmt;

/// How a client asks for a table.
const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// The columns that are shown without `-o wide`, and a row for each object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns, as kubectl shows them.
    pub columns: Vec<String>,
    /// The cells, in the order of the columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The objects of a kind in the ring's namespace.
    ///
    /// # Errors
    /// The server does not answer with a table.
    pub async fn of(client: &Client, plural: &str) -> anyhow::Result<Self> {
        let path = format!("/apis/{}/namespaces/{NAMESPACE}/{plural}", scrapering_crds::API_VERSION);
        let request = http::Request::get(path).header("accept", AS_TABLE).body(Vec::new())?;
        let table: Value = client.request(request).await?;
        let columns = table["columnDefinitions"].as_array().context("a table has columns")?;
        let shown: Vec<usize> = (0..columns.len()).filter(|index| columns[*index]["priority"] == 0).collect();
        let name = |index: &usize| columns[*index]["name"].as_str().unwrap_or_default().to_uppercase();
        let rows = table["rows"].as_array().context("a table has rows")?.iter();
        Ok(Self {
            columns: shown.iter().map(name).collect(),
            rows: rows.map(|row| shown.iter().map(|index| cell(&row["cells"][*index])).collect()).collect(),
        })
    }

    /// The cell of the object called `name` under a column.
    ///
    /// # Errors
    /// There is no such object or column.
    pub fn cell(&self, name: &str, column: &str) -> anyhow::Result<&str> {
        let index = self.columns.iter().position(|known| known == column).with_context(|| format!("no {column}"))?;
        let row = self.rows.iter().find(|row| row.first().is_some_and(|first| first == name));
        Ok(row.with_context(|| format!("no {name}"))?[index].as_str())
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.columns).chain(&self.rows);
        let width = |index: usize| lines().filter_map(|line| line.get(index)).map(String::len).max().unwrap_or(0);
        for line in lines() {
            let padded = line.iter().enumerate().map(|(index, cell)| format!("{cell:<w$}", w = width(index)));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("   ").trim_end())?;
        }
        Ok(())
    }
}
