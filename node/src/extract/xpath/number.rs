//! Numbers as texts and back (XPath 1.0, sections 4.2 and 4.4).

use super::token::is_space;

/// The number that a text is: digits with at most one dot, a minus sign before and white space around; NaN for anything else.
pub(super) fn parsed(text: &str) -> f64 {
    let text = text.trim_matches(is_space);
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return f64::NAN;
    }
    text.parse().unwrap_or(f64::NAN)
}

/// A number as a text: never with an exponent, and without a point if it is whole.
pub(super) fn written(number: f64) -> String {
    if number == 0.0 {
        // Also minus zero.
        return "0".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    number.to_string()
}

/// The nearest whole number; of two the one nearer to positive infinity, and minus zero for what is rounded to zero from below.
pub(super) fn rounded(number: f64) -> f64 {
    let below = number.floor();
    let rounded = if number - below >= 0.5 { below + 1.0 } else { below };
    // An addition cannot give minus zero.
    if rounded == 0.0 && number.is_sign_negative() { -0.0 } else { rounded }
}
