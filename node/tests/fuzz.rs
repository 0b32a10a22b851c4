//! Everything that reads what strangers wrote, fed with mutated inputs: no panic, no run-away time or memory.
//!
//! `make fuzz` runs 100,000 inputs through each reader, `make test` a few. The inputs that mutation begins with are kept in `fuzz-corpus/`; an input that
//! breaks something is written there too, into a folder of the reader's name, and is tried first from then on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rustix::time::{ClockId, clock_gettime};
use scrapering::extract::{CompiledExtract, CpuBudget, Page, listing};
use scrapering::job;
use scrapering_core::job::{ExtractRule, Field, FieldKind, NormalizedUrl, Robots, Selector};
use sha2::{Digest, Sha256};

/// Inputs of each reader unless `FUZZ_INPUTS` says otherwise.
const INPUTS: usize = 300;
/// Longest input, bytes.
const INPUT_BYTES: usize = 64 * 1024;
/// Processor time that a page may take.
const BUDGET: CpuBudget = CpuBudget(Duration::from_millis(500));
/// Processor time after which an input has run away: the budget and what the slowest single step may take beyond it, for code that is not optimised.
const RUN_AWAY: Duration = Duration::from_millis(2_500);
/// Memory of the whole process, bytes.
const MEMORY_BYTES: u64 = 1 << 30;

/// A reader and what it knows by name.
struct Reader<'a> {
    name: &'a str,
    words: &'a [&'a str],
    read: &'a dyn Fn(&[u8]),
}

// Tests run in the folder of their package.
fn corpus(name: &str) -> PathBuf {
    Path::new("tests/fuzz-corpus").join(name)
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).expect("a readable file")).collect()
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().filter(|text| !text.is_empty())?.parse().ok()
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The most memory the process ever had, bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Feeds `reader` its seeds and then what becomes of them.
fn fuzz(reader: &Reader<'_>, more_seeds: Vec<Vec<u8>>) {
    let mut seeds = files(&corpus(reader.name));
    seeds.extend(more_seeds);
    let seed = variable("FUZZ_SEED").unwrap_or_else(|| rand::rng().random());
    let mut dice = StdRng::seed_from_u64(seed);
    for input in &seeds {
        try_one(reader, input, seed);
    }
    for _ in 0..variable("FUZZ_INPUTS").unwrap_or(INPUTS) {
        let input = mutated(&seeds, reader.words, &mut dice);
        try_one(reader, &input, seed);
    }
    assert!(peak_memory() <= MEMORY_BYTES, "{} took {} bytes (FUZZ_SEED={seed})", reader.name, peak_memory());
}

