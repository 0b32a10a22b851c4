//! Which links are followed.

use super::*;

fn urls(links: Vec<PageLink>) -> Vec<String> {
    links.into_iter().map(|link| link.url).collect()
}

fn links(html: &str) -> Vec<String> {
    urls(extract(&[], &[follow("a[href]")], html).unwrap().links)
}

#[test]
fn links_are_absolute_without_fragment_in_page_order_and_once() {
    assert_eq!(
        links(
            r#"<a href="b">1</a><a href="/c?q#x">2</a><a href="b#y">3</a><a href="//other.example/z">4</a>
               <a href="mailto:a@b.example">5</a><a href="javascript:void(0)">6</a><a href="http://[bad">7</a>
               <a href=" ../d ">8</a><a name=x>9</a><noscript><a href=/n>10</a></noscript>"#
        ),
        [
            "https://shop.example/a/b",
            "https://shop.example/c?q",
            "https://other.example/z",
            "https://shop.example/d",
            "https://shop.example/n",
        ]
    );
}

#[test]
fn the_first_base_element_is_what_links_are_resolved_against() {
    assert_eq!(
        links("<base target=_top><base href='/sub/dir/'><base href=/no/><a href=x>"),
        ["https://shop.example/sub/dir/x"]
    );
    assert_eq!(links("<base href='javascript:1'><a href=x>"), ["https://shop.example/a/x"]);
    assert_eq!(links("<svg><base href=/svg/></base></svg><a href=x>"), ["https://shop.example/a/x"]);
}

#[test]
fn links_marked_nofollow_are_left_out() {
    assert_eq!(
        links("<a href=1 rel='noopener NoFollow'></a><a href=2 rel=nofollowers></a>"),
        ["https://shop.example/a/2"]
    );
}

#[test]
fn a_page_that_asks_not_to_be_followed_has_no_links() {
    for (content, noindex, nofollow) in [
        ("nofollow", false, true),
        ("NoIndex, NoFollow", true, true),
        ("none", true, true),
        ("noindex", true, false),
        ("index, follow", false, false),
    ] {
        let html = format!("<meta name=Robots content='{content}'><a href=x>");
        let page = extract(&[], &[follow("a")], &html).unwrap();
        assert_eq!(page.meta_robots, RobotsDirectives { noindex, nofollow }, "{content}");
        assert_eq!(page.links.is_empty(), nofollow, "{content}");
    }
}

#[test]
fn several_rules_and_other_attributes_are_followed_in_page_order() {
    let rules = [follow(".next"), FollowRule { attribute: "DATA-URL".to_owned(), ..follow("[data-url]") }];
    let page =
        extract(&[], &rules, "<div data-url=/1></div><a class=next href=/2 data-url=/3></a><a href=/4></a>").unwrap();
    assert_eq!(urls(page.links), ["https://shop.example/1", "https://shop.example/2", "https://shop.example/3"]);
}

#[test]
fn links_beyond_the_bound_are_counted() {
    let html: String = (0..10_005).map(|n| format!("<a href=/{n}></a>")).collect();
    let page = extract(&[], &[follow("a")], &html).unwrap();
    assert_eq!(page.links.len(), 10_000);
    assert_eq!(page.links_cut, 5);
}

#[test]
fn a_link_belongs_to_the_first_rule_that_accepts_it() {
    let patterns = |pattern: &str| Patterns::compile(&[pattern]).unwrap();
    let rules = [
        FollowRule { allow: patterns("/book/"), deny: patterns("print=1"), ..follow("a") },
        follow("a.next, link"),
        FollowRule { deny: patterns("/no/"), ..follow("a") },
    ];
    let html =
        "<link href=/l><a href=/book/1></a><a href=/book/2?print=1></a><a class=next href=/2></a><a href=/no/></a>";
    let found = extract(&[], &rules, html).unwrap().links;
    let found: Vec<_> = found.iter().map(|link| (link.url.as_str(), link.rule)).collect();
    assert_eq!(
        found,
        [
            ("https://shop.example/l", 1),
            ("https://shop.example/book/1", 0),
            ("https://shop.example/book/2?print=1", 2),
            ("https://shop.example/2", 1),
        ]
    );
}

#[test]
fn a_rule_may_be_for_some_pages_only() {
    let rule = |name: &str, labels: &[u16], urls: &[&str]| ExtractRule {
        name: name.to_owned(),
        labels: labels.to_vec(),
        urls: Patterns::compile(urls).unwrap(),
        ..super::rule("", vec![field("t", "p", FieldKind::Text)])
    };
    let rules = [
        rule("all", &[], &[]),
        rule("labelled", &[2, 3], &[]),
        rule("there", &[], &["/a/page"]),
        rule("both", &[2], &["/b/"]),
    ];
    let compiled = CompiledExtract::compile(&rules, &[]).unwrap();
    let names = |label: u16| -> Vec<String> {
        let page = Page { body: b"<p>x", content_type: None, url: &url(), label };
        let found = compiled.page(page, CpuBudget::default()).unwrap();
        found.items.iter().map(|item| item["_type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(0), ["all", "there"]);
    assert_eq!(names(3), ["all", "labelled", "there"]);
}
