//! Which bodies are worth reading.

use std::borrow::Cow;

use scrapering_core::job::MediaTypes;

/// The content types a request accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceptedTypes<'a> {
    /// What links and items can be read from: HTML, XHTML, plain text, XML and JSON, and what ends in `+xml` or `+json`.
    #[default]
    Pages,
    /// What a job chose.
    Only(&'a MediaTypes),
    /// Everything.
    Any,
}

impl<'a> AcceptedTypes<'a> {
    /// What a job takes in that chose `types`, if it chose.
    #[must_use]
    pub fn chosen(types: &'a MediaTypes) -> Self {
        if types.is_empty() { Self::Pages } else { Self::Only(types) }
    }

    /// The value of the `Accept` header.
    pub(super) fn header_value(self) -> Cow<'static, str> {
        match self {
            Self::Pages => Cow::Borrowed(
                "text/html,application/xhtml+xml,application/xml;q=0.9,application/json;q=0.9,text/plain;q=0.8",
            ),
            Self::Only(types) => Cow::Owned(types.to_accept()),
            Self::Any => Cow::Borrowed("*/*"),
        }
    }

    /// Whether a body of this `Content-Type` is read. A server that says nothing gets the benefit of the doubt: the body is sniffed as HTML.
    #[must_use]
    pub fn accepts(self, content_type: Option<&str>) -> bool {
        let essence = content_type.map(|written| essence(written).to_ascii_lowercase()).unwrap_or_default();
        let essence = if essence.is_empty() { "text/html" } else { essence.as_str() };
        match self {
            Self::Any => true,
            Self::Only(types) => types.hold(essence),
            Self::Pages => is_page(essence),
        }
    }
}

fn is_page(essence: &str) -> bool {
    matches!(
        essence,
        "text/html"
            | "application/xhtml+xml"
            | "text/plain"
            | "text/xml"
            | "application/xml"
            | "application/json"
            | "text/json"
    ) || (essence.starts_with("application/") && (essence.ends_with("+xml") || essence.ends_with("+json")))
}

/// `type/subtype` without parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_accepted_with_any_parameters_and_spelling() {
        for content_type in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            " text/html ;charset=\"x\"",
            "application/xhtml+xml",
            "application/ld+json",
            "application/rss+xml",
            "text/plain",
            "",
        ] {
            assert!(AcceptedTypes::Pages.accepts(Some(content_type)), "{content_type}");
        }
        assert!(AcceptedTypes::Pages.accepts(None));
    }

    #[test]
    fn other_types_are_not_accepted_as_pages() {
        for content_type in [
            "image/png",
            "image/svg+xml",
            "application/pdf",
            "application/octet-stream",
            "video/mp4",
            "text/htmlx",
            "nonsense",
        ] {
            assert!(!AcceptedTypes::Pages.accepts(Some(content_type)), "{content_type}");
            assert!(AcceptedTypes::Any.accepts(Some(content_type)), "{content_type}");
        }
    }

    #[test]
    fn a_job_that_chose_gets_and_asks_for_what_it_chose() {
        let chosen = ["text/*", "application/pdf"].map(|text| text.parse().expect("a media type"));
        let types: MediaTypes = chosen.into_iter().collect();
        let accepted = AcceptedTypes::chosen(&types);
        for (content_type, is_taken) in [
            (Some("TEXT/html ; charset=utf-8"), true),
            (Some("text/csv"), true),
            (Some("application/pdf"), true),
            (Some("application/json"), false),
            (Some(""), true),
            (None, true),
        ] {
            assert_eq!(accepted.accepts(content_type), is_taken, "{content_type:?}");
        }
        assert_eq!(accepted.header_value(), "application/pdf,text/*");
        let json: MediaTypes = ["application/json".parse().expect("a media type")].into_iter().collect();
        assert!(!AcceptedTypes::chosen(&json).accepts(None), "it would be HTML");
        assert_eq!(AcceptedTypes::chosen(&MediaTypes::default()), AcceptedTypes::Pages);
    }
}
