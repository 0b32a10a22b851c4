//! What the URL Standard says of a reference on a page, in the spelling that is ours: without fragment and empty query, escapes normalised.
//!
//! The cases follow the groups of the Standard's own test data; where it keeps a user name, the URL is refused here.

use super::super::{NormalizedUrl, UrlError};

const PAGE: &str = "https://site.example/dir/page?q=1";

/// A reference on [`PAGE`], and what it means.
const MEANINGS: &[(&str, &str)] = &[
    // Relative references and dot segments.
    ("other", "https://site.example/dir/other"),
    ("./other", "https://site.example/dir/other"),
    ("../other", "https://site.example/other"),
    ("../../../other", "https://site.example/other"),
    ("/", "https://site.example/"),
    ("/a/..", "https://site.example/"),
    ("/a/../..", "https://site.example/"),
    ("/a/b//..", "https://site.example/a/b/"),
    ("/a/%2e", "https://site.example/a/"),
    ("/a/%2E./b", "https://site.example/b"),
    ("/a/.%2e/b", "https://site.example/b"),
    ("/....", "https://site.example/...."),
    (".", "https://site.example/dir/"),
    ("..", "https://site.example/"),
    ("", "https://site.example/dir/page?q=1"),
    ("#top", "https://site.example/dir/page?q=1"),
    ("?", "https://site.example/dir/page"),
    ("?#top", "https://site.example/dir/page"),
    ("??a=b&c", "https://site.example/dir/page??a=b&c"),
    (":a", "https://site.example/dir/:a"),
    // Backslashes are slashes before the query.
    ("\\x", "https://site.example/x"),
    ("a\\b?c\\d", "https://site.example/dir/a/b?c\\d"),
    ("\\\\host.example\\x", "https://host.example/x"),
    // Schemes with too many or too few slashes.
    ("//host.example/x", "https://host.example/x"),
    ("///host.example/x", "https://host.example/x"),
    ("https:/x", "https://site.example/x"),
    ("https:x", "https://site.example/dir/x"),
    ("http:/host.example/x", "http://host.example/x"),
    ("http:host.example/x", "http://host.example/x"),
    ("HTTP://HOST.example", "http://host.example/"),
    // White space and controls.
    ("  x y  ", "https://site.example/dir/x%20y"),
    ("x\ty\nz\r", "https://site.example/dir/xyz"),
    ("ht\ntp://host\t.example/", "http://host.example/"),
    // What is escaped in a path, and what in a query.
    ("/\"<>`{}", "https://site.example/%22%3C%3E%60%7B%7D"),
    ("/|^[]'", "https://site.example/|%5E[]'"),
    ("?\"<>'`{}|^", "https://site.example/dir/page?%22%3C%3E%27`{}|^"),
    ("/é?é", "https://site.example/%C3%A9?%C3%A9"),
    ("/%2f%3A%c3%A9", "https://site.example/%2F%3A%C3%A9"),
    ("/%41%7e%2D%5f%30", "https://site.example/A~-_0"),
    ("/%", "https://site.example/%"),
    ("/%2", "https://site.example/%2"),
    ("/%2zb%2ä", "https://site.example/%2zb%2%C3%A4"),
    ("/%25%32%35", "https://site.example/%2525"),
    ("?a=%26&b=%3d", "https://site.example/dir/page?a=%26&b=%3D"),
    ("/\u{feff}x", "https://site.example/%EF%BB%BFx"),
    ("/\u{1f4a9}", "https://site.example/%F0%9F%92%A9"),
    ("/a;b=1,c", "https://site.example/a;b=1,c"),
    ("/a@b:c", "https://site.example/a@b:c"),
    // Ports.
    ("https://host.example:443/x", "https://host.example/x"),
    ("https://host.example:0443/x", "https://host.example/x"),
    ("https://host.example:/x", "https://host.example/x"),
    ("http://host.example:443/x", "http://host.example:443/x"),
    ("http://host.example:65535/", "http://host.example:65535/"),
    // Names.
    ("http://EXAMPLE.example../", "http://example.example/"),
    ("http://straße.example/", "http://xn--strae-oqa.example/"),
    ("http://ex\u{200b}\u{ad}ample.example/", "http://example.example/"),
    ("http://ｅｘ．example/", "http://ex.example/"),
    ("http://%65x%2eexample/", "http://ex.example/"),
    ("http://%e2%98%83.example/", "http://xn--n3h.example/"),
    ("http://a_b.example/", "http://a_b.example/"),
    // Addresses, as numbers of every kind.
    ("http://127.1/", "http://127.0.0.1/"),
    ("http://0x7f000001/", "http://127.0.0.1/"),
    ("http://0177.0.0.01/", "http://127.0.0.1/"),
    ("http://2130706433/", "http://127.0.0.1/"),
    ("http://256/", "http://0.0.1.0/"),
    ("http://１２７.1/", "http://127.0.0.1/"),
    ("http://127.0.0.1./", "http://127.0.0.1/"),
    ("http://[::FFFF:1.2.3.4]/", "http://[::ffff:102:304]/"),
    ("http://[1:0:0:2::3]/", "http://[1:0:0:2::3]/"),
    ("http://[0:0:0:0:0:0:0:1]:80/", "http://[::1]/"),
];

/// References on [`PAGE`] that mean nothing.
const NOTHING: &[&str] = &[
    "http://",
    "http://?x",
    "http://#x",
    "https://:443/",
    "http://f:b/c",
    "http://f: 21 /x",
    "http://f:65536/",
    "http://a b.example/",
    "http://a[b.example/",
    "http://a%00b.example/",
    "http://a%2fb.example/",
    "http://a%7Cb.example/",
    "http://a\u{3}b.example/",
    "http://%zz.example/",
    "http://[::1",
    "http://[::1.2.3.]/",
    "http://[::%31]/",
    "http://[1:2:3:4:5:6:7:8:9]/",
    "http://4294967296/",
    "http://1.2.3.4.5/",
    "http://256.256.256.256/",
    "http://09.2.3.4/",
    "http://foo.0x4/",
    "http://xn--pokxncvks.example/",
    "http://\u{ffff}y/",
];

#[test]
fn references_mean_what_the_url_standard_says() {
    let page = NormalizedUrl::parse(PAGE).expect("a URL");
    for (reference, meaning) in MEANINGS {
        let found = page.join(reference).unwrap_or_else(|error| panic!("{reference:?}: {error}"));
        assert_eq!(found.as_str(), *meaning, "{reference:?}");
        assert_eq!(NormalizedUrl::parse(meaning).as_ref(), Ok(&found), "{reference:?}");
    }
}

#[test]
fn what_the_url_standard_refuses_is_refused() {
    let page = NormalizedUrl::parse(PAGE).expect("a URL");
    for reference in NOTHING {
        let found = page.join(reference);
        assert!(matches!(found, Err(UrlError::Parse(_))), "{reference:?}: {found:?}");
    }
}

#[test]
fn what_the_url_standard_allows_and_a_crawl_cannot_use_is_refused() {
    let page = NormalizedUrl::parse(PAGE).expect("a URL");
    for reference in ["//user@host.example/", "http:a:b@host.example", "https://:x@host.example/"] {
        assert_eq!(page.join(reference), Err(UrlError::UserInfo), "{reference}");
    }
    for reference in
        ["data:text/html,x", "about:blank", "ws://host.example/", "blob:https://site.example/1", "x-a+b.c:d"]
    {
        assert!(matches!(page.join(reference), Err(UrlError::Scheme(_))), "{reference}");
    }
}
