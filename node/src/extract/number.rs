//! The first number in a text, as people write it.
//!
//! - Digits are ASCII. Groups of exactly three digits after the first may be parted by a comma, a dot, an apostrophe or a no-break or thin space; an ordinary
//!   space parts two numbers.
//! - If commas and dots both occur, the last one is the decimal mark: `1,234.56` and `1.234,56` are 1234.56.
//! - One lone dot is the decimal mark (`1.234`). One lone comma is the decimal mark, unless exactly three digits follow and the number does not begin
//!   with 0: `12,5` is 12.5, `1,234` is 1234, `0,125` is 0.125.
//! - A minus sign (or U+2212) counts if it stands before the digits or before the currency sign in front of them, and no letter or digit stands before
//!   it: `-5`, `-$5`, but 12 in `SKU-12`. Exponents are not read.

use serde_json::{Number, Value};

/// The first number in `text` as a JSON number: an integer if it is written as one and fits 64 bits.
pub(super) fn first(text: &str) -> Option<Value> {
    let at = text.find(|c: char| c.is_ascii_digit())?;
    let (before, digits) = text.split_at(at);
    let (before, plain) = match leading_dot(before) {
        Some(before) => {
            let fraction: String = digits.chars().take_while(char::is_ascii_digit).collect();
            (before, format!("0.{fraction}"))
        }
        None => (before, plain(&Run::of(digits))),
    };
    to_json(&plain, is_negative(before))
}

/// `.5`: a dot directly before the digits with no word before it.
fn leading_dot(before: &str) -> Option<&str> {
    before.strip_suffix('.').filter(|rest| !rest.ends_with(|c: char| c.is_alphanumeric() || c == '.'))
}

fn is_negative(before: &str) -> bool {
    let before = before.trim_end_matches(is_currency);
    before.strip_suffix(['-', '\u{2212}']).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
}

fn is_currency(c: char) -> bool {
    matches!(c, '$' | '¢' | '£' | '¤' | '¥' | '\u{20a0}'..='\u{20cf}')
}

/// Marks that may part digits: decimal marks, and those that only part groups of three.
fn is_decimal_mark(c: char) -> bool {
    matches!(c, '.' | ',')
}

fn is_group_mark(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// Digits and the marks between them: `first`, then each mark with the digits after it.
struct Run<'a> {
    first: &'a str,
    groups: Vec<(char, &'a str)>,
}

/// A number has no more groups than this; what follows is another one.
const MAX_GROUPS: usize = 16;

impl<'a> Run<'a> {
    fn of(text: &'a str) -> Self {
        let (first, mut rest) = split_digits(text);
        let mut groups = Vec::new();
        while groups.len() < MAX_GROUPS {
            let Some(mark) = rest.chars().next() else { break };
            let (digits, after) = split_digits(&rest[mark.len_utf8()..]);
            let parts = (is_decimal_mark(mark) && !digits.is_empty()) || (is_group_mark(mark) && digits.len() == 3);
            if !parts {
                break;
            }
            groups.push((mark, digits));
            rest = after;
        }
        Self { first, groups }
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// The number as digits with at most one dot.
fn plain(run: &Run<'_>) -> String {
    let Some((mark, second)) = run.groups.first().copied() else {
        return run.first.to_owned();
    };
    let thousands = if (1..=3).contains(&run.first.len()) {
        run.groups.iter().take_while(|(other, digits)| *other == mark && digits.len() == 3).count()
    } else {
        0
    };
    let decimals = run.groups.get(thousands).filter(|(other, _)| *other != mark && is_decimal_mark(*other));
    let is_grouped = match thousands {
        0 => false,
        1 if decimals.is_none() => match mark {
            '.' => false,
            ',' => !run.first.starts_with('0'),
            _ => true,
        },
        _ => true,
    };
    if !is_grouped {
        return if is_decimal_mark(mark) { format!("{}.{second}", run.first) } else { run.first.to_owned() };
    }
    let mut plain = run.first.to_owned();
    for (_, digits) in &run.groups[..thousands] {
        plain.push_str(digits);
    }
    if let Some((_, digits)) = decimals {
        plain.push('.');
        plain.push_str(digits);
    }
    plain
}

fn to_json(plain: &str, negative: bool) -> Option<Value> {
    let text = if negative { format!("-{plain}") } else { plain.to_owned() };
    if !plain.contains('.') {
        if let Ok(whole) = text.parse::<i64>() {
            return Some(whole.into());
        }
        if let Ok(whole) = text.parse::<u64>() {
            return Some(whole.into());
        }
    }
    Number::from_f64(text.parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expected) in [
            ("42", json!(42)),
            ("£51.77", json!(51.77)),
            ("In stock (22 available)", json!(22)),
            ("1,234", json!(1234)),
            ("1,234.56", json!(1234.56)),
            ("1.234,56 €", json!(1234.56)),
            ("1.234.567", json!(1_234_567)),
            ("1,234,567.8", json!(1_234_567.8)),
            ("1'234'567.80", json!(1_234_567.8)),
            ("1’234", json!(1234)),
            ("1\u{a0}234,50", json!(1234.5)),
            ("12\u{202f}345", json!(12345)),
            ("3 120", json!(3)),
            ("12,5", json!(12.5)),
            ("12,50 kr", json!(12.5)),
            ("0,125", json!(0.125)),
            ("1.234", json!(1.234)),
            ("1234,567", json!(1234.567)),
            ("1.2.3", json!(1.2)),
            ("2024-01-15", json!(2024)),
            ("192.168.0.1", json!(192.168)),
            ("-5", json!(-5)),
            ("\u{2212}5,5", json!(-5.5)),
            ("-$5.00", json!(-5.0)),
            ("$-5", json!(-5)),
            ("+7", json!(7)),
            ("SKU-12", json!(12)),
            ("10-20", json!(10)),
            ("Price - 5", json!(5)),
            (".5 l", json!(0.5)),
            ("-.5", json!(-0.5)),
            ("No.5", json!(5)),
            ("5.", json!(5)),
            ("5, 6", json!(5)),
            ("007", json!(7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("99999999999999999999", json!(1e20)),
            ("4.5 out of 5", json!(4.5)),
            ("50%", json!(50)),
        ] {
            assert_eq!(first(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_text_without_a_number_has_none() {
        for text in ["", "none", "-", "...", "١٢٣", "½"] {
            assert_eq!(first(text), None, "{text}");
        }
        assert_eq!(first(&"9".repeat(400)), None, "beyond what a number can hold");
    }
}
