//! Verdicts that other parsers are known by: what Google's published robots.txt tests (google/robotstxt, robots_test.cc) ask, in a table of our own.
//!
//! Two of their cases stand apart at the end: there RFC 9309 says otherwise, and it is followed.

use super::super::Robots;

/// One robots.txt, one crawler, and paths that it may and may not fetch.
struct Verdict {
    lines: &'static [&'static str],
    agent: &'static str,
    allowed: &'static [&'static str],
    disallowed: &'static [&'static str],
}

const fn verdict(
    lines: &'static [&'static str],
    agent: &'static str,
    allowed: &'static [&'static str],
    disallowed: &'static [&'static str],
) -> Verdict {
    Verdict { lines, agent, allowed, disallowed }
}

/// Lines, groups, and who is meant.
const GROUPS: &[Verdict] = &[
    verdict(&[], "FooBot", &["", "/"], &[]),
    verdict(&[], "", &[""], &[]),
    verdict(&["user-agent: FooBot", "disallow: /"], "", &[""], &[]),
    verdict(&["user-agent: FooBot", "disallow: /"], "FooBot", &[], &["", "/x/y"]),
    verdict(&["foo: FooBot", "bar: /"], "FooBot", &["/x/y"], &[]),
    verdict(&["user-agent FooBot", "disallow /"], "FooBot", &[], &["/x/y"]),
    verdict(THREE_BOTS, "FooBot", &["/x/b", "/z/d"], &["/y/c", "/foo/bar/"]),
    verdict(THREE_BOTS, "BarBot", &["/y/c", "/w/a"], &["/z/d", "/foo/bar/"]),
    verdict(THREE_BOTS, "BazBot", &["/z/d"], &["/foo/bar/"]),
    verdict(SITEMAP_BETWEEN, "FooBot", &[], &["/"]),
    verdict(SITEMAP_BETWEEN, "BarBot", &[], &["/"]),
    verdict(UNKNOWN_BETWEEN, "FooBot", &[], &["/"]),
    verdict(UNKNOWN_BETWEEN, "BarBot", &[], &["/"]),
    verdict(&["USER-AGENT: FooBot", "ALLOW: /x/", "DISALLOW: /"], "FooBot", &["/x/y"], &["/a/b"]),
    verdict(&["user-agent: FooBot", "allow: /x/", "disallow: /"], "FooBot", &["/x/y"], &["/a/b"]),
    verdict(&["uSeR-aGeNt: FooBot", "AlLoW: /x/", "dIsAlLoW: /"], "FooBot", &["/x/y"], &["/a/b"]),
    verdict(&["User-Agent: FOO BAR", "Allow: /x/", "Disallow: /"], "Foo", &["/x/y"], &["/a/b"]),
    verdict(&["User-Agent: foo bar", "Allow: /x/", "Disallow: /"], "Foo", &["/x/y"], &["/a/b"]),
    verdict(&["User-Agent: FoO bAr", "Allow: /x/", "Disallow: /"], "foo", &["/x/y"], &["/a/b"]),
    verdict(
        &["User-Agent: *", "Disallow: /", "User-Agent: Foo Bar", "Allow: /x/", "Disallow: /"],
        "Foo",
        &["/x/y"],
        &[],
    ),
    verdict(
        &["User-Agent: *", "Disallow: /", "User-Agent: Foo Bar", "Allow: /x/", "Disallow: /"],
        "Foo Bar",
        &[],
        &["/x/y"],
    ),
    verdict(&["user-agent: *", "allow: /", "user-agent: FooBot", "disallow: /"], "FooBot", &[], &["/x/y"]),
    verdict(&["user-agent: *", "allow: /", "user-agent: FooBot", "disallow: /"], "BarBot", &["/x/y"], &[]),
    verdict(
        &["user-agent: FooBot", "allow: /", "user-agent: BarBot", "disallow: /", "user-agent: BazBot", "disallow: /"],
        "QuxBot",
        &["/x/y"],
        &[],
    ),
];

const THREE_BOTS: &[&str] = &[
    "allow: /foo/bar/",
    "",
    "user-agent: FooBot",
    "disallow: /",
    "allow: /x/",
    "user-agent: BarBot",
    "disallow: /",
    "allow: /y/",
    "",
    "",
    "allow: /w/",
    "user-agent: BazBot",
    "",
    "user-agent: FooBot",
    "allow: /z/",
    "disallow: /",
];
const SITEMAP_BETWEEN: &[&str] =
    &["User-agent: BarBot", "Sitemap: https://foo.bar/sitemap", "User-agent: *", "Disallow: /"];
