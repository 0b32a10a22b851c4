//! Bodies: how much is read, of what type, and how it is packed.

use super::*;

/// The start of a gzip file (RFC 1952) that never ends: one deflate block with fixed codes (RFC 1951 section 3.2.6), a zero byte and then for ever "the
/// last byte 258 times", 13 bits each. Returns the head and a piece that can be repeated.
fn endless_gzip() -> (Vec<u8>, Vec<u8>) {
    // Block header (not final, fixed codes), then the literal 0: code 00110000.
    let start = [0_u8, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0];
    // Length code 285, 8 bits 11000101, and distance code 0, 5 bits.
    let copy = [1_u8, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let bits: Vec<u8> = start.into_iter().chain(copy.repeat(24)).collect();
    let bytes: Vec<u8> =
        bits.chunks_exact(8).map(|eight| (0..8).fold(0, |byte, bit| byte | (eight[bit] << bit))).collect();
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // After two bytes the pattern repeats every 13 bytes, that is every eight copies.
    let head = [&header[..], &bytes[..2]].concat();
    (head, bytes[2..15].repeat(1000))
}

fn is_too_large(result: &Result<Fetched, FetchError>) -> bool {
    matches!(result, Err(FetchError::TooLarge { limit_bytes: 1_048_576 }))
}

#[tokio::test]
async fn endless_bodies_stop_at_the_limit_however_they_are_packed() {
    let (gzip_head, gzip_piece) = endless_gzip();
    let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    for (name, headers, start, piece) in [
        ("until close", "", vec![], vec![b'x'; 65536]),
        ("chunked", "transfer-encoding: chunked\r\n", vec![], chunk),
        ("gzip bomb", "content-encoding: gzip\r\n", gzip_head, gzip_piece),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n{headers}\r\n");
        let reply = Reply::Endless([head.as_bytes(), &start].concat(), piece);
        let server = Server::start(move |_| reply.clone()).await;
        let result = fetch(&server, "/").await;
        assert!(is_too_large(&result), "{name}: {result:?}");
        let error = result.unwrap_err();
        assert_eq!(error.skip_reason(), SkipReason::TooLarge);
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_body_announced_as_too_large_is_not_read() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 1048577\r\n\r\n";
    let server = Server::start(|_| Reply::Hang(head.to_vec())).await;
    let result = fetch(&server, "/").await;
    assert!(is_too_large(&result), "{result:?}");
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_read() {
    let server = Server::start(|_| Reply::page(200, "", vec![b'x'; 1024 * 1024])).await;
    assert_eq!(fetch(&server, "/").await.unwrap().body.len(), 1024 * 1024);
}

#[tokio::test]
async fn other_types_are_refused_before_their_body_is_read() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\ncontent-length: 99\r\n\r\n";
    let server = Server::start(|_| Reply::Hang(head.to_vec())).await;
    let error = fetch(&server, "/").await.unwrap_err();
    assert!(matches!(&error, FetchError::MimeType { content_type } if content_type == "image/png"), "{error:?}");
    assert_eq!(error.skip_reason(), SkipReason::MimeType);
}

#[tokio::test]
async fn a_type_that_a_job_did_not_choose_is_refused_before_its_body_is_read() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 99\r\n\r\n";
    let server = Server::start(|_| Reply::Hang(head.to_vec())).await;
    let types = ["application/json".parse().unwrap()].into_iter().collect();
    let (url, options) = (server.url("/"), options());
    let request = FetchRequest {
        url: &url,
        options: &options,
        cookies: None,
        max_body_bytes: 1024,
        accept: AcceptedTypes::chosen(&types),
        validators: None,
    };
    let error = fetcher().begin(request).await.unwrap().finish().await.unwrap_err();
    assert!(
        matches!(&error, FetchError::MimeType { content_type } if content_type.starts_with("text/html")),
        "{error:?}"
    );
    assert!(server.requests()[0].contains("\r\naccept: application/json\r\n"), "{:?}", server.requests());
}

#[tokio::test]
async fn an_error_page_of_any_type_and_size_is_an_answer() {
    let head = b"HTTP/1.1 503 X\r\ncontent-type: image/png\r\n\r\n";
    let server = Server::start(|_| Reply::Endless(head.to_vec(), vec![b'x'; 65536])).await;
    let fetched = fetch(&server, "/").await.unwrap();
    assert_eq!((fetched.status, fetched.body.len()), (503, 0));
}

#[tokio::test]
async fn a_gzip_body_is_unpacked() {
    // "<p>" packed as a stored block, with its checksum and length.
    let packed = [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1, 3, 0, 0xfc, 0xff][..],
        b"<p>",
        &crc32(b"<p>").to_le_bytes(),
        &3_u32.to_le_bytes(),
    ]
    .concat();
    let server = Server::start(move |_| Reply::page(200, "content-encoding: gzip\r\n", &packed)).await;
    assert_eq!(&fetch(&server, "/").await.unwrap().body[..], b"<p>");
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[tokio::test]
async fn what_cannot_be_unpacked_is_an_error_that_repeats_itself() {
    for encoding in ["gzip, gzip", "compress", "gzip\r\ncontent-encoding: br"] {
        let headers = format!("content-encoding: {encoding}\r\n");
        let server = Server::start(move |_| Reply::page(200, &headers, "x")).await;
        let error = fetch(&server, "/").await.unwrap_err();
        assert!(matches!(error, FetchError::ContentEncoding { .. } | FetchError::Decode(_)), "{encoding}: {error:?}");
        assert!(!error.is_retryable(), "{encoding}");
    }
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        let headers = format!("content-encoding: {encoding}\r\n");
        let server = Server::start(move |_| Reply::page(200, &headers, "this is not packed")).await;
        let error = fetch(&server, "/").await.unwrap_err();
        assert!(matches!(error, FetchError::Decode(_)), "{encoding}: {error:?}");
        assert!(!error.is_retryable(), "{encoding}");
    }
    let server = Server::start(|_| Reply::page(200, "content-encoding: identity\r\n", "x")).await;
    assert_eq!(&fetch(&server, "/").await.unwrap().body[..], b"x");
}
