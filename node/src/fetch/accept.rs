//! Which bodies are worth reading.

/// The content types a request accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AcceptedTypes {
    /// What links and items can be read from: HTML, XHTML, plain text, XML and JSON, and what ends in `+xml` or `+json`.
    #[default]
    Pages,
    /// Everything.
    Any,
}

impl AcceptedTypes {
    /// The value of the `Accept` header.
    pub(super) fn header_value(self) -> &'static str {
        match self {
            Self::Pages => {
                "text/html,application/xhtml+xml,application/xml;q=0.9,application/json;q=0.9,text/plain;q=0.8"
            }
            Self::Any => "*/*",
        }
    }

    /// Whether a body of this `Content-Type` is read. A server that says nothing gets the benefit of the doubt: the body is sniffed as HTML.
    #[must_use]
    pub fn accepts(self, content_type: Option<&str>) -> bool {
        let Some(content_type) = content_type else {
            return true;
        };
        match self {
            Self::Any => true,
            Self::Pages => is_page(essence(content_type).to_ascii_lowercase().as_str()),
        }
    }
}

fn is_page(essence: &str) -> bool {
    matches!(
        essence,
        "" | "text/html"
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
}
