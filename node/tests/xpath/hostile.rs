//! Expressions and pages that cost far more than their size.

use rustix::time::{ClockId, clock_gettime};

use super::*;

const BUDGET: Duration = Duration::from_millis(200);
const GRACE: Duration = Duration::from_millis(150);

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Evaluates on a thread with a small stack, as the runtime's threads have, and holds the budget.
fn cost(written: &str, html: &str) -> Result<PageResult, ExtractError> {
    std::thread::scope(|scope| {
        let work = || {
            let started = cpu_time();
            let result = run(&[rule(vec![field("f", written, list(FieldKind::Html))])], &[], html, CpuBudget(BUDGET));
            let spent = cpu_time() - started;
            assert!(spent <= BUDGET + GRACE, "{written} took {spent:?}");
            result
        };
        let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn_scoped(scope, work);
        thread.expect("a thread").join().expect("no panic")
    })
}

#[test]
fn expressions_that_are_quadratic_or_worse_are_given_up_within_the_budget() {
    let flat = "<p>x</p>".repeat(20_000);
    for written in [
        "//p[count(//p) > 0]",
        "//*[count(//*[count(//*) > 0]) > 0]",
        "count(//p[count(preceding::p) = 20000])",
        "count(//p/following::*[position() > 0])",
        "count(//node()/following-sibling::node()[last() > 5])",
        "//p[. = //p[. = 'y']]",
        "//p[string-length(string(/)) = 7]",
        "//p[contains(/, concat(., 'y'))]",
        "//p[translate(/, 'x', 'y') = 'x']",
        "//p[sum(//p) = 1]",
        "//p[not(following::p[. = 'y'])][. = 'y']",
        "//p[last() = count(../p[last() = count(../p)])]",
        "//p[//p[//p[//p[//p[. = 'y']]]]]",
    ] {
        let result = cost(written, &flat);
        let given_up = matches!(result, Err(ExtractError::BudgetExceeded { .. } | ExtractError::TooMuchOutput { .. }));
        assert!(given_up, "{written} was evaluated to its end");
    }
}

#[test]
fn texts_that_grow_beyond_a_page_are_given_up() {
    let html = format!("<p>{}</p>", "x".repeat(3 << 20));
    let concat = |argument: &str| format!("concat({argument}, {argument}, {argument}, {argument})");
    for written in [
        format!("string-length({})", concat(&concat("/"))),
        format!("contains({}, {})", concat("/"), concat("/")),
        format!("translate({}, {}, 'x')", concat("/"), concat("/")),
        format!("substring-before({}, substring-before({}, 'y'))", concat("/"), concat("/")),
    ] {
        let result = cost(&written, &html);
        let given_up = matches!(result, Err(ExtractError::TooMuchOutput { .. } | ExtractError::BudgetExceeded { .. }));
        assert!(given_up, "{written}: {result:?}");
    }
    let deep = "<div>".repeat(900) + &"word ".repeat(40_000);
    let result = cost("//div = //none | //div[. = 'x'] | //div", &deep);
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn pages_of_any_shape_are_held_within_the_budget_whether_read_or_not() {
    let attributes: String = (0..10_000).map(|n| format!("a{n}=1 ")).collect();
    for (name, html) in [
        ("flat", "<p>x</p>".repeat(30_000)),
        ("deep", "<div>".repeat(1_000)),
        ("comments", "<!---->".repeat(60_000)),
        ("attributes", format!("<p {attributes}>")),
        ("one text", "x ".repeat(2_000_000)),
        ("templates", "<template>".repeat(400)),
        ("tables", "<table><tr><td>".repeat(300)),
        ("svg", "<svg><g>".repeat(400)),
        ("ids", "<i id=a></i>".repeat(30_000)),
    ] {
        for written in [
            "//*/ancestor::*/descendant::node()/@*",
            "//node()[last()]/preceding::node()[1]",
            "//@*/..//@*/following::node()",
            "id(//@id)/ancestor-or-self::*[lang('a')]",
            "normalize-space(translate(/, ' x', 'y '))",
            "//*[@*[contains(name(), '9')]] | //text()",
        ] {
            let _either_way = (name, cost(written, &html));
        }
    }
}

#[test]
fn what_can_be_done_in_one_walk_is_done_in_one_walk() {
    // Each of these would take minutes if it walked the page once for each node.
    let flat = "<p>x</p>".repeat(40_000);
    let deep = format!("{}{}", "<div>".repeat(900), "<b>x</b>".repeat(20_000));
    for (html, written, expected) in [
        (&flat, "count(//p/following::p)", 39_999),
        (&flat, "count(//p/preceding::p)", 39_999),
        (&flat, "count(//p/following-sibling::p)", 39_999),
        (&flat, "count(//p/preceding-sibling::p)", 39_999),
        (&flat, "count(//p[1]/following-sibling::*[1])", 1),
        (&flat, "count(//p/following-sibling::p[1])", 39_999),
        (&flat, "count(//p[following::p])", 39_999),
        (&flat, "count(//p[preceding::p])", 39_999),
        (&flat, "count(//p[. = 'x'][last()])", 1),
        (&flat, "count(//node()/ancestor::*)", 40_002),
        (&deep, "count(//*/descendant::b)", 20_000),
        (&deep, "count(//div//div//div//b)", 20_000),
        (&deep, "count(//b/ancestor::div)", 900),
        (&deep, "count(//b[ancestor::div])", 20_000),
    ] {
        let kind = FieldKind::Number { attribute: None };
        assert_eq!(read(html, kind, written), serde_json::json!(expected), "{written}");
    }
    assert_eq!(value(&flat, "//p = //p/text()"), "true");
    assert_eq!(value(&flat, "//p != //p"), "false");
    assert_eq!(value(&flat, "//p[1] < //p"), "false");
}
