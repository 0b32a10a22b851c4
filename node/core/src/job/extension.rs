//! File extensions of URLs: what a link most likely leads to, told before it is asked for.
//!
//! A part of a job's scope, which leaves out links by them.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::canonical::NormalizedUrl;

/// Longest extension, bytes.
const EXTENSION_BYTES_MAX: usize = 20;

/// An extension such as `pdf` or `tar.gz`, in lower case and without the dot before it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extension(String);

/// A text that is no [`Extension`]; whoever wrote it is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no file extension; write it without the dot before it, such as pdf, in 1 to {EXTENSION_BYTES_MAX} characters"
)]
pub struct ExtensionError;

impl FromStr for Extension {
    type Err = ExtensionError;

    fn from_str(text: &str) -> Result<Self, ExtensionError> {
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if text.len() > EXTENSION_BYTES_MAX || !text.split('.').all(is_part) {
            return Err(ExtensionError);
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A set of extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(BTreeSet<String>);

impl Extensions {
    /// Whether the path of the URL ends in a dot and one of them.
    #[must_use]
    pub fn end(&self, url: &NormalizedUrl) -> bool {
        let name = url.path().rsplit('/').next().unwrap_or_default();
        if self.0.is_empty() || !name.contains('.') {
            return false;
        }
        let name = name.to_ascii_lowercase();
        name.match_indices('.').any(|(dot, _)| self.0.contains(&name[dot + 1..]))
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        Self(extensions.into_iter().map(|extension| extension.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extensions(written: &[&str]) -> Extensions {
        written.iter().map(|text| text.parse::<Extension>().expect("an extension")).collect()
    }

    #[test]
    fn the_end_of_the_path_counts_in_any_case_and_nothing_else() {
        let known = extensions(&["pdf", "TAR.GZ", "7z"]);
        for (url, ends) in [
            ("http://a.test/x.pdf", true),
            ("http://a.test/x.PdF?page=2", true),
            ("http://a.test/x%2Epdf", true),
            ("http://a.test/a.b/x.tar.gz", true),
            ("http://a.test/x.7z", true),
            ("http://a.test/x.gz", false),
            ("http://a.test/xpdf", false),
            ("http://a.test/x.pdf/", false),
            ("http://a.test/x.pdf/page", false),
            ("http://a.test/x.pdfs", false),
            ("http://a.test/?file=x.pdf", false),
            ("http://x.pdf/", false),
            ("http://a.test/", false),
        ] {
            assert_eq!(known.end(&NormalizedUrl::parse(url).expect(url)), ends, "{url}");
            assert!(!Extensions::default().end(&NormalizedUrl::parse(url).expect(url)), "{url}");
        }
    }

    #[test]
    fn what_is_no_extension_is_refused() {
        for text in ["", ".pdf", "pdf.", "a..b", "*", "a/b", "p df", "ä", "123456789012345678901"] {
            assert_eq!(text.parse::<Extension>(), Err(ExtensionError), "{text}");
        }
    }
}