const UNKNOWN_BETWEEN: &[&str] =
    &["User-agent: FooBot", "Invalid-Unknown-Line: unknown", "User-agent: *", "Disallow: /"];

/// Which rule holds; each is read behind `user-agent: FooBot`.
const RULES: &[(&[&str], &[&str], &[&str])] = &[
    (&["disallow: /x/"], &[], &["/x/y"]),
    (&["disallow: /X/"], &["/x/y"], &[]),
    (&["disallow: /x/page.html", "allow: /x/"], &[], &["/x/page.html"]),
    (&["allow: /x/page.html", "disallow: /x/"], &["/x/page.html"], &["/x/"]),
    (&["disallow: ", "allow: "], &["/x/page.html"], &[]),
    (&["disallow: /", "allow: /"], &["/x/page.html"], &[]),
    (&["disallow: /x", "allow: /x/"], &["/x/"], &["/x"]),
    (&["disallow: /x/page.html", "allow: /x/page.html"], &["/x/page.html"], &[]),
    (&["allow: /page", "disallow: /*.html"], &["/page"], &["/page.html"]),
    (&["allow: /x/page.", "disallow: /*.html"], &["/x/page.html"], &["/x/y.html"]),
    (
        &["disallow: /", "allow: /foo/bar?qux=taz&baz=http://foo.bar?tar&par"],
        &["/foo/bar?qux=taz&baz=http://foo.bar?tar&par"],
        &[],
    ),
    (&["disallow: /", "allow: /foo/bar/ツ"], &["/foo/bar/%E3%83%84"], &["/foo/bar/"]),
    (&["disallow: /", "allow: /foo/bar/%E3%83%84"], &["/foo/bar/%E3%83%84"], &["/foo/bar/"]),
    (&["disallow: /", "allow: /foo/bar/%62%61%7A"], &["/foo/bar/%62%61%7A"], &["/foo/bar/"]),
    (&["disallow: /foo/bar/quz", "allow: /foo/*/qux"], &["/foo/quz", "/foo//quz", "/foo/bax/quz"], &["/foo/bar/quz"]),
    (&["disallow: /foo/bar$", "allow: /foo/bar/qux"], &["/foo/bar/qux", "/foo/bar/", "/foo/bar/baz"], &["/foo/bar"]),
    (&["# disallow: /", "disallow: /foo/quz#qux", "allow: /"], &["/foo/bar"], &["/foo/quz"]),
    (
        &["allow: /allowed-slash/index.html", "disallow: /"],
        &["/allowed-slash/", "/allowed-slash/index.html"],
        &["/allowed-slash/index.htm", "/anyother-url"],
    ),
    (
        &["disallow: /", "allow: /fish"],
        &["/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fishheads/yummy.html", "/fish.html?id=anything"],
        &["/bar", "/Fish.asp", "/catfish", "/?id=fish"],
    ),
    (
        &["disallow: /", "allow: /fish*"],
        &["/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fishheads/yummy.html", "/fish.html?id=anything"],
        &["/bar", "/Fish.bar", "/catfish", "/?id=fish"],
    ),
    (
        &["disallow: /", "allow: /fish/"],
        &["/fish/", "/fish/salmon", "/fish/?salmon", "/fish/salmon.html", "/fish/?id=anything"],
        &["/bar", "/fish", "/fish.html", "/Fish/Salmon.html"],
    ),
    (
        &["disallow: /", "allow: /*.php"],
        &[
            "/filename.php",
            "/folder/filename.php",
            "/folder/filename.php?parameters",
            "//folder/any.php.file.html",
            "/filename.php/",
            "/index?f=filename.php/",
        ],
        &["/bar", "/php/", "/index?php", "/windows.PHP"],
    ),
    (
        &["disallow: /", "allow: /*.php$"],
        &["/filename.php", "/folder/filename.php"],
        &[
            "/bar",
            "/filename.php?parameters",
            "/filename.php/",
            "/filename.php5",
            "/php/",
            "/filename?php",
            "/aaaphpaaa",
            "//windows.PHP",
        ],
    ),
    (
        &["disallow: /", "allow: /fish*.php"],
        &["/fish.php", "/fishheads/catfish.php?parameters"],
        &["/bar", "/Fish.PHP"],
    ),
    (&["allow: /p", "disallow: /"], &["/page"], &[]),
    (&["allow: /folder", "disallow: /folder"], &["/folder/page"], &[]),
    (&["allow: /page", "disallow: /*.htm"], &[], &["/page.htm"]),
    (&["allow: /$", "disallow: /"], &["/"], &["/page.html"]),
];

