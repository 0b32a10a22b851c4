//! Lists as sites publish them, and lists as an attacker would.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn listing(body: impl AsRef<[u8]>) -> Listing {
    let url = Url::parse("https://shop.example/maps/sitemap.xml").unwrap();
    read(body.as_ref(), &url, CpuBudget(Duration::from_secs(20))).unwrap()
}

fn pages(body: impl AsRef<[u8]>) -> Vec<String> {
    let listing = listing(body);
    assert_eq!((listing.lists.as_slice(), listing.fault.as_deref()), (&[][..], None));
    listing.pages
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

const SITEMAP: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
  <url><loc> https://shop.example/a?x=1&amp;y=2 </loc><lastmod>2024-01-15</lastmod>
    <image:image><image:loc>https://shop.example/a.png</image:loc></image:image></url>
  <url><loc><![CDATA[https://shop.example/b]]></loc></url>
  <!-- <url><loc>https://shop.example/comment</loc></url> -->
  <url><loc>https://shop.example/%C3%A4#top</loc></url>
  <url><loc>https://shop.example/b</loc></url>
  <url><loc>ftp://shop.example/no</loc></url><url><loc></loc></url><url/>
  <url><loc>/relative&#47;x</loc></url>
</urlset>"#;

#[test]
fn a_sitemap_names_its_pages_packed_or_not() {
    let expected = [
        "https://shop.example/a?x=1&y=2",
        "https://shop.example/b",
        "https://shop.example/%C3%A4",
        "https://shop.example/relative/x",
    ];
    assert_eq!(pages(SITEMAP), expected);
    assert_eq!(pages(gzip(SITEMAP.as_bytes())), expected);
    let prefixed = r#"<s:urlset xmlns:s="x"><s:url><s:loc>https://shop.example/p</s:loc></s:url></s:urlset>"#;
    assert_eq!(pages(prefixed), ["https://shop.example/p"]);
}

#[test]
fn an_index_names_further_lists() {
    let index = "<sitemapindex><sitemap><loc>https://shop.example/1.xml.gz</loc></sitemap><sitemap><loc>2.xml</loc></sitemap></sitemapindex>";
    let found = listing(index);
    assert_eq!(found.lists, ["https://shop.example/1.xml.gz", "https://shop.example/maps/2.xml"]);
    assert!(found.pages.is_empty());
}

#[test]
fn plain_text_is_a_sitemap_too() {
    let text = "\u{feff}https://shop.example/a\r\n\n https://shop.example/b \nnot a url\nHTTPS://shop.example/c\n";
    assert_eq!(pages(text), ["https://shop.example/a", "https://shop.example/b"]);
    assert_eq!(pages("not a list at all"), Vec::<String>::new());
    assert_eq!(pages(" \n "), Vec::<String>::new());
}

#[test]
fn feeds_name_the_pages_of_their_entries_and_not_their_own() {
    let rss = r#"<rss version="2.0"><channel><title>News</title><link>https://shop.example/</link>
        <image><link>https://shop.example/logo</link></image>
        <item><title>One</title><link>https://shop.example/1</link><guid>x</guid></item>
        <item><link>&#104;ttps://shop.example/2?a&amp;b</link></item></channel></rss>"#;
    assert_eq!(pages(rss), ["https://shop.example/1", "https://shop.example/2?a&b"]);
    let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://shop.example/"/><link rel="self" href="/feed"/>
        <entry><link href="/1"/><link rel="enclosure" href="/1.mp3"/><content><p>x</p></content></entry>
        <entry><link rel='alternate' href='https://shop.example/2?a&amp;b'></link></entry></feed>"#;
    assert_eq!(pages(atom), ["https://shop.example/1", "https://shop.example/2?a&b"]);
    let rdf = r#"<rdf:RDF xmlns:rdf="r" xmlns="http://purl.org/rss/1.0/"><channel/><item rdf:about="/1"><link>https://shop.example/1</link></item></rdf:RDF>"#;
    assert_eq!(pages(rdf), ["https://shop.example/1"]);
}

#[test]
fn other_charsets_are_read_by_mark_and_declaration() {
    let text = "<?xml version='1.0' encoding='windows-1251'?><urlset><url><loc>https://shop.example/\u{43f}</loc></url></urlset>";
    let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(text);
    assert_eq!(pages(&bytes), ["https://shop.example/%D0%BF"]);
    let utf_16: Vec<u8> = "\u{feff}<urlset><url><loc>https://shop.example/a</loc></url></urlset>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(pages(utf_16), ["https://shop.example/a"]);
}

#[test]
fn what_stands_before_a_fault_counts() {
    for tail in ["<url><loc>https://shop.example/b", "<url", "</x></y></z><![CDATA[", "<!", "\0<a b=c"] {
        let found = listing(format!("<urlset><url><loc>https://shop.example/a</loc></url>{tail}"));
        assert_eq!(found.pages, ["https://shop.example/a"], "{tail}");
    }
    let mut cut_off = gzip(SITEMAP.as_bytes());
    cut_off.truncate(cut_off.len() - 12);
    assert!(listing(&cut_off).fault.is_some());
    assert!(listing([0x1f, 0x8b, 0, 0]).fault.is_some());
}

#[test]
fn a_list_of_fifty_thousand_is_read_whole_and_one_more_is_cut() {
    let many: String = (0..=MAX_LIST_URLS).map(|n| format!("<url><loc>https://shop.example/{n}</loc></url>")).collect();
    let found = listing(gzip(format!("<urlset>{many}</urlset>").as_bytes()));
    assert_eq!((found.pages.len(), found.cut), (MAX_LIST_URLS, 1));
    assert_eq!(found.pages[MAX_LIST_URLS - 1], format!("https://shop.example/{}", MAX_LIST_URLS - 1));
}

#[test]
fn a_bomb_and_deep_nesting_are_given_up() {
    let bomb = gzip(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(listing(bomb), Listing::default());
    let deep = listing("<url>".repeat(100_000));
    assert!(deep.fault.is_some_and(|fault| fault.contains("deep")));
    let url = Url::parse("https://shop.example/").unwrap();
    let long = format!("<urlset>{}", "<url><loc>/x</loc></url>".repeat(1_000_000));
    let spent = read(long.as_bytes(), &url, CpuBudget(Duration::from_millis(50)));
    assert!(matches!(spent, Err(ExtractError::BudgetExceeded { .. })), "{:?}", spent.map(|l| l.pages.len()));
}
