//! One WARC record: a head of named fields, a block, and two line ends, compressed as a gzip member of its own.

use std::io::Write;

use data_encoding::BASE32;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha1::{Digest, Sha1};

/// A record in the making.
pub(super) struct Record {
    pub(super) kind: &'static str,
    head: String,
    block: Vec<u8>,
}

impl Record {
    pub(super) fn new(kind: &'static str, id: &str, date: &str) -> Self {
        let head = format!("WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <{id}>\r\nWARC-Date: {date}\r\n");
        Self { kind, head, block: Vec::new() }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {}\r\n", value.replace(['\r', '\n'], " "));
        self
    }

    pub(super) fn block(self, block: Vec<u8>) -> Self {
        let block_digest = digest(&block);
        let length = block.len().to_string();
        let head = self.with("WARC-Block-Digest", &block_digest).with("Content-Length", &length);
        Self { block, ..head }
    }

    /// The record as a gzip member.
    pub(super) fn packed(&self) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        for piece in [self.head.as_bytes(), b"\r\n", &self.block, b"\r\n\r\n"] {
            packed.write_all(piece).expect("memory takes everything");
        }
        packed.finish().expect("memory takes everything")
    }
}

/// `sha1:` and the digest in base32, as archives write it.
pub(super) fn digest(content: &[u8]) -> String {
    format!("sha1:{}", BASE32.encode(&Sha1::digest(content)))
}

/// A name that is the same whenever the same thing is written: a UUID of version 8 (RFC 9562, section 5.8).
pub(super) fn record_id(parts: &[&[u8]]) -> String {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let whole = hash.finalize();
    let bytes: [u8; 16] = *whole.first_chunk().expect("SHA-1 has 20 bytes");
    uuid::Builder::from_custom_bytes(bytes).into_uuid().urn().to_string()
}
