//! What stands in a destination after an export, and what does not.

use std::sync::{Arc, Mutex};

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderMap, Method, StatusCode, Uri};
use scrapering_crds::job::ExtractSpec;
use scrapering_crds::job::output::{OutputCompression, OutputFormat};
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::fetch::{Fetcher, FetcherConfig};
use crate::job::output::{Bucket, StoreKind};

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

fn packer(format: Format) -> Packer {
    Packer::new(format, OutputCompression::None, tables())
}

async fn export(folder: &std::path::Path, format: Format) -> Vec<Part> {
    let destination = Destination::named(folder.to_str().unwrap()).unwrap();
    let mut export = Export::begin(destination, packer(format)).await.unwrap();
    export.add(items()).await.unwrap();
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

#[test]
fn one_table_for_all_items_has_the_fields_of_every_rule_once_and_what_they_carry_last() {
    let other: ExtractSpec = serde_json::from_value(json!({"name": "review", "fields": [
        {"name": "title"}, {"name": "price"}, {"name": "stars", "type": "number"}
    ]}))
    .unwrap();
    let table = Table::of_all(&[rule(), other]);
    let columns: Vec<(&str, ColumnType)> =
        table.columns.iter().map(|column| (column.name.as_str(), column.holds)).collect();
    let (text, number, json) = (ColumnType::Text, ColumnType::Number, ColumnType::Json);
    let expected = [
        ("_type", text),
        ("title", text),
        ("price", json),
        ("tags", json),
        ("stars", number),
        ("_key", text),
        ("_url", text),
        ("_fetchedAt", ColumnType::Moment),
        ("_status", ColumnType::Whole),
        ("_depth", ColumnType::Whole),
        ("_job", text),
    ];
    assert_eq!(columns, expected);
    assert_eq!(Table::of_all(&[]).columns.len(), 1);
}

#[test]
fn a_long_parquet_file_is_written_in_groups_and_read_back_whole() {
    let mut file = ParquetFile::begin(Table::of(&rule()), tempfile::tempfile().unwrap()).unwrap();
    let title = "x".repeat(1 << 20);
    for number in 0..40 {
        let item = json!({"_type": "product", "title": title, "price": number}).to_string();
        file.add(&RawValue::from_string(item).unwrap()).unwrap();
    }
    let reader = SerializedFileReader::new(file.finish().unwrap()).unwrap();
    assert!(reader.num_row_groups() > 1, "everything was kept in memory");
    let prices: Vec<f64> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().get_double(1).unwrap()).collect();
    assert_eq!(prices, (0..40).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn parts_are_compressed_and_go_on_with_their_numbers() {
    for (compression, ending) in [(OutputCompression::Gzip, ".gz"), (OutputCompression::Zstd, ".zst")] {
        let packer = Packer::new(Format::Jsonl, compression, tables());
        let mut packer = packer.with_numbers(BTreeMap::from([("product".to_owned(), 3)]));
        packer.add(items()).unwrap();
        assert!(!packer.is_full() && packer.close_full().unwrap().is_none());
        let parts = packer.close_all().unwrap();
        let names: Vec<&str> = parts.iter().map(|(part, _)| part.name.as_str()).collect();
        assert_eq!(names, [format!("other/part-00000.jsonl{ending}"), format!("product/part-00003.jsonl{ending}")]);
        let packed = &parts[1].1;
        let text = match compression {
            OutputCompression::Gzip => {
                std::io::read_to_string(flate2::read::GzDecoder::new(&packed[..])).expect("gzip of UTF-8")
            }
            _ => String::from_utf8(zstd::stream::decode_all(&packed[..]).expect("Zstandard")).expect("UTF-8"),
        };
        assert_eq!(text.lines().count(), 2);
        assert_eq!(packer.numbers()["product"], 4);
        assert!(packer.close_all().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_complete_export_is_not_overwritten_and_an_incomplete_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let destination = || Destination::named(folder.path().to_str().unwrap()).unwrap();
    let mut broken_off = Export::begin(destination(), packer(Format::Jsonl)).await.unwrap();
    broken_off.add(items()).await.unwrap();
    drop(broken_off);
    export(folder.path(), Format::Jsonl).await;
    let again = Export::begin(destination(), packer(Format::Jsonl)).await.map(|_| ());
    assert!(matches!(again, Err(ExportError::Destination(DestinationError::Occupied(_)))), "{again:?}");
    assert!(matches!(Destination::named("ftp://a/b"), Err(DestinationError::Name(_))));
}

/// A store in memory that knows as much of S3 as it takes to put files, conditions included.
#[derive(Clone, Default)]
struct Store {
    seen: Arc<Mutex<Vec<String>>>,
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
    /// What somebody else puts as soon as a file was looked at.
    other: Arc<Mutex<Option<Bytes>>>,
}

impl Store {
    async fn open() -> (Self, std::net::SocketAddr) {
        let (store, listener) = (Self::default(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(any(serve)).with_state(store.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (store, address)
    }

    fn object(&self, path: &str) -> Option<Bytes> {
        self.objects.lock().unwrap().get(path).cloned()
    }
}

fn tag(content: &[u8]) -> String {
    format!("\"{}\"", data_encoding::HEXLOWER.encode(digest(&SHA256, content).as_ref()))
}

async fn serve(State(store): State<Store>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    store.seen.lock().unwrap().push(format!("{method} {}", uri.path()));
    let mut objects = store.objects.lock().unwrap();
    let there = objects.get(uri.path()).map(|content| tag(content));
    let asked = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    match method {
        Method::HEAD => {
            let Some(there) = there else { return StatusCode::NOT_FOUND.into_response() };
            if let Some(other) = store.other.lock().unwrap().take() {
                objects.insert(uri.path().to_owned(), other);
            }
            [("etag", there), ("last-modified", "Sat, 21 Nov 2026 10:00:00 GMT".to_owned())].into_response()
        }
        Method::PUT if asked("if-none-match").is_some() && there.is_some() => {
            StatusCode::PRECONDITION_FAILED.into_response()
        }
        Method::PUT if asked("if-match").is_some_and(|tag| there != Some(tag)) => {
            StatusCode::PRECONDITION_FAILED.into_response()
        }
        Method::PUT => {
            let tag = tag(&body);
            objects.insert(uri.path().to_owned(), body);
            [("etag", tag)].into_response()
        }
        Method::DELETE => {
            objects.remove(uri.path());
            StatusCode::NO_CONTENT.into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

#[tokio::test]
async fn an_s3_store_gets_each_part_once_and_the_marker_last() {
    let (store, address) = Store::open().await;
    let destination = Destination::s3("out", "books/today", &format!("http://{address}")).unwrap();
    let mut export = Export::begin(destination, packer(Format::Jsonl)).await.unwrap();
    export.add(items()).await.unwrap();
    export.finish().await.unwrap();
    assert_eq!(
        *store.seen.lock().unwrap(),
        [
            "HEAD /out/books/today/_SUCCESS",
            "PUT /out/books/today/other/part-00000.jsonl",
            "PUT /out/books/today/product/part-00000.jsonl",
            "PUT /out/books/today/_SUCCESS",
        ]
    );
}

fn bucket(endpoint: &str) -> Bucket {
    let (region, endpoint) = ("none".to_owned(), Some(endpoint.to_owned()));
    let (access_key_id, secret_access_key) = ("key".to_owned(), "secret".to_owned());
    Bucket {
        store: StoreKind::S3 { region, endpoint, access_key_id, secret_access_key },
        bucket: "out".to_owned(),
        prefix: "books/".to_owned(),
        format: OutputFormat::Jsonl,
        compression: OutputCompression::None,
    }
}

#[tokio::test]
async fn what_was_left_behind_is_replaced_and_what_somebody_else_puts_meanwhile_stays() {
    let (store, address) = Store::open().await;
    let open =
        FetcherConfig { allowed_private_cidrs: vec!["127.0.0.0/8".parse().unwrap()], ..FetcherConfig::default() };
    let fetcher = Fetcher::new(&open).unwrap();
    let destination = Destination::of_bucket(&bucket(&format!("http://{address}")), "job", &fetcher).unwrap();
    let path = "/out/books/job/product/part-00000.jsonl";
    let put = async |content: &'static str| destination.replace("product/part-00000.jsonl", content.into()).await;
    put("first").await.unwrap();
    put("second").await.unwrap();
    assert_eq!(store.object(path).as_deref(), Some(&b"second"[..]));
    *store.other.lock().unwrap() = Some("another's".into());
    let refused = put("third").await;
    assert!(matches!(refused, Err(DestinationError::Store { .. })), "{refused:?}");
    assert_eq!(store.object(path).as_deref(), Some(&b"another's"[..]));
    destination.remove("product/part-00000.jsonl").await.unwrap();
    destination.remove("product/part-00000.jsonl").await.unwrap();
    assert_eq!(store.object(path), None);
}

#[tokio::test]
async fn the_guard_keeps_jobs_from_stores_at_private_addresses_and_nothing_is_told_but_that() {
    let (store, address) = Store::open().await;
    let fetcher = Fetcher::new(&FetcherConfig::default()).unwrap();
    let destination = Destination::of_bucket(&bucket(&format!("http://{address}")), "job", &fetcher).unwrap();
    let error = destination.replace("a", Bytes::new()).await.unwrap_err();
    let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(told.contains("address not allowed") && !told.contains("secret"), "{told}");
    assert!(store.seen.lock().unwrap().is_empty(), "it was asked");
}
