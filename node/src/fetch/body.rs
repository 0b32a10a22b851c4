//! Reading a body piece by piece, so that neither its announced length nor its compression decides how much memory it takes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use reqwest::Response;

use super::clock::Deadline;
use super::error::{FetchError, Phase};

/// What happens when a body is longer than its cap.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cap {
    /// The fetch fails with [`FetchError::TooLarge`].
    Refuse(u64),
    /// The rest is left unread.
    Cut(u64),
}

/// Reads the decompressed body of `response`, never holding more than the cap and one piece.
pub(super) async fn read(
    mut response: Response,
    cap: Cap,
    idle: Duration,
    deadline: Deadline,
) -> Result<Bytes, FetchError> {
    refuse_foreign_encoding(&response)?;
    let (Cap::Refuse(limit_bytes) | Cap::Cut(limit_bytes)) = cap;
    if let Cap::Refuse(_) = cap
        && response.content_length().is_some_and(|announced| announced > limit_bytes)
    {
        return Err(FetchError::TooLarge { limit_bytes });
    }
    let mut body = BytesMut::new();
    loop {
        let piece = deadline.limit(idle, Phase::Idle, response.chunk()).await?.map_err(FetchError::from_client)?;
        let Some(piece) = piece else {
            return Ok(body.freeze());
        };
        let room = limit_bytes - body.len() as u64;
        if piece.len() as u64 <= room {
            body.extend_from_slice(&piece);
            continue;
        }
        match cap {
            Cap::Refuse(_) => return Err(FetchError::TooLarge { limit_bytes }),
            Cap::Cut(_) => {
                let room = usize::try_from(room).expect("less than the length of a piece");
                body.extend_from_slice(&piece[..room]);
                return Ok(body.freeze());
            }
        }
    }
}

/// The client removes the header of every encoding it undoes; what is left is an unknown one, or one inside another.
fn refuse_foreign_encoding(response: &Response) -> Result<(), FetchError> {
    let left = response
        .headers()
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .find(|value| !value.trim().is_empty() && !value.trim().eq_ignore_ascii_case("identity"));
    match left {
        None => Ok(()),
        Some(encoding) => Err(FetchError::ContentEncoding { encoding: encoding.chars().take(200).collect() }),
    }
}

/// A body nobody reads is still worth this much reading, because only then the connection can be used again.
const DRAIN_BYTES: u64 = 64 * 1024;
const DRAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Reads a small body to its end and forgets it; a large or slow one costs the connection instead.
pub(super) async fn drain(mut response: Response, deadline: Deadline) {
    let reading = async {
        let mut left = DRAIN_BYTES;
        while let Ok(Some(piece)) = response.chunk().await {
            left = left.saturating_sub(piece.len() as u64);
            if left == 0 {
                break;
            }
        }
    };
    // Whether the drain was cut short matters to nobody.
    let _ = deadline.limit(DRAIN_PATIENCE, Phase::Idle, reading).await;
}