fn try_one(reader: &Reader<'_>, input: &[u8], seed: u64) {
    let started = cpu_time();
    let outcome = catch_unwind(AssertUnwindSafe(|| (reader.read)(input)));
    let spent = cpu_time() - started;
    if outcome.is_ok() && spent <= RUN_AWAY {
        return;
    }
    let digest: String = Sha256::digest(input)[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let path = corpus(reader.name).join(format!("found-{digest}"));
    fs::write(&path, input).expect("the corpus can be written");
    panic!("{}: {spent:?}, FUZZ_SEED={seed}, kept in {}", reader.name, path.display());
}

/// One of the seeds after a few accidents.
fn mutated(seeds: &[Vec<u8>], words: &[&str], dice: &mut StdRng) -> Vec<u8> {
    let mut input = seeds.choose(dice).cloned().unwrap_or_default();
    for _ in 0..dice.random_range(1..=6) {
        let at = dice.random_range(0..=input.len());
        let end = (at + dice.random_range(0..=32)).min(input.len());
        match dice.random_range(0..9) {
            0 if at < input.len() => input[at] ^= 1 << dice.random_range(0..8),
            1 if at < input.len() => input[at] = dice.random(),
            2 => drop(input.drain(at..end)),
            3 => insert(&mut input, at, words.choose(dice).map_or(&b""[..], |word| word.as_bytes())),
            4 => {
                let again = input[at..end].repeat(1 << dice.random_range(0..12));
                insert(&mut input, at, &again);
            }
            5 => {
                let other = seeds.choose(dice).map_or(&b""[..], Vec::as_slice);
                let from = dice.random_range(0..=other.len());
                insert(&mut input, at, &other[from..(from + 512).min(other.len())]);
            }
            6 => input[at..end].shuffle(dice),
            7 => input.truncate(at),
            _ => {
                let soup: Vec<u8> = (0..dice.random_range(1..64))
                    .flat_map(|_| words.choose(dice).map_or(&b""[..], |word| word.as_bytes()))
                    .copied()
                    .collect();
                insert(&mut input, at, &soup);
            }
        }
        input.truncate(INPUT_BYTES);
    }
    input
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let room = INPUT_BYTES.saturating_sub(input.len());
    input.splice(at..at, piece[..piece.len().min(room)].iter().copied());
}

fn page() -> NormalizedUrl {
    NormalizedUrl::parse("https://shop.example/a/b?c").expect("a URL")
}

/// Rules that use every source, type and transform there is.
fn rules() -> CompiledExtract {
    let text = fs::read_to_string(corpus("../../../examples/corpus/good/sources.yaml")).expect("an example");
    let job = job::load(&text).expect("a good job").job;
    CompiledExtract::compile(&job.extract, &job.follow).expect("good rules")
}

#[test]
fn no_html_makes_extraction_panic_or_run_away() {
    let rules = rules();
    let words = [
        "<article class=product>",
        "<p>",
        "</p>",
        "<table>",
        "<tr><td>",
        "<script type=application/ld+json>",
        "</script>",
        "<meta property=og:title content=x>",
        "<base href=//x>",
        "<svg>",
        "<template>",
        "<a href=",
        "<b>",
        "</b>",
        "<!--",
        "-->",
        "<select>",
        "<option>",
        "<form>",
        "<ul><li>",
        "{\"@graph\":[",
        "&amp;",
        "&#x110000;",
        "\0",
        "\u{feff}",
        "<li a=1 ",
    ];
    let read = |input: &[u8]| {
        drop(rules.page(Page { body: input, content_type: Some("text/html"), url: &page(), label: 0 }, BUDGET))
    };
    fuzz(&Reader { name: "html", words: &words, read: &read }, Vec::new());
}

#[test]
fn no_json_makes_extraction_panic_or_run_away() {
    let rules = rules();
    let words =
        ["{", "}", "[", "]", ",", ":", "\"offers\"", "\"stock\":1", "1e999", "-0", "\"\\ud800\"", "null", "\\u0000"];
    let read = |input: &[u8]| {
        drop(rules.page(Page { body: input, content_type: Some("application/json"), url: &page(), label: 0 }, BUDGET))
    };
    fuzz(&Reader { name: "json", words: &words, read: &read }, Vec::new());
}

#[test]
fn no_xpath_makes_its_reader_panic_or_a_page_run_away() {
    let html = fs::read(corpus("html/shop.html")).expect("a page");
    let words = [
        "//",
        "/",
        "..",
        ".",
        "*",
        "@",
        "@*",
        "[",
        "]",
        "(",
        ")",
        "|",
        "[1]",
        "[last()]",
        "position()",
        "count(",
        "//*",
        "id(",
        "string(/)",
        "concat(",
        ",",
        " or ",
        " and ",
        " = ",
        " != ",
        " < ",
        " div ",
        " mod ",
        " - ",
        "'",
        "\"",
        "::",
        "ancestor::",
        "preceding::node()",
        "following::*",
        "text()",
        "comment()",
        "translate(",
        "1e9",
        "0.5",
        "$a",
        "a:b",
        "é",
    ];
    let read = |input: &[u8]| {
        let written: String = String::from_utf8_lossy(input).chars().take(1_024).collect();
        let field = Field {
            name: "f".to_owned(),
            selector: Some(Selector::XPath(written)),
            kind: FieldKind::List { element: Box::new(FieldKind::Text), fields: Vec::new() },
            pattern: None,
            transforms: Vec::new(),
            required: false,
            default: None,
        };
        let rule = ExtractRule { name: "r".to_owned(), fields: vec![field], ..ExtractRule::default() };
        match CompiledExtract::compile(&[rule], &[]) {
            Ok(rules) => drop(rules.page(Page { body: &html, content_type: None, url: &page(), label: 0 }, BUDGET)),
            Err(error) => assert!(error.message.contains("(at character ")),
        }
    };
    fuzz(&Reader { name: "xpath", words: &words, read: &read }, Vec::new());
}

#[test]
fn no_charset_makes_decoding_panic_or_run_away() {
    let rules = rules();
    let words = [
        "<meta charset=",
        "utf-8>",
        "utf-16le>",
        "koi8-r",
        "<?xml version=1 encoding='gb18030'?>",
        "<meta http-equiv=content-type content='",
        "\u{feff}",
        "\u{1b}$B",
        "http-equiv",
        "=",
        "'",
        "/",
        "iso-2022-jp",
        "replacement",
        "x-user-defined>",
    ];
    let types = [
        "text/html",
        "text/html; charset=shift_jis",
        "text/html;charset=\"utf-16\"",
        "text/html; charset=",
        "a/b; charset=hz-gb-2312",
    ];
    let read = |input: &[u8]| {
        let kind = types[usize::from(input.first().copied().unwrap_or_default()) % types.len()];
        drop(rules.page(Page { body: input, content_type: Some(kind), url: &page(), label: 0 }, BUDGET));
    };
    fuzz(&Reader { name: "charset", words: &words, read: &read }, Vec::new());
}

#[test]
fn no_robots_txt_makes_its_reader_panic_or_run_away() {
    let words = [
        "User-agent:",
        "Disallow:",
        "Allow:",
        "Crawl-delay:",
        "Sitemap:",
        "*",
        "$",
        "%2A",
        "/",
        "\n",
        "\r",
        "\u{feff}",
        "a*a*a*a*",
        "index.html",
        "#",
    ];
    let read = |input: &[u8]| {
        let robots = Robots::parse(input, "examplebot");
        let path = String::from_utf8_lossy(&input[..input.len().min(2_000)]);
        let _ = (robots.allows(&path), robots.allows("/a/aaaaaaaaaaaaaaaa?b"), robots.crawl_delay());
    };
    fuzz(&Reader { name: "robots", words: &words, read: &read }, Vec::new());
}

#[test]
fn no_sitemap_or_feed_makes_its_reader_panic_or_run_away() {
    let words = [
        "<urlset>",
        "<url>",
        "<loc>",
        "</loc>",
        "</url>",
        "<sitemap>",
        "<item>",
        "<link>",
        "</link>",
        "<entry>",
        "<link href='",
        "rel=self",
        "/>",
        "<![CDATA[",
        "]]>",
        "&#x0;",
        "&amp;",
        "&nope;",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "<?xml version='1.0' encoding='utf-16'?>",
        "\u{feff}",
        "https://",
    ];
    let url = page();
    let read = |input: &[u8]| drop(listing::read(input, url.as_url(), BUDGET));
    fuzz(&Reader { name: "sitemap", words: &words, read: &read }, Vec::new());
    fuzz(&Reader { name: "feed", words: &words, read: &read }, Vec::new());
}

#[test]
fn no_text_makes_canonical_urls_panic_or_change_twice() {
    let words = [
        "http://", "https:", "//", "\\", "%2e", "%2E%2e", "..", "/./", "@", ":0", ":443", "[::1]", "xn--", "%00", "#",
        "?", "ß", "\u{200d}", "0x7f.1", "%zz", "\t",
    ];
    let base = page();
    let read = |input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        for url in [NormalizedUrl::parse(&text), base.join(&text)].into_iter().flatten() {
            assert_eq!(NormalizedUrl::parse(url.as_str()).as_ref(), Ok(&url), "{text}");
        }
    };
    fuzz(&Reader { name: "url", words: &words, read: &read }, Vec::new());
}

#[test]
fn no_document_makes_the_job_reader_panic_or_run_away() {
    let examples = PathBuf::from("../examples/corpus");
    let seeds = ["good", "bad"].map(|folder| files(&examples.join(folder))).concat();
    let words = [
        "spec:",
        "  - ",
        ": ",
        "&a ",
        "*a",
        "<<: *a",
        "!!binary ",
        "{",
        "}",
        "[",
        "]",
        "|\n",
        ">-\n",
        "\n---\n",
        "? ",
        "'",
        "\"\\x",
        "selector: ",
        "$..a",
        "(?:a{1000}){1000}",
        "extract:\n",
        "fields:\n",
        "- {name: a, type: list, fields: [{name: b}]}\n",
        "1e400",
        "\t",
        "#",
        "schema: {type: object}",
    ];
    let read = |input: &[u8]| {
        if let Ok(text) = std::str::from_utf8(input)
            && let Err(error) = job::load(text)
        {
            assert!(!error.to_string().is_empty());
        }
    };
    fuzz(&Reader { name: "job", words: &words, read: &read }, seeds);
}
