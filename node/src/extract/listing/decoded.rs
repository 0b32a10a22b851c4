//! A stream in any charset as a stream of UTF-8: by its byte order mark, else by its XML declaration; what does not fit becomes U+FFFD.

use std::io::{self, BufRead, Read};

use encoding_rs::{CoderResult, Decoder, UTF_8};

use super::super::charset;

/// Bytes that are decoded at a time.
const PIECE_BYTES: usize = 8 * 1024;

/// Decodes what `inner` holds.
pub(super) struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    piece: Vec<u8>,
    read: usize,
    written: usize,
    ended: bool,
}

impl<R: BufRead> Decoded<R> {
    /// Looks at the beginning for a declaration.
    pub(super) fn new(inner: R) -> io::Result<Self> {
        let mut inner = inner;
        let declared = charset::xml_declaration(inner.fill_buf()?);
        let decoder = declared.unwrap_or(UTF_8).new_decoder();
        Ok(Self { inner, decoder, piece: vec![0; PIECE_BYTES], read: 0, written: 0, ended: false })
    }
}

impl<R: BufRead> BufRead for Decoded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.written && !self.ended {
            let input = self.inner.fill_buf()?;
            let is_last = input.is_empty();
            let (result, used, written, _) = self.decoder.decode_to_utf8(input, &mut self.piece, is_last);
            self.inner.consume(used);
            (self.read, self.written) = (0, written);
            self.ended = is_last && result == CoderResult::InputEmpty;
        }
        Ok(&self.piece[self.read..self.written])
    }

    fn consume(&mut self, bytes: usize) {
        self.read = (self.read + bytes).min(self.written);
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
