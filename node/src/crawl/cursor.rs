//! Where a reader of results stands: the last sequence it saw in each partition, as opaque text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scrapering_core::frontier::record::{decode, encode};
use scrapering_core::id::{PARTITIONS, Partition};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A place in the results of a job. The default is the beginning. Any node can go on from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    after: BTreeMap<u16, u64>,
}

/// Text that no node has handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor")]
pub struct CursorError;

impl Cursor {
    /// Everything up to `sequence` in `partition` was seen.
    pub fn advance(&mut self, partition: Partition, sequence: u64) {
        let seen = self.after.entry(partition.0).or_default();
        *seen = (*seen).max(sequence);
    }

    /// The last sequence seen in each partition where any was.
    pub fn partitions(&self) -> impl Iterator<Item = (Partition, u64)> + '_ {
        self.after.iter().map(|(partition, sequence)| (Partition(*partition), *sequence))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(encode(&self.after)))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let after: BTreeMap<u16, u64> = decode(&bytes).map_err(|_| CursorError)?;
        if after.keys().any(|partition| *partition >= PARTITIONS) {
            return Err(CursorError);
        }
        Ok(Self { after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_anything_else_is_refused() {
        let mut cursor = Cursor::default();
        cursor.advance(Partition(3), 17);
        cursor.advance(Partition(200), 1 << 40);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!(Cursor::default().to_string().parse(), Ok(Cursor::default()));
        for text in ["", "%", "AQ", "zzzz"] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError), "{text:?}");
        }
    }
}
