//! robots.txt: the examples of RFC 9309, the cases on which parsers differ, and bytes of any kind.

mod verdicts;

use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// Asserts for one robots.txt and the token `foobot` which paths are allowed and which are not.
fn assert_paths(body: &str, allowed: &[&str], disallowed: &[&str]) {
    let robots = Robots::parse(body.as_bytes(), "FooBot");
    for path in allowed {
        assert!(robots.allows(path), "{path} should be allowed by\n{body}");
    }
    for path in disallowed {
        assert!(!robots.allows(path), "{path} should be disallowed by\n{body}");
    }
}

#[test]
fn rfc_9309_section_5_1_simple_example() {
    let body = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
                User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\n\
                User-Agent: quxbot\n\nEOF\n";
    assert_paths(body, &["/example/page.html", "/example/allowed.gif"], &["/", "/example/", "/publications/"]);
    for token in ["barbot", "bazbot"] {
        let robots = Robots::parse(body.as_bytes(), token);
        assert!(!robots.allows("/example/page.html") && robots.allows("/example/allowed.gif"));
    }
    assert!(Robots::parse(body.as_bytes(), "quxbot").allows("/example/page.html"));
    let other = Robots::parse(body.as_bytes(), "other");
    assert!(!other.allows("/a.gif") && other.allows("/a.gif?x") && !other.allows("/example/"));
}

#[test]
fn rfc_9309_section_5_2_the_longest_match_wins() {
    let body = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
    assert_paths(body, &["/example/page/", "/example/page/x"], &["/example/page/disallowed.gif"]);
}

#[test]
fn rfc_9309_section_2_2_2_percent_encoding_is_compared_by_octets() {
    let table = [
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz"),
        ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https://foo.bar"),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84"),
        ("/foo/bar/%E3%83%84", "/foo/bar/ツ"),
        ("/foo/bar/%e3%83%84", "/foo/bar/%E3%83%84"),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
        ("/foo/bar/baz", "/foo/bar/%62%61%7a"),
        ("/a b", "/a%20b"),
        ("/{x}|y^z", "/%7Bx%7D|y^z"),
    ];
    for (rule, path) in table {
        assert_paths(&format!("User-agent: foobot\nDisallow: {rule}\n"), &["/foo/ba"], &[path]);
    }
    assert_paths("User-agent: foobot\nDisallow: /a%2Fb\n", &["/a/b"], &["/a%2fb"]);
}

#[test]
fn rfc_9309_section_2_2_3_special_characters() {
    assert_paths(
        "User-agent: foobot\nAllow: /this/path/exactly$\nDisallow: /this/\n",
        &["/this/path/exactly"],
        &["/this/path/exactly/not"],
    );
    assert_paths(
        "User-agent: foobot\nDisallow: /this/*/exactly\n",
        &["/this/exactl"],
        &["/this/path/exactly", "/this/a/b/exactly?x"],
    );
    assert_paths(
        "User-agent: foobot\nDisallow: /path/file-with-a-%2A.html\n",
        &["/path/file-with-a-x.html"],
        &["/path/file-with-a-*.html", "/path/file-with-a-%2a.html"],
    );
    assert_paths("User-agent: foobot\nDisallow: /path/foo-%24\n", &["/path/foo-"], &["/path/foo-$", "/path/foo-%24x"]);
    assert_paths("User-agent: foobot\nDisallow: /a$b\n", &["/a"], &["/a$b", "/a%24bc"]);
}

