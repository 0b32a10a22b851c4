//! The core function library (XPath 1.0, section 4); the examples of the recommendation are among these.

use super::*;

fn assert_all(table: &[(&str, &str)]) {
    for (written, expected) in table {
        assert_eq!(value(PAGE, written), *expected, "{written}");
    }
}

#[test]
fn functions_on_sets_of_nodes_say_what_the_recommendation_says() {
    assert_all(&[
        ("last()", "1"),
        ("position()", "1"),
        ("count(//li)", "3"),
        ("count(//li | //li[1])", "3"),
        ("count(//none)", "0"),
        ("count(id('d'))", "1"),
        ("count(id(' d  g none '))", "2"),
        ("string(id('g h'))", "1"),
        ("string(id(//li[2]/@id))", "2"),
        ("count(id(//li/@id))", "3"),
        ("id('a')/p[2]/@title", "t"),
        ("name(//*[@id='d'])", "p"),
        ("local-name(//li)", "li"),
        ("name(//@title)", "title"),
        ("name(//none)", ""),
        ("name(//comment())", ""),
        ("name(//text())", ""),
        ("name(/)", ""),
        ("name()", "html"),
        ("local-name()", "html"),
        ("namespace-uri(//svg)", ""),
        ("concat(namespace-uri(), '.')", "."),
    ]);
    assert_eq!(ids(PAGE, "//*[name() = 'li'][last()]"), "i");
    assert_eq!(ids(PAGE, "//*[local-name(..) = 'ul' and position() = 2]"), "h");
}

#[test]
fn functions_on_texts_say_what_the_recommendation_says() {
    assert_all(&[
        ("string(//li)", "1"),
        ("string(//p)", "onetwothree"),
        ("string(//none)", ""),
        ("string(//@title)", "t"),
        ("string(//comment())", "note"),
        ("string()", "Thingsonetwothreefour1230"),
        ("string(/) = string()", "true"),
        ("concat('a', 1, true(), //li)", "a1true1"),
        ("starts-with('abc', 'ab')", "true"),
        ("starts-with('abc', '')", "true"),
        ("starts-with('abc', 'bc')", "false"),
        ("contains('abc', 'bc')", "true"),
        ("contains('abc', '')", "true"),
        ("contains('', 'a')", "false"),
        ("substring-before('1999/04/01', '/')", "1999"),
        ("substring-before('abc', 'x')", ""),
        ("substring-before('abc', '')", ""),
        ("substring-after('1999/04/01', '/')", "04/01"),
        ("substring-after('1999/04/01', '19')", "99/04/01"),
        ("substring-after('abc', '')", "abc"),
        ("substring-after('abc', 'x')", ""),
        ("substring('12345', 2, 3)", "234"),
        ("substring('12345', 2)", "2345"),
        ("substring('12345', 1.5, 2.6)", "234"),
        ("substring('12345', 0, 3)", "12"),
        ("substring('12345', 0 div 0, 3)", ""),
        ("substring('12345', 1, 0 div 0)", ""),
        ("substring('12345', -42, 1 div 0)", "12345"),
        ("substring('12345', -1 div 0, 1 div 0)", ""),
        ("substring('12345', -1 div 0)", "12345"),
        ("substring('12345', 4, 9)", "45"),
        ("substring('äöüß', 2, 2)", "öü"),
        ("string-length('äöü')", "3"),
        ("string-length('')", "0"),
        ("string-length(//p)", "11"),
        ("string-length() = string-length(string())", "true"),
        ("normalize-space('  a \t\n b  ')", "a b"),
        ("normalize-space('\u{a0}a')", "\u{a0}a"),
        ("normalize-space() = normalize-space(/)", "true"),
        ("translate('bar', 'abc', 'ABC')", "BAr"),
        ("translate('--aaa--', 'abc-', 'ABC')", "AAA"),
        ("translate('aba', 'aa', 'xy')", "xbx"),
        ("translate('ab', '', 'x')", "ab"),
        ("translate('größe', 'öß', 'os')", "grose"),
    ]);
}

#[test]
fn functions_on_booleans_say_what_the_recommendation_says() {
    assert_all(&[
        ("true()", "true"),
        ("false()", "false"),
        ("not(//li)", "false"),
        ("not(//none)", "true"),
        ("boolean(//li)", "true"),
        ("boolean(0)", "false"),
        ("boolean(-0)", "false"),
        ("boolean(0 div 0)", "false"),
        ("boolean(0.1)", "true"),
        ("boolean('')", "false"),
        ("boolean('false')", "true"),
        ("boolean(true())", "true"),
    ]);
    for (written, expected) in [
        ("//li[lang('de')]", "g h i"),
        ("//li[lang('DE-at')]", "g h i"),
        ("//li[lang('de-AT-x')]", ""),
        ("//li[lang('d')]", ""),
        ("//li[lang('en')]", ""),
        ("//p[lang('en')]", "b d"),
    ] {
        assert_eq!(ids(PAGE, written), expected, "{written}");
    }
    assert_eq!(texts(PAGE, "//@title[lang('en')]"), "t");
}

#[test]
fn functions_on_numbers_say_what_the_recommendation_says() {
    assert_all(&[
        ("number('12')", "12"),
        ("number(' -12.5 ')", "-12.5"),
        ("number('')", "NaN"),
        ("number('1e3')", "NaN"),
        ("number('+1')", "NaN"),
        ("number('.5')", "0.5"),
        ("number('5.')", "5"),
        ("number('.')", "NaN"),
        ("number('-')", "NaN"),
        ("number('1 2')", "NaN"),
        ("number('0x10')", "NaN"),
        ("number(true())", "1"),
        ("number(//li[3])", "30"),
        ("number(//none)", "NaN"),
        ("number()", "NaN"),
        ("sum(//li)", "33"),
        ("sum(//none)", "0"),
        ("sum(//p)", "NaN"),
        ("floor(2.6)", "2"),
        ("floor(-2.5)", "-3"),
        ("ceiling(2.2)", "3"),
        ("ceiling(-2.5)", "-2"),
        ("round(2.5)", "3"),
        ("round(2.4)", "2"),
        ("round(-2.5)", "-2"),
        ("round(-2.6)", "-3"),
        ("round(0.49999999999999994)", "0"),
        ("1 div round(-0.2)", "-Infinity"),
        ("1 div ceiling(-0.2)", "-Infinity"),
        ("round(1 div 0)", "Infinity"),
        ("round(0 div 0)", "NaN"),
    ]);
}
