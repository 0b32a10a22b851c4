//! Inputs that cost far more than their size.

use std::time::Duration;

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use super::*;

const BUDGET: Duration = Duration::from_millis(200);
const GRACE: Duration = Duration::from_millis(150);

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Extracts on a thread with a small stack, as the runtime's threads have, and holds the budget.
fn cost(name: &str, html: String, selector: &str) -> Result<PageResult, ExtractError> {
    let rules = [rule(selector, vec![field("t", "", FieldKind::Text)])];
    let compiled = CompiledExtract::compile(&rules, &[follow("a[href]")]).unwrap();
    let (result, spent) = std::thread::Builder::new()
        .stack_size(2 * 1024 * 1024)
        .spawn(move || {
            let started = cpu_time();
            let result = compiled
                .page(Page { body: html.as_bytes(), content_type: None, url: &url(), label: 0 }, CpuBudget(BUDGET));
            (result, cpu_time() - started)
        })
        .unwrap()
        .join()
        .unwrap();
    assert!(spent <= BUDGET + GRACE, "{name} took {spent:?}");
    result
}

#[test]
fn quadratic_pages_are_given_up_within_the_budget() {
    for (name, html) in [
        ("nested lists", "<ul><li>".repeat(31_250)),
        ("nested blocks", "<div>".repeat(31_200)),
        ("many attributes", format!("<p {}>", (0..80_000).map(|n| format!("a{n}=1 ")).collect::<String>())),
    ] {
        let result = cost(name, html, "p");
        assert!(
            matches!(
                result,
                Err(ExtractError::BudgetExceeded { .. }
                    | ExtractError::TooDeep { .. }
                    | ExtractError::TooManyNodes { .. })
            ),
            "{name} was read to its end"
        );
    }
}

#[test]
fn large_and_misnested_pages_are_held_within_the_budget_whether_read_or_not() {
    for (name, html) in [
        ("nested tables", "<table><tr><td>".repeat(20_000)),
        ("nested formatting", "<b><p>".repeat(40_000)),
        (
            "different formatting, reconstructed in every paragraph",
            (0..4_000).map(|n| format!("<b a={n}>")).collect::<String>() + &"<p>x".repeat(50_000),
        ),
        ("misnested links", "<a><table>".repeat(20_000)),
        ("nested svg", "<svg><g>".repeat(40_000)),
        ("nested selects", "<select><option>".repeat(40_000)),
        ("deep unclosed", "<font><center>".repeat(30_000)),
        ("deep unclosed links", "<a href=x><p>".repeat(30_000)),
        ("nested forms", "<form><table><form>".repeat(20_000)),
        ("nested templates", "<template>".repeat(40_000)),
        ("nested math", "<math><mi><table>".repeat(20_000)),
        ("nested buttons", "<button><p>".repeat(20_000)),
        ("misnested ends", "<b><i><p></b></i>".repeat(20_000)),
        ("foster text", format!("<table>{}", "x<tr>".repeat(100_000))),
        ("framesets", "<frameset>".repeat(40_000)),
        ("comment", format!("<!--{}", "x".repeat(4_000_000))),
        ("one text", "x ".repeat(2_000_000)),
        ("one attribute", format!("<p a='{}'>", "x".repeat(4_000_000))),
        ("one tag name", format!("<{}>", "x".repeat(4_000_000))),
        ("entities", "&amp;&notit;&#x10ffff;".repeat(100_000)),
        ("nulls", "\0".repeat(2_000_000)),
        ("open tags", "<".repeat(2_000_000)),
        ("end tags", "</p>".repeat(500_000)),
        ("doctype", "<!doctype html>".repeat(100_000)),
        ("cdata", "<svg><![CDATA[".repeat(100_000)),
        ("script", format!("<script>{}", "<!--<script>".repeat(200_000))),
    ] {
        let _either_way = cost(name, html, "p");
    }
}

#[test]
fn a_page_with_more_nodes_than_the_bound_is_refused() {
    let html = "<p>".repeat(document::MAX_NODES + 1);
    let result = extract(&[], &[follow("a")], &html);
    assert_eq!(result, Err(ExtractError::TooManyNodes { limit: document::MAX_NODES }));
}

#[test]
fn a_page_deeper_than_the_bound_is_refused_and_one_below_is_read() {
    let deep = |levels: usize| {
        let html = "<div>".repeat(levels) + "<a href=/x>";
        extract(&[rule("body:has(a)", vec![field("t", "a", FieldKind::Text)])], &[follow("a")], &html)
    };
    assert_eq!(deep(document::MAX_DEPTH), Err(ExtractError::TooDeep { limit: document::MAX_DEPTH }));
    // Document, html, body and the link itself are levels too.
    assert_eq!(deep(document::MAX_DEPTH - 4).unwrap().links.len(), 1);
}

#[test]
fn selectors_that_are_quadratic_on_a_page_are_given_up_within_the_budget() {
    let flat = "<p></p>".repeat(60_000);
    for selector in ["h2 ~ p", "p:not(:has(~ h1))", "p:not(p:not(h1 ~ p) ~ p)", "p ~ p:not(p ~ p:not(h1 ~ p))"] {
        let result = cost(selector, flat.clone(), selector);
        assert!(matches!(result, Err(ExtractError::BudgetExceeded { .. })), "{selector}: {result:?}");
    }
}

