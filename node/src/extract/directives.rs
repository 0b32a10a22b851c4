//! What a page asks of robots: `<meta name="robots">` and `X-Robots-Tag`.

/// The two directives that concern a crawl; the rest is for search engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RobotsDirectives {
    /// The page does not want to appear in an index.
    pub noindex: bool,
    /// The links of the page are not to be followed.
    pub nofollow: bool,
}

impl RobotsDirectives {
    /// Reads the `X-Robots-Tag` headers of an answer. A header may be meant for one crawler (`somebot: noindex`); it counts if that is `token`.
    #[must_use]
    pub fn from_headers(headers: &[String], token: &str) -> Self {
        let mut directives = Self::default();
        for header in headers {
            match header.split_once(':') {
                Some((name, list)) if is_crawler(name) => {
                    if name.trim().eq_ignore_ascii_case(token) {
                        directives.add_list(list);
                    }
                }
                _ => directives.add_list(header),
            }
        }
        directives
    }

    /// Either wish counts.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { noindex: self.noindex || other.noindex, nofollow: self.nofollow || other.nofollow }
    }

    /// Adds a list such as `noindex, nofollow`.
    pub(super) fn add_list(&mut self, list: &str) {
        for directive in list.split(',') {
            match directive.trim().to_ascii_lowercase().as_str() {
                "noindex" => self.noindex = true,
                "nofollow" => self.nofollow = true,
                "none" => *self = Self { noindex: true, nofollow: true },
                _ => {}
            }
        }
    }
}

/// Whether the part before a colon names a crawler, and is not a directive with a value such as `max-snippet:20`.
fn is_crawler(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    !name.contains(',') && !name.starts_with("max-") && name != "unavailable_after"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_for_everyone_and_for_the_named_crawler() {
        for (headers, noindex, nofollow) in [
            (&["noindex, nofollow"][..], true, true),
            (&["NONE"], true, true),
            (&["noindex", "nofollow"], true, true),
            (&["scrapering: nofollow"], false, true),
            (&["otherbot: nofollow"], false, false),
            (&["max-snippet:20, nofollow"], false, true),
            (&["nofollow, max-snippet:20"], false, true),
            (&["unavailable_after: 25 Jun 2030 15:00:00 PST"], false, false),
            (&["all"], false, false),
            (&[], false, false),
        ] {
            let headers: Vec<String> = headers.iter().map(|h| (*h).to_owned()).collect();
            assert_eq!(
                RobotsDirectives::from_headers(&headers, "scrapering"),
                RobotsDirectives { noindex, nofollow },
                "{headers:?}"
            );
        }
    }
}