#[test]
fn wildcards_match_as_the_common_table_says() {
    let table: [(&str, &[&str], &[&str]); 10] = [
        ("/", &["/any", "/"], &[]),
        ("/$", &["/"], &["/x", "//"]),
        ("/fish", &["/fish", "/fish.html", "/fishheads", "/fish.php?id=x"], &["/Fish", "/catfish", "/?id=fish"]),
        ("/fish*", &["/fish", "/fishheads/yummy.html"], &["/catfish"]),
        ("/fish/", &["/fish/", "/fish/?id=x"], &["/fish", "/fish.html"]),
        ("/*.php", &["/index.php", "/a/b.php?p", "/a.php5", "/a.php/"], &["/", "/a.PHP"]),
        ("/*.php$", &["/a.php", "/b/a.php"], &["/a.php?x", "/a.php/", "/a.php5"]),
        ("/fish*.php", &["/fish.php", "/fishheads/cat.php?x"], &["/Fish.PHP"]),
        ("*/end$", &["/x/end", "/end"], &["/x/end/"]),
        ("/*a*a$", &["/aa", "/xaya"], &["/a", "/aab"]),
    ];
    for (rule, matching, other) in table {
        assert_paths(&format!("User-agent: foobot\nDisallow: {rule}\n"), other, matching);
    }
}

#[test]
fn allow_wins_a_tie_and_the_order_of_rules_does_not_matter() {
    assert_paths("User-agent: foobot\nDisallow: /folder\nAllow: /folder\n", &["/folder/page"], &[]);
    assert_paths("User-agent: foobot\nAllow: /p\nDisallow: /\n", &["/page"], &["/x"]);
    assert_paths("User-agent: foobot\nDisallow: /*.htm\nAllow: /page\n", &[], &["/page.htm"]);
    assert_paths("User-agent: foobot\nAllow: /$\nDisallow: /\n", &["/"], &["/page.htm"]);
}

#[test]
fn groups_of_one_token_are_merged_and_hide_the_group_of_everyone() {
    let body = "User-agent: foobot\nDisallow: /a\nUser-agent: *\nDisallow: /c\nUser-agent: x\nUser-agent: FOOBOT\nDisallow: /b\n";
    assert_paths(body, &["/c"], &["/a", "/b"]);
    let unknown = Robots::parse(body.as_bytes(), "unknown");
    assert!(unknown.allows("/a") && !unknown.allows("/c"));
    assert_paths("User-agent: *\nDisallow: /\nUser-agent: foobot\nDisallow:\n", &["/x"], &[]);
    assert_paths("User-agent: *\nDisallow: /a\n\nUser-agent: *\nDisallow: /b\n", &["/c"], &["/a", "/b"]);
}

#[test]
fn agents_are_compared_by_product_token() {
    for agent in ["foobot", "FooBot/2.1", "FOOBOT (+http://x)", "  foobot  # comment"] {
        assert_paths(&format!("User-agent: {agent}\nDisallow: /\n"), &[], &["/x"]);
    }
    for agent in ["foo", "foobot-news", "foobotx", "barbot foobot", "*foobot", ""] {
        assert_paths(&format!("User-agent: {agent}\nDisallow: /\n"), &["/x"], &[]);
    }
    assert_paths("User-agent: * everyone\nDisallow: /\n", &[], &["/x"]);
}

#[test]
fn lines_are_read_however_they_are_written() {
    let body = "\u{FEFF}USER-AGENT : foobot\r\rdisallow:/a#b\r\n\tDISALLOW\t:\t/c \ndissallow: /d\ndisallow /e\ndisallow: f\nnonsense\n: x\nallow\n";
    assert_paths(body, &["/b", "/x"], &["/a", "/c", "/d", "/e", "/f"]);
    assert_paths("Disallow: /before\nUser-agent: foobot\nDisallow: /x\n", &["/before"], &["/x"]);
    assert_paths("<html><body>User-agent: foobot</body></html>", &["/x"], &[]);
    assert_paths("User-agent: foobot\nSitemap: https://a.example/s.xml\nUser-agent: bar\nDisallow: /x\n", &[], &["/x"]);
}

#[test]
fn the_robots_txt_itself_is_always_allowed() {
    assert_paths("User-agent: *\nDisallow: /\n", &["/robots.txt"], &["/robots.txt?x", "/robots.txt2"]);
    assert!(Robots::disallow_all().allows("/robots.txt") && !Robots::disallow_all().allows("/"));
    assert!(Robots::allow_all().allows("/anything"));
    assert_paths("", &["/", "/x"], &[]);
}