#[test]
fn positions_among_tens_of_thousands_of_siblings_are_counted_once() {
    let flat = "<i></i>".repeat(20_000) + "<b>x</b>";
    for selector in ["b:nth-child(20001)", "b:nth-last-of-type(1)", "b:not(i:nth-child(2n))", "b:last-child"] {
        let page = extract(&[rule(selector, vec![field("t", "", FieldKind::Text)])], &[], &flat).unwrap();
        assert_eq!(page.items.len(), 1, "{selector}");
    }
}

#[test]
fn elements_with_very_many_attributes_classes_or_comments_are_held_within_the_budget() {
    let attributes: String = (0..10_000).map(|n| format!("a{n}=1 ")).collect();
    let classes: String = (0..50_000).map(|n| format!("c{n} ")).collect();
    let below = "<i></i>".repeat(20_000);
    for (name, html, selector) in [
        ("attributes", format!("<p {attributes}>{below}"), "p[none] i"),
        ("classes", format!("<p class='{classes}'>{below}"), ".none i"),
        ("comments", format!("<p>{}{below}", "<!---->".repeat(50_000)), "p:empty ~ i, :first-child ~ i"),
    ] {
        let _either_way = cost(name, html, selector);
    }
}

#[test]
fn json_of_any_size_and_depth_is_held_within_the_budget() {
    let path = "$..[?@[*]]";
    for (name, body) in [
        ("deep", "[".repeat(2_000_000)),
        ("wide", format!("[{}0]", "0,".repeat(4_000_000))),
        ("objects", format!("[{}0]", "{\"a\":{\"b\":[]}},".repeat(60_000))),
        ("one key", format!("{{{}\"a\":1}}", "\"a\":1,".repeat(500_000))),
        ("one text", format!("\"{}\"", "\\u00e9".repeat(1_000_000))),
        ("digits", "9".repeat(4_000_000)),
    ] {
        let rules = [ExtractRule {
            source: scrapering_core::job::Source::Json,
            ..rule(path, vec![field("t", "$", FieldKind::Text)])
        }];
        let compiled = CompiledExtract::compile(&rules, &[]).unwrap();
        let started = cpu_time();
        let _either_way = compiled.page(
            Page { body: body.as_bytes(), content_type: Some("application/json"), url: &url(), label: 0 },
            CpuBudget(BUDGET),
        );
        assert!(cpu_time() - started <= BUDGET + GRACE, "{name} took {:?}", cpu_time() - started);
    }
}

#[test]
fn items_that_repeat_the_text_of_the_page_are_bounded() {
    let html = "<div>".repeat(900) + &"word ".repeat(40_000);
    let result = extract(&[rule("div", vec![field("t", "", FieldKind::Text)])], &[], &html);
    assert!(matches!(result, Err(ExtractError::TooMuchOutput { .. })), "{result:?}");
}

#[test]
fn a_page_is_not_hostile_because_its_budget_is_small_but_enough() {
    let html: String = (0..200).map(|n| format!("<li><b>{n}</b><a href=/{n}>x</a>")).collect();
    let result = cost("honest", html, "li");
    assert_eq!(result.unwrap().items.len(), 200);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..2048), content_type in proptest::option::of(".{0,40}")) {
        let rules = [rule("*", vec![field("t", "", FieldKind::Text), field("n", "", FieldKind::Number { attribute: None }), field("h", "", FieldKind::Html)])];
        let compiled = CompiledExtract::compile(&rules, &[follow("[href]")]).unwrap();
        let _ = compiled.page(Page { body: &body, content_type: content_type.as_deref(), url: &url(), label: 0 }, CpuBudget::default());
    }

    #[test]
    fn random_tag_soup_never_panics(pieces in proptest::collection::vec(proptest::sample::select(SOUP), 0..200)) {
        let _ = extract(&[rule("*", vec![field("t", "", FieldKind::Text), field("u", "", FieldKind::Url { attribute: None })])], &[follow("[href]")], &pieces.concat());
    }

    #[test]
    fn random_text_never_panics_the_number_reader(text in "[0-9.,' \u{a0}$€\u{2212}x-]{0,40}") {
        let _ = number::first(&text);
    }

    #[test]
    fn random_selectors_never_panic(css in "[a-z:()>~+ *.#\\[\\]=\"',-]{0,60}") {
        let _ = CompiledExtract::compile(&[rule(&css, vec![])], &[]);
    }
}

const SOUP: &[&str] = &[
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "<a href=x>",
    "</a>",
    "<b>",
    "</b>",
    "<i>",
    "</i>",
    "<p>",
    "</p>",
    "<svg>",
    "</svg>",
    "<math>",
    "<template>",
    "</template>",
    "<select>",
    "<option>",
    "<form>",
    "</form>",
    "<body a=1>",
    "</body>",
    "<html b=2>",
    "</html>",
    "<head>",
    "<frameset>",
    "<script>",
    "</script>",
    "<style>",
    "</style>",
    "<title>",
    "</title>",
    "<textarea>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<base href=/q/>",
    "<meta name=robots content=none>",
    "text",
    " ",
    "&amp;",
    "\0",
    "<caption>",
    "<col>",
    "<noscript>",
    "</noscript>",
    "<foreignObject>",
    "<mi>",
    "<font color=1>",
    "<!doctype x>",
    "</br>",
    "<nobr>",
    "<button>",
    "<li>",
    "<h1>",
    "<frame>",
    "<image>",
];