fn hold(body: &str, agent: &str, allowed: &[&str], disallowed: &[&str]) {
    for ending in ["\n", "\r\n", "\r"] {
        let robots = Robots::parse(body.replace('\n', ending).as_bytes(), agent);
        for path in allowed {
            assert!(robots.allows(path), "{agent} may fetch `{path}` by\n{body}");
        }
        for path in disallowed {
            assert!(!robots.allows(path), "{agent} may not fetch `{path}` by\n{body}");
        }
    }
}

#[test]
fn groups_are_chosen_as_googles_tests_say() {
    for Verdict { lines, agent, allowed, disallowed } in GROUPS {
        hold(&lines.join("\n"), agent, allowed, disallowed);
    }
}

#[test]
fn rules_hold_as_googles_tests_say() {
    for (lines, allowed, disallowed) in RULES {
        hold(&format!("user-agent: FooBot\n{}\n", lines.join("\n")), "FooBot", allowed, disallowed);
    }
}

#[test]
fn lines_are_cut_where_google_cuts_them() {
    let to_the_limit = |key: &str, letter: &str| format!("/x/{}", letter.repeat(8 * 2083 - 5 - key.len()));
    let long = to_the_limit("disallow: ", "a");
    let body = format!("user-agent: FooBot\ndisallow: {long}/qux\n");
    hold(&body, "FooBot", &["/fux"], &[&format!("{long}/fux")]);

    let (a, b) = (to_the_limit("allow: ", "a"), to_the_limit("allow: ", "b"));
    let body = format!("user-agent: FooBot\ndisallow: /\nallow: {a}/qux\nallow: {b}/qux\n");
    hold(&body, "FooBot", &[&format!("{a}/qux"), &format!("{b}/fux")], &["/"]);
}

#[test]
fn a_byte_order_mark_is_skipped_also_when_it_is_cut_off_but_only_at_the_beginning() {
    let disallows = |body: &[u8]| !Robots::parse(body, "foo").allows("/AnyValue");
    for mark in [&b"\xEF\xBB\xBF"[..], b"\xEF\xBB", b"\xEF", b""] {
        assert!(disallows(&[mark, b"User-Agent: foo\nDisallow: /AnyValue\n"].concat()), "{}", mark.escape_ascii());
    }
    assert!(!disallows(b"\xEF\x11\xBFUser-Agent: foo\nDisallow: /AnyValue\n"));
    assert!(!disallows(b"User-Agent: foo\n\xEF\xBB\xBFDisallow: /AnyValue\n"));
}

#[test]
fn a_sitemap_may_stand_anywhere() {
    let group = "User-Agent: foo\nAllow: /some/path\nUser-Agent: bar\n\n\n";
    let sitemap = "Sitemap: http://foo.bar/sitemap.xml\n";
    for body in [format!("{group}{sitemap}"), format!("{sitemap}{group}")] {
        assert_eq!(Robots::parse(body.as_bytes(), "foo").sitemaps(), ["http://foo.bar/sitemap.xml"]);
    }
}

/// RFC 9309 section 2.2.2: characters of US-ASCII that are percent-encoded, and octets outside of it that are not, are compared decoded and encoded.
/// Google's tests compare `%62%61%7A` and `ツ` as they stand.
#[test]
fn where_google_and_the_rfc_differ_the_rfc_is_followed() {
    let by = |rule: &str| format!("user-agent: FooBot\ndisallow: /\nallow: {rule}\n");
    hold(&by("/foo/bar/%62%61%7A"), "FooBot", &["/foo/bar/baz"], &["/foo"]);
    hold(&by("/foo/bar/ツ"), "FooBot", &["/foo/bar/ツ"], &["/foo"]);
}