#[test]
fn the_longest_crawl_delay_of_the_group_holds() {
    let delay = |body: &str| Robots::parse(body.as_bytes(), "foobot").crawl_delay();
    assert_eq!(delay("User-agent: foobot\nCrawl-delay: 2\nCrawl-delay: 0.5\n"), Some(Duration::from_secs(2)));
    assert_eq!(delay("User-agent: *\nCrawl-delay: 1.25\n"), Some(Duration::from_millis(1_250)));
    assert_eq!(delay("User-agent: foobot\nUser-agent: *\nDisallow:\nUser-agent: x\nCrawl-delay: 9\n"), None);
    assert_eq!(
        delay("User-agent: foobot\nCrawl-delay: 99999999999999999999999999\n"),
        Some(Duration::from_secs(31_536_000))
    );
    for value in ["", "-1", "x", "inf", "1e3", "NaN", "1.2.3", "."] {
        assert_eq!(delay(&format!("User-agent: foobot\nCrawl-delay: {value}\n")), None, "{value}");
    }
}

#[test]
fn sitemaps_belong_to_no_group_and_are_bounded() {
    let robots =
        Robots::parse(b"Sitemap: https://a.example/1.xml\nUser-agent: x\nSitemap: /2.xml # here\nsitemap:\n", "foobot");
    assert_eq!(robots.sitemaps(), ["https://a.example/1.xml", "/2.xml"]);
    let many = "Sitemap: https://a.example/\n".repeat(5_000);
    assert_eq!(Robots::parse(many.as_bytes(), "foobot").sitemaps().len(), 1_000);
}

#[test]
fn only_whole_lines_within_the_limit_are_read() {
    let head = "User-agent: foobot\nDisallow: /in\n";
    let tail = "Disallow: /cut-through\nDisallow: /out\n";
    let filler = format!("#{}\n", "x".repeat(BODY_BYTES_MAX - head.len() - 2 - "Disallow: /cut".len()));
    assert_paths(&format!("{head}{filler}{tail}"), &["/out", "/cut", "/cut-through"], &["/in"]);
}

#[test]
fn a_stored_verdict_reads_back_and_is_small() {
    let robots = Robots::parse(b"User-agent: *\nDisallow: /a*\nAllow: /b$\nCrawl-delay: 3\n", "foobot");
    let json = serde_json::to_string(&robots).expect("rules are JSON");
    assert_eq!(json, r#"{"rules":[[false,"/a*"],[true,"/b$"]],"crawl_delay_ms":3000,"sitemaps":[]}"#);
    assert_eq!(serde_json::from_str::<Robots>(&json).expect("own JSON"), robots);
}

/// The slow truth that the matcher is held against: every way to spread the wildcards is tried.
fn matches_by_search(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern, path) {
        ([], _) | ([b'$'], []) => true,
        ([b'*', rest @ ..], _) => (0..=path.len()).any(|skip| matches_by_search(rest, &path[skip..])),
        ([first, rest @ ..], [head, tail @ ..]) => first == head && matches_by_search(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..400), path in any::<String>()) {
        let robots = Robots::parse(&body, "foobot");
        let _ = robots.allows(&path);
    }

    #[test]
    fn no_lines_made_of_its_own_words_make_it_panic(lines in proptest::collection::vec("(user-agent|disallow|allow|crawl-delay|sitemap)[: ]{0,2}[/*$%a-f0-9é.]{0,12}", 0..20), path in "[/*$%a-f0-9é#.]{0,20}") {
        let robots = Robots::parse(lines.join("\n").as_bytes(), "a");
        let _ = robots.allows(&path);
    }

    #[test]
    fn the_matcher_agrees_with_exhaustive_search(pattern in r"/[ab*]{0,8}\$?", path in "/[ab]{0,10}") {
        let rule = pattern::Pattern::new(pattern.as_bytes());
        prop_assert_eq!(rule.matches(&path), matches_by_search(pattern.as_bytes(), path.as_bytes()));
    }
}
