//! Links with labels, priorities and listings; sitemaps and robots.txt as sources.

use super::*;
use crate::crawl::witness::Promise;
use crate::job;
use scrapering_core::frontier::record::JobId;
use scrapering_core::frontier::shard::Policy;
use scrapering_core::id::Partition;

fn job(spec: &str) -> ValidatedJob {
    let head = "apiVersion: scrapering.io/v1alpha1\nkind: ScrapeJob\nmetadata: {name: a}\n";
    let text = format!("{head}spec:\n  seeds: [{{url: 'https://shop.example/books/'}}]\n{spec}");
    job::load(&text).unwrap_or_else(|error| panic!("{error}")).job
}

fn visit(url: &str, way: Way) -> Visit {
    let url = NormalizedUrl::parse(url).unwrap();
    let hash = UrlHash::of(&url);
    let (partition, job) = (Partition(0), JobId([0; 16]));
    let promise = Promise::new(&self::job(""), &Policy::default(), url.host());
    Visit { partition, job, promise, url, hash, depth: 2, way, attempt: 1, cookies: None, history: None }
}

fn links(pairs: &[(&str, usize)]) -> Vec<PageLink> {
    pairs.iter().map(|(url, rule)| PageLink { url: (*url).to_owned(), rule: *rule }).collect()
}

fn followed(out: &Outlinks) -> Vec<(&str, u32, Way)> {
    out.follow.iter().map(|link| (link.url.as_str(), link.depth, link.way)).collect()
}

const RULES: &str = "  follow:
  - {selector: a.detail, label: detail, priority: 90}
  - {selector: a.next, label: list, maxPages: 3}
  - {selector: a}
";

#[test]
fn links_get_the_label_and_priority_of_their_rule() {
    let job = job(RULES);
    let page = visit("https://shop.example/books/", Way::default());
    let found = links(&[
        ("https://shop.example/1", 0),
        ("https://shop.example/2", 2),
        ("https://other.example/", 2),
        ("https://shop.example/books/", 2),
        ("https://shop.example/1", 2),
    ]);
    let out = Outlinks::of_page(&job, &page, found, None);
    let detail = Way { label: 1, priority: 90, ..Way::default() };
    let other = Way { priority: 50, ..Way::default() };
    assert_eq!(followed(&out), [("https://shop.example/1", 3, detail), ("https://shop.example/2", 3, other)]);
    let outside = NormalizedUrl::parse("https://other.example/").unwrap();
    assert_eq!(out.unfollowed, [(outside, SkipReason::OutOfScope)]);
    assert_eq!(job.labels, ["detail", "list"]);
}

#[test]
fn a_listing_ends_after_its_most_pages() {
    let job = job(RULES);
    let mut way = Way::default();
    for page in 2..=3 {
        let at = visit("https://shop.example/books/", way);
        let out = Outlinks::of_page(&job, &at, links(&[("https://shop.example/next", 1)]), None);
        way = out.follow[0].way;
        assert_eq!((way.label, way.rule, way.page), (2, 2, page));
    }
    let at = visit("https://shop.example/books/", way);
    let out = Outlinks::of_page(&job, &at, links(&[("https://shop.example/next", 1)]), None);
    assert!(out.follow.is_empty());
    assert_eq!(out.unfollowed[0].1, SkipReason::PageLimit);
}

#[test]
fn a_page_leads_to_where_it_says_that_it_belongs_unless_nothing_is_followed() {
    let way = Way { label: 2, redirects: 1, ..Way::default() };
    let page = visit("https://shop.example/books/?session=1", way);
    let canonical = Some("https://shop.example/books/");
    let out = Outlinks::of_page(&job(RULES), &page, Vec::new(), canonical);
    assert_eq!(followed(&out), [("https://shop.example/books/", 2, Way { redirects: 0, ..way })]);
    assert_eq!(Outlinks::of_page(&job("  follow: []\n"), &page, Vec::new(), canonical), Outlinks::default());
}

#[test]
fn the_pages_of_a_sitemap_are_seeds_and_further_sitemaps_are_read_to_some_depth() {
    let job = job("  scope: {scopeType: prefix}\n");
    let way = Way { kind: DocumentKind::List, label: 3, priority: 50, ..Way::default() };
    let listing = || Listing {
        pages: vec!["https://shop.example/books/1".into(), "https://shop.example/toys/2".into()],
        lists: vec!["https://shop.example/2.xml".into(), "https://other.example/3.xml".into()],
        ..Listing::default()
    };
    let out = Outlinks::of_list(&job, &visit("https://shop.example/1.xml", way), listing());
    let page = Way { label: 3, priority: 50, page: 1, ..Way::default() };
    let list = Way { page: 1, ..way };
    assert_eq!(followed(&out), [("https://shop.example/books/1", 0, page), ("https://shop.example/2.xml", 0, list)]);
    assert_eq!(out.unfollowed.len(), 2);
    let deep = Way { page: MOST_LEVELS, ..way };
    let out = Outlinks::of_list(&job, &visit("https://shop.example/1.xml", deep), listing());
    assert_eq!(followed(&out).len(), 1);
}

#[test]
fn a_robots_txt_leads_to_its_sitemaps() {
    let robots = Robots::parse(b"Sitemap: https://shop.example/s.xml\nSitemap: /t.xml\nSitemap: ftp://x/\n", "a");
    let at = visit("https://shop.example/robots.txt", Way { kind: DocumentKind::Robots, ..Way::default() });
    let out = Outlinks::of_robots(&job(""), &at, &robots);
    let list = Way { kind: DocumentKind::List, page: 1, ..Way::default() };
    assert_eq!(followed(&out), [("https://shop.example/s.xml", 0, list), ("https://shop.example/t.xml", 0, list)]);
}
