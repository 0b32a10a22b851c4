//! What a reader finds in a WARC file.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::*;

/// A record as it is read back.
struct Parsed {
    fields: BTreeMap<String, String>,
    block: Vec<u8>,
}

/// Reads the record that begins at `at`, and where the next one begins.
fn read_at(file: &[u8], at: usize) -> (Parsed, usize) {
    let mut rest = &file[at..];
    let mut text = Vec::new();
    GzDecoder::new(&mut rest).read_to_end(&mut text).expect("a gzip member");
    let next = file.len() - rest.len();
    let split = text.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = std::str::from_utf8(&text[..split]).expect("UTF-8");
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("WARC/1.1"));
    let fields: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
        .collect();
    let length: usize = fields["Content-Length"].parse().unwrap();
    let block = text[split + 4..split + 4 + length].to_vec();
    assert_eq!(&text[split + 4 + length..], b"\r\n\r\n");
    assert_eq!(fields["WARC-Block-Digest"], digest(&block));
    (Parsed { fields, block }, next)
}

fn read_all(file: &[u8]) -> Vec<Parsed> {
    let (mut at, mut records) = (0, Vec::new());
    while at < file.len() {
        let (record, next) = read_at(file, at);
        records.push(record);
        at = next;
    }
    records
}

fn page(id: &str, url: &str) -> FetchedPage {
    FetchedPage {
        id: id.to_owned(),
        url: url.to_owned(),
        depth: 2,
        status: 200,
        fetched_at: "2026-11-21T22:10:11.25Z".to_owned(),
        attempts: 1,
        bytes: 5,
        items: 3,
        item_errors: 0,
        tries: Vec::new(),
        stored: None,
        history: None,
    }
}

fn stored() -> StoredResponse {
    StoredResponse {
        sha256: "00".to_owned(),
        read_at: "2026-11-21T22:10:11.25Z".to_owned(),
        protocol: "HTTP/2".to_owned(),
        address: Some("192.0.2.7".to_owned()),
        headers: vec![
            ["content-type".to_owned(), "text/html; charset=utf-8".to_owned()],
            ["content-encoding".to_owned(), "br".to_owned()],
            ["x-odd".to_owned(), "a\r\nInjected: yes".to_owned()],
        ],
    }
}

#[test]
fn a_file_holds_what_was_asked_and_answered_and_equal_bodies_once() {
    let mut written = Written::default();
    let mut file = WarcFile::new(JobId([1; 16]), "part-00000.warc.gz", "bot/1.0", "2026-11-21T22:00:00Z");
    let body = Bytes::from_static(b"hello");
    file.add(&page("a1", "https://www.shop.example/a?x=1"), &stored(), &body, &mut written);
    file.add(&page("a2", "https://shop.example:8443/b"), &stored(), &body, &mut written);
    assert_eq!(file.pages(), 2);
    let (content, index) = file.finish();
    let records = read_all(&content);
    let kinds: Vec<&str> = records.iter().map(|record| record.fields["WARC-Type"].as_str()).collect();
    assert_eq!(kinds, ["warcinfo", "response", "request", "metadata", "revisit", "request", "metadata"]);
    let response = &records[1];
    assert_eq!(response.fields["WARC-Target-URI"], "https://www.shop.example/a?x=1");
    assert_eq!(response.fields["WARC-IP-Address"], "192.0.2.7");
    assert_eq!(response.fields["WARC-Payload-Digest"], digest(b"hello"));
    assert_eq!(
        String::from_utf8_lossy(&response.block),
        "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nX-Archive-Orig-content-encoding: br\r\n\
         x-odd: a  Injected: yes\r\nContent-Length: 5\r\n\r\nhello"
    );
    let request = String::from_utf8_lossy(&records[2].block);
    assert_eq!(request, "GET /a?x=1 HTTP/1.1\r\nHost: www.shop.example\r\nUser-Agent: bot/1.0\r\n\r\n");
    assert_eq!(records[2].fields["WARC-Concurrent-To"], response.fields["WARC-Record-ID"]);
    let revisit = &records[4];
    assert_eq!(revisit.fields["WARC-Refers-To"], response.fields["WARC-Record-ID"]);
    assert_eq!(revisit.fields["WARC-Refers-To-Target-URI"], "https://www.shop.example/a?x=1");
    assert!(!revisit.block.ends_with(b"hello") && revisit.fields["WARC-Profile"] == SAME_BODY);

    // The index leads to the records.
    let index = String::from_utf8(index.to_vec()).unwrap();
    let lines: Vec<&str> = index.lines().collect();
    assert!(lines[0].starts_with("example,shop)/a?x=1 20261121221011 {"), "{index}");
    assert!(lines[1].starts_with("example,shop:8443)/b 20261121221011 {"), "{index}");
    for (line, url) in lines.iter().zip(["https://www.shop.example/a?x=1", "https://shop.example:8443/b"]) {
        let entry: serde_json::Value = serde_json::from_str(line.splitn(3, ' ').nth(2).unwrap()).unwrap();
        let number = |name: &str| entry[name].as_str().unwrap().parse::<usize>().unwrap();
        let (record, next) = read_at(&content, number("offset"));
        assert_eq!((record.fields["WARC-Target-URI"].as_str(), next - number("offset")), (url, number("length")));
    }
}

#[test]
fn the_same_page_has_the_same_names_whenever_it_is_written_and_another_has_others() {
    assert_eq!(record_id(&[b"a", b"b"]), record_id(&[b"a", b"b"]));
    assert_ne!(record_id(&[b"ab", b""]), record_id(&[b"a", b"b"]));
    assert!(record_id(&[b"a"]).starts_with("urn:uuid:"));
}
