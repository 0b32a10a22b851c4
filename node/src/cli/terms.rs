//! Words that need more than a standard parser or printer: spans of time, gateways, a command line to be typed again, text for a pipe.

use crate::auth::{Scope, ScopeError, Scopes};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;

/// Writes to standard output. A reader that has seen enough, such as `head`, is no error.
pub(super) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Scopes separated by spaces or commas.
pub(super) fn scopes(text: &str) -> Result<Scopes, ScopeError> {
    text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::parse::<Scope>).collect()
}

/// Reads `90s`, `15m`, `1h` or `1h30m`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no span of time; write 90s, 15m, 1h or 1h30m");
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}

/// Where a ring is reached: a URL of one that runs elsewhere, or the address at which one is started here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gateway {
    /// Used, never started.
    Url(Url),
    /// Used if it answers, else started.
    Address(SocketAddr),
}

/// Reads `https://host:port` or `127.0.0.1:8443`.
pub(super) fn gateway(text: &str) -> Result<Gateway, String> {
    if let Ok(address) = text.parse() {
        return Ok(Gateway::Address(address));
    }
    gateway_url(text).map(Gateway::Url)
}

/// Reads `https://host:port`.
pub(super) fn gateway_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host() && url.path() == "/" && url.query().is_none());
    url.ok_or_else(|| {
        format!("\"{text}\" is no gateway; write https://HOST:PORT, or an address such as 127.0.0.1:8443")
    })
}

/// The command line of `arguments` with `--resume ID`, to be pasted into a shell.
pub(super) fn resume_line(arguments: impl IntoIterator<Item = String>, id: &str) -> String {
    let mut words = Vec::new();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--resume" {
            arguments.next();
        } else if !argument.starts_with("--resume=") {
            words.push(quoted(&argument));
        }
    }
    words.push(format!("--resume {id}"));
    words.join(" ")
}

/// The word as a POSIX shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_read_with_their_units() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3600), ("1h30m", 5400), ("1h 30m", 5400)] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "60", "-1h", "soon", "1 parsec"] {
            assert!(span(text).expect_err(text).contains("1h30m"));
        }
    }

    #[test]
    fn a_gateway_is_a_url_elsewhere_or_an_address_here() {
        assert_eq!(gateway("127.0.0.1:9443"), Ok(Gateway::Address("127.0.0.1:9443".parse().expect("address"))));
        assert!(matches!(gateway("https://ring.example:8443"), Ok(Gateway::Url(_))));
        for text in [
            "http://ring.example",
            "ring.example:8443",
            "https://ring.example/v1",
            "8443",
            "",
            "https://ring.example/?x",
        ] {
            assert!(gateway(text).expect_err(text).contains("https://HOST:PORT"));
        }
    }

    #[test]
    fn the_line_that_goes_on_with_a_job_is_the_line_that_began_it() {
        let line = |words: &[&str]| resume_line(words.iter().map(|word| (*word).to_owned()), "ID");
        assert_eq!(
            line(&["scrapering", "run", "my job.yaml", "-o", "it's.jsonl"]),
            r"scrapering run 'my job.yaml' -o 'it'\''s.jsonl' --resume ID"
        );
        assert_eq!(
            line(&["scrapering", "run", "j.yaml", "--resume", "OLD", "--nodes", "3"]),
            "scrapering run j.yaml --nodes 3 --resume ID"
        );
        assert_eq!(line(&["scrapering", "run", "--resume=OLD"]), "scrapering run --resume ID");
    }
}
