//! A job's own rules for URLs: parameters that say nothing, and traps that would never end.

use super::canonical::NormalizedUrl;
use super::skip::SkipReason;

/// What becomes of a URL before it is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlRules {
    /// Query parameters that are left out; a `*` at the end stands for any ending.
    pub drop_params: Vec<String>,
    /// Whether the parameters of a query are put in order.
    pub sort_query: bool,
    /// Longest URL that is followed, bytes.
    pub max_length: usize,
    /// Most times that a path may hold the same segment.
    pub max_repeated_segments: u32,
    /// Most queries of one path that are followed.
    pub max_query_variants_per_path: u32,
}

impl Default for UrlRules {
    /// No rule at all.
    fn default() -> Self {
        Self {
            drop_params: Vec::new(),
            sort_query: false,
            max_length: super::canonical::URL_LENGTH_MAX,
            max_repeated_segments: u32::MAX,
            max_query_variants_per_path: u32::MAX,
        }
    }
}

impl UrlRules {
    /// The URL as the job knows it.
    #[must_use]
    pub fn canonical(&self, url: NormalizedUrl) -> NormalizedUrl {
        let Some(query) = url.as_url().query() else { return url };
        if !self.sort_query && self.drop_params.is_empty() {
            return url;
        }
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !self.drops(pair)).collect();
        if self.sort_query {
            pairs.sort_by_key(|pair| pair.split_once('=').map_or(*pair, |(name, _)| name));
        }
        let pairs = pairs.join("&");
        if pairs == query {
            return url;
        }
        let mut changed = url.as_url().clone();
        changed.set_query(Some(pairs.as_str()).filter(|pairs| !pairs.is_empty()));
        NormalizedUrl::from_url(changed).unwrap_or(url)
    }

    /// Whether the URL by itself looks like one of endlessly many.
    ///
    /// # Errors
    /// [`SkipReason::Trap`].
    pub fn check(&self, url: &NormalizedUrl) -> Result<(), SkipReason> {
        if url.as_str().len() > self.max_length {
            return Err(SkipReason::Trap);
        }
        let mut segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
        segments.sort_unstable();
        let most = segments.chunk_by(|a, b| a == b).map(<[&str]>::len).max().unwrap_or(0);
        if most as u64 > u64::from(self.max_repeated_segments) { Err(SkipReason::Trap) } else { Ok(()) }
    }

    fn drops(&self, pair: &str) -> bool {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        self.drop_params.iter().any(|rule| match rule.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == rule,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> UrlRules {
        UrlRules {
            drop_params: vec!["utm_*".to_owned(), "sid".to_owned()],
            sort_query: true,
            max_length: 60,
            max_repeated_segments: 2,
            max_query_variants_per_path: 9,
        }
    }

    fn url(text: &str) -> NormalizedUrl {
        NormalizedUrl::parse(text).expect("a URL")
    }

    #[test]
    fn parameters_are_dropped_and_put_in_order_and_nothing_else_changes() {
        for (written, expected) in [
            ("http://a.test/?b=2&a=1", "http://a.test/?a=1&b=2"),
            ("http://a.test/?a=2&a=1", "http://a.test/?a=2&a=1"),
            ("http://a.test/?utm_source=x&q=1&sid=7", "http://a.test/?q=1"),
            ("http://a.test/p?sid=7", "http://a.test/p"),
            ("http://a.test/?side=7&b", "http://a.test/?b&side=7"),
            ("http://a.test/p", "http://a.test/p"),
        ] {
            assert_eq!(rules().canonical(url(written)).as_str(), expected, "{written}");
        }
        let untouched = "http://a.test/?b=2&a=1&utm_source=x";
        assert_eq!(UrlRules::default().canonical(url(untouched)).as_str(), untouched);
    }

    #[test]
    fn long_and_repeating_urls_are_traps() {
        assert_eq!(rules().check(&url("http://a.test/a/b/a/c")), Ok(()));
        assert_eq!(rules().check(&url("http://a.test/a/b/a/c/a")), Err(SkipReason::Trap));
        assert_eq!(rules().check(&url(&format!("http://a.test/{}", "x".repeat(50)))), Err(SkipReason::Trap));
    }
}
