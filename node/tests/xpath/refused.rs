//! Expressions that are refused, with what was expected and where.

use super::*;

const STEP: &str = "expected a step such as a name, `*`, `@name`, `.` or `text()`, found";

#[test]
fn what_is_no_xpath_is_refused_at_the_character_where_it_goes_wrong() {
    for (written, says, at) in [
        ("", format!("{STEP} the end"), 1),
        ("  ", format!("{STEP} the end"), 3),
        ("//", format!("{STEP} the end"), 3),
        ("//li/", format!("{STEP} the end"), 6),
        ("//li[", format!("{STEP} the end"), 6),
        ("//li[]", format!("{STEP} `]`"), 6),
        ("//li[1", "expected an operator or `]`, found the end".to_owned(), 7),
        ("//li]", "expected an operator or the end, found `]`".to_owned(), 5),
        ("(//li", "expected an operator or `)`, found the end".to_owned(), 6),
        ("//li)", "expected an operator or the end, found `)`".to_owned(), 5),
        ("a b", "expected an operator or the end, found `b`".to_owned(), 3),
        ("1 2", "expected an operator or the end, found the number 2".to_owned(), 3),
        ("//li text()", "expected an operator or the end, found `text`".to_owned(), 6),
        ("1 +", format!("{STEP} the end"), 4),
        ("1 + * 2", "expected an operator or the end, found the number 2".to_owned(), 7),
        ("= 1", format!("{STEP} `=`"), 1),
        ("//@", "expected a name, `*` or a test such as `node()`, found the end".to_owned(), 4),
        ("child::", "expected a name, `*` or a test such as `node()`, found the end".to_owned(), 8),
        ("//li[@class='x]", "the text that begins here has no closing quotation mark".to_owned(), 13),
        ("//text(", "expected `)`, found the end".to_owned(), 8),
        ("text('a')", "expected `)`, found a text".to_owned(), 6),
        ("processing-instruction(1)", "expected a text or `)`, found the number 1".to_owned(), 24),
        ("concat('a' 'b')", "expected `,` or `)`, found a text".to_owned(), 12),
        (
            ".[1]",
            "expected an operator, `/` or the end (write self::node()[…] or parent::node()[…]), found `[`".to_owned(),
            2,
        ),
        ("//li!", "`!` means nothing here".to_owned(), 5),
        ("//ä#", "`#` means nothing here".to_owned(), 4),
        ("a//", format!("{STEP} the end"), 4),
        ("///a", format!("{STEP} `/`"), 3),
        ("a | ", format!("{STEP} the end"), 5),
    ] {
        assert_eq!(refusal(written), format!("{says} (at character {at})"), "{written}");
    }
}

#[test]
fn what_html_has_no_use_for_is_refused_with_what_to_write_instead() {
    for (written, says) in [
        ("//a[@href = $url]", "there are no variables; write the value itself (at character 13)"),
        ("//svg:rect", "the prefix `svg:` is not known; HTML has no namespaces"),
        ("//svg:*", "the prefix `svg:` is not known"),
        ("//a[re:test(@href, 'x')]", "there are no functions with a prefix such as `re:`; a field's `pattern`"),
        ("//a/namespace::*", "the axis `namespace` is not supported; HTML has no namespaces (at character 5)"),
        ("//a/childe::b", "there is no axis `childe`; such as child"),
        ("//a[matches(., 'x')]", "there is no function `matches()` in XPath 1.0 (at character 5)"),
        ("//a[has-class('x')]", "write contains(concat(' ', normalize-space(@class), ' '), ' name ')"),
        ("//a/string()", STEP),
    ] {
        assert!(refusal(written).contains(says), "{written}: {}", refusal(written));
    }
}

#[test]
fn functions_are_held_to_what_they_take() {
    for (written, says) in [
        ("count()", "count() takes one argument, not 0 (at character 1)"),
        ("//a[count(b, c)]", "count() takes one argument, not 2 (at character 5)"),
        ("position(1)", "position() takes no arguments, not 1 (at character 1)"),
        ("concat('a')", "concat() takes two or more arguments, not 1 (at character 1)"),
        ("substring('a')", "substring() takes two or three arguments, not 1 (at character 1)"),
        ("string('a', 'b')", "string() takes one argument or none, not 2 (at character 1)"),
        ("count('a')", "count() needs a set of nodes, and this is a text (at character 7)"),
        ("sum(1 + 1)", "sum() needs a set of nodes, and this is a number (at character 5)"),
        ("name(true())", "name() needs a set of nodes, and this is a boolean (at character 6)"),
        ("'a'[1]", "a predicate needs a set of nodes, and this is a text (at character 1)"),
        ("(1)/a", "a path needs a set of nodes, and this is a number (at character 1)"),
        ("//a | 'b'", "`|` needs a set of nodes, and this is a text (at character 7)"),
        ("1 | //a", "`|` needs a set of nodes, and this is a number (at character 1)"),
    ] {
        assert_eq!(refusal(written), says, "{written}");
    }
}

#[test]
fn length_and_nesting_are_bounded() {
    let long = format!("'{}'", "ä".repeat(1_022));
    assert_eq!(value(PAGE, &long).chars().count(), 1_022);
    assert_eq!(refusal(&format!("{long} ")), "it has more than 1024 characters (at character 1025)");

    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(value(PAGE, &nested(32)), "1");
    assert_eq!(refusal(&nested(33)), "it is nested more than 32 deep (at character 34)");
    let calls = |depth: usize| format!("{}1{}", "not(".repeat(depth), ")".repeat(depth));
    assert_eq!(value(PAGE, &calls(32)), "true");
    assert!(refusal(&calls(33)).starts_with("it is nested more than 32 deep"));
    let predicates = |depth: usize| format!("count(//li{}{})", "[self::*".repeat(depth), "]".repeat(depth));
    assert_eq!(value(PAGE, &predicates(31)), "3");
    assert!(refusal(&predicates(32)).starts_with("it is nested more than 32 deep"));
    let comparisons = |count: usize| format!("1{}", "=1".repeat(count));
    assert_eq!(value(PAGE, &comparisons(32)), "true");
    assert!(refusal(&comparisons(33)).starts_with("it is nested more than 32 deep"));

    // What repeats without nesting is bounded by the length alone.
    assert_eq!(value(PAGE, &format!("1{}", "+1".repeat(500))), "501");
    assert_eq!(value(PAGE, &format!("{}1", "-".repeat(1_000))), "1");
    assert_eq!(value(PAGE, &format!("1{}", " or 1".repeat(200))), "true");
    assert_eq!(value(PAGE, &format!("count(.{})", "/.".repeat(500))), "1");
    assert_eq!(value(PAGE, &format!("count(.{})", "|.".repeat(500))), "1");
    assert_eq!(value(PAGE, &format!("count(//li{})", "[1]".repeat(300))), "1");
}
