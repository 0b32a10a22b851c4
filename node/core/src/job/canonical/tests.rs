//! Canonical URLs: a table of spellings, and the property that a canonical URL stays as it is.

mod whatwg;

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    NormalizedUrl::parse(text).expect(text).as_str().to_owned()
}

#[test]
fn equal_urls_get_one_spelling() {
    let table = [
        ("http://example.com", "http://example.com/"),
        ("HTTP://EXAMPLE.com/A", "http://example.com/A"),
        ("http://example.com:80/", "http://example.com/"),
        ("https://example.com:443/x", "https://example.com/x"),
        ("https://example.com:80/x", "https://example.com:80/x"),
        ("http://example.com./", "http://example.com/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://example.com/a/./b/../c", "http://example.com/a/c"),
        ("http://example.com/a/%2e%2E/b", "http://example.com/b"),
        ("http://example.com/%7euser/%41", "http://example.com/~user/A"),
        ("http://example.com/%c3%a4", "http://example.com/%C3%A4"),
        ("http://example.com/ä", "http://example.com/%C3%A4"),
        ("http://example.com/a%2fb", "http://example.com/a%2Fb"),
        ("http://example.com/100%", "http://example.com/100%"),
        ("http://example.com/%zz", "http://example.com/%zz"),
        // A digit that is decoded must not make an escape of a `%` that is none.
        ("http://example.com/%e%44", "http://example.com/%e%44"),
        ("http://example.com/%%34%31", "http://example.com/%%341"),
        ("http://example.com/%g%44", "http://example.com/%gD"),
        ("http://example.com/%2541", "http://example.com/%2541"),
        ("http://example.com/a b", "http://example.com/a%20b"),
        ("http://example.com/?", "http://example.com/"),
        ("http://example.com/?#x", "http://example.com/"),
        ("http://example.com/?q=%7e%2f", "http://example.com/?q=~%2F"),
        ("http://example.com/?b=2&a=1", "http://example.com/?b=2&a=1"),
        ("http://example.com/a//b", "http://example.com/a//b"),
        ("http://example.com/a#frag", "http://example.com/a"),
        ("  http://example.com/\n", "http://example.com/"),
        ("http:\\\\example.com\\a", "http://example.com/a"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://[::0:1]:8080/", "http://[::1]:8080/"),
    ];
    for (written, expected) in table {
        assert_eq!(canonical(written), expected, "{written}");
    }
}

#[test]
fn what_cannot_be_fetched_is_refused_with_its_reason() {
    let scheme = |name: &str| UrlError::Scheme(name.to_owned());
    let table = [
        ("mailto:a@example.com", scheme("mailto")),
        ("javascript:void(0)", scheme("javascript")),
        ("ftp://example.com/", scheme("ftp")),
        ("file:///etc/passwd", scheme("file")),
        ("http://user@example.com/", UrlError::UserInfo),
        ("http://user:pass@example.com/", UrlError::UserInfo),
        ("http://:pass@example.com/", UrlError::UserInfo),
        ("http://example.com:0/", UrlError::Port),
        ("/relative", UrlError::Parse(url::ParseError::RelativeUrlWithoutBase)),
        ("http://", UrlError::Parse(url::ParseError::EmptyHost)),
        ("http://./", UrlError::Parse(url::ParseError::EmptyHost)),
    ];
    for (written, expected) in table {
        assert_eq!(NormalizedUrl::parse(written), Err(expected), "{written}");
    }
}

#[test]
fn the_length_limit_counts_the_canonical_url() {
    let long = format!("http://example.com/{}", "a".repeat(URL_LENGTH_MAX));
    assert_eq!(NormalizedUrl::parse(&long), Err(UrlError::TooLong));
    let fits = format!("http://example.com/{}", "%61".repeat(URL_LENGTH_MAX - 19));
    assert_eq!(canonical(&fits).len(), URL_LENGTH_MAX);
    let base = NormalizedUrl::parse("http://example.com/").expect("a plain URL");
    assert_eq!(base.join(&"../".repeat(10_000)), Err(UrlError::TooLong));
}

#[test]
fn references_are_resolved_against_the_page() {
    let page = NormalizedUrl::parse("https://example.com:8443/a/b?q=1").expect("a plain URL");
    let table = [
        ("c", "https://example.com:8443/a/c"),
        ("../c#d", "https://example.com:8443/c"),
        ("?page=2", "https://example.com:8443/a/b?page=2"),
        ("//other.example/x", "https://other.example/x"),
        ("", "https://example.com:8443/a/b?q=1"),
        ("HTTP://Third.example", "http://third.example/"),
    ];
    for (reference, expected) in table {
        assert_eq!(page.join(reference).expect(reference).as_str(), expected, "{reference}");
    }
    assert_eq!(page.join("tel:123"), Err(UrlError::Scheme("tel".to_owned())));
}

#[test]
fn parts_are_read_from_the_canonical_url() {
    let url = NormalizedUrl::parse("https://Example.com/a/b?c#d").expect("a plain URL");
    assert_eq!(url.origin(), "https://example.com:443");
    assert_eq!((url.scheme(), url.host(), url.port()), ("https", "example.com", 443));
    assert_eq!((url.authority(), url.path()), ("example.com", "/a/b"));
    assert_eq!(url.path_and_query(), "/a/b?c");
    let local = NormalizedUrl::parse("http://[::1]:8080/").expect("a plain URL");
    assert_eq!((local.origin().as_str(), local.authority()), ("http://[::1]:8080", "[::1]:8080"));
    assert!(local.host_is_address() && !url.host_is_address());
}

#[test]
fn json_holds_the_text_and_reading_it_checks_again() {
    let url: NormalizedUrl = serde_json::from_str("\"HTTP://a.example/%7e\"").expect("a URL");
    assert_eq!(serde_json::to_string(&url).expect("text"), "\"http://a.example/~\"");
    assert!(serde_json::from_str::<NormalizedUrl>("\"ftp://a.example/\"").is_err());
}

proptest! {
    #[test]
    fn a_canonical_url_is_its_own_canonical_form(path in "([a-zA-Z0-9%./ä~?&=# -]|%|%4|%e|%34|%41|%61){0,40}", host in "[a-zA-Z0-9.-]{1,20}") {
        if let Ok(once) = NormalizedUrl::parse(&format!("http://{host}/{path}")) {
            prop_assert_eq!(NormalizedUrl::parse(once.as_str()), Ok(once.clone()));
            prop_assert_eq!(once.join(once.as_str()), Ok(once));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let base = NormalizedUrl::parse("http://example.com/a/").expect("a plain URL");
        if let Ok(url) = base.join(&text) {
            prop_assert_eq!(NormalizedUrl::parse(url.as_str()), Ok(url));
        }
    }
}
