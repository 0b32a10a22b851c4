//! What stands in a destination after an export, and what does not.

use std::sync::{Arc, Mutex};

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;
use axum::extract::State;
use axum::routing::any;
use http::{Method, StatusCode, Uri};
use scrapering_crds::job::ExtractSpec;
use serde_json::json;

use super::*;

fn rule() -> ExtractSpec {
    serde_json::from_value(json!({"name": "product", "key": ["title"], "fields": [
        {"name": "title"}, {"name": "price", "type": "number"}, {"name": "tags", "type": "list"}
    ]}))
    .unwrap()
}

fn tables() -> BTreeMap<String, Table> {
    BTreeMap::from([("product".to_owned(), Table::of(&rule()))])
}

fn items() -> Vec<Box<RawValue>> {
    let carried = json!({"_url": "https://a.example/", "_fetchedAt": "2024-01-15T10:00:00Z", "_status": 200, "_depth": 1, "_job": "j"});
    [
        json!({"_type": "product", "_key": "k1", "title": "Lamp, \"red\"", "price": 5, "tags": ["a", "b"]}),
        json!({"_type": "product", "_key": "k2", "title": "", "price": null}),
        json!({"_type": "other", "x": 1}),
    ]
    .into_iter()
    .map(|mut item| {
        item.as_object_mut().unwrap().extend(carried.as_object().unwrap().clone());
        RawValue::from_string(item.to_string()).unwrap()
    })
    .collect()
}

async fn export(folder: &std::path::Path, format: Format) -> Vec<Part> {
    let destination = Destination::named(folder.to_str().unwrap()).unwrap();
    let mut export = Export::begin(destination, format, tables()).await.unwrap();
    export.add(&items()).await.unwrap();
    assert!(!folder.join(SUCCESS).exists(), "the marker comes last");
    export.finish().await.unwrap()
}

#[tokio::test]
async fn json_lines_are_the_items_and_the_marker_names_the_parts() {
    let folder = tempfile::tempdir().unwrap();
    let parts = export(folder.path(), Format::Jsonl).await;
    assert_eq!(
        parts.iter().map(|part| (part.name.as_str(), part.items)).collect::<Vec<_>>(),
        [("other/part-00000.jsonl", 1), ("product/part-00000.jsonl", 2)]
    );
    let text = std::fs::read_to_string(folder.path().join("product/part-00000.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, items()[..2].iter().map(|item| item.get()).collect::<Vec<_>>());
    let success: Value = serde_json::from_slice(&std::fs::read(folder.path().join(SUCCESS)).unwrap()).unwrap();
    assert_eq!(success["items"], 3);
    let digest = digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        success["parts"][1],
        json!({"name": "product/part-00000.jsonl", "items": 2, "bytes": text.len(), "sha256": digest})
    );
}

#[tokio::test]
async fn csv_has_the_columns_of_the_rule() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path(), Format::Csv).await;
    let text = std::fs::read_to_string(folder.path().join("product/part-00000.csv")).unwrap();
    assert_eq!(
        text,
        "title,price,tags,_key,_url,_fetchedAt,_status,_depth,_job\r\n\
         \"Lamp, \"\"red\"\"\",5,\"[\"\"a\"\",\"\"b\"\"]\",k1,https://a.example/,2024-01-15T10:00:00Z,200,1,j\r\n\
         \"\",,,k2,https://a.example/,2024-01-15T10:00:00Z,200,1,j\r\n"
    );
}

#[tokio::test]
async fn parquet_reads_back_with_its_types() {
    let folder = tempfile::tempdir().unwrap();
    export(folder.path(), Format::Parquet).await;
    let file = std::fs::File::open(folder.path().join("product/part-00000.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get_string(0).unwrap(), "Lamp, \"red\"");
    assert_eq!(rows[0].get_double(1).unwrap(), 5.0);
    assert_eq!(rows[0].get_string(2).unwrap(), r#"["a","b"]"#);
    assert_eq!(rows[0].get_timestamp_millis(5).unwrap(), 1_705_312_800_000);
    assert_eq!(rows[0].get_long(6).unwrap(), 200);
    assert_eq!(rows[1].get_string(0).unwrap(), "");
    assert!(rows[1].get_double(1).is_err(), "no price is none");
}

#[tokio::test]
async fn a_complete_export_is_not_overwritten_and_an_incomplete_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let destination = || Destination::named(folder.path().to_str().unwrap()).unwrap();
    let mut broken_off = Export::begin(destination(), Format::Jsonl, tables()).await.unwrap();
    broken_off.add(&items()).await.unwrap();
    drop(broken_off);
    export(folder.path(), Format::Jsonl).await;
    let again = Export::begin(destination(), Format::Jsonl, tables()).await.map(|_| ());
    assert!(matches!(again, Err(ExportError::Destination(DestinationError::Occupied(_)))), "{again:?}");
    assert!(matches!(Destination::named("ftp://a/b"), Err(DestinationError::Name(_))));
}

type Requests = Arc<Mutex<Vec<(Method, String, usize)>>>;

/// Takes every object, and has none.
async fn store(
    State(seen): State<Requests>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let is_head = method == Method::HEAD;
    seen.lock().unwrap().push((method, uri.path().to_owned(), body.len()));
    (if is_head { StatusCode::NOT_FOUND } else { StatusCode::OK }, [("etag", "\"1\"")])
}

#[tokio::test]
async fn an_s3_store_gets_each_part_once_and_the_marker_last() {
    let seen = Requests::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(any(store)).with_state(Arc::clone(&seen));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let destination = Destination::s3("out", "books/today", &format!("http://{address}")).unwrap();
    let mut export = Export::begin(destination, Format::Jsonl, tables()).await.unwrap();
    export.add(&items()).await.unwrap();
    export.finish().await.unwrap();
    let seen: Vec<_> = seen.lock().unwrap().iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(
        seen,
        [
            "HEAD /out/books/today/_SUCCESS",
            "PUT /out/books/today/other/part-00000.jsonl",
            "PUT /out/books/today/product/part-00000.jsonl",
            "PUT /out/books/today/_SUCCESS",
        ]
    );
    server.abort();
}
