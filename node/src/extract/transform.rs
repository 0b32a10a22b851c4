//! What is done to a text between the page and the item: patterns, replacements, other case, lists.
//!
//! A regular expression takes time in proportion to its program and to the text, so both have bounds; a replacement may be longer than what it
//! replaces, so the result is measured before it is made.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};
use scrapering_core::job::Transform;
use serde_json::Value;

use super::ExtractError;
use super::budget::Meter;

/// Longest text a regular expression looks at, bytes.
const MAX_SEARCHED_BYTES: usize = 64 * 1024;

/// Largest program a regular expression may compile to, bytes.
const MAX_PROGRAM_BYTES: usize = 256 * 1024;

/// Most parts of a text that is split.
const MAX_PARTS: usize = 10_000;

/// A compiled regular expression of bounded cost.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles it; the message says what is wrong with it.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(pattern).size_limit(MAX_PROGRAM_BYTES).dfa_size_limit(MAX_PROGRAM_BYTES).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("compiles to more than {} KiB; use smaller repetitions", MAX_PROGRAM_BYTES / 1024)
            }
            other => format!(
                "is not a regular expression (look-around and back references do not exist): {}",
                last_line(&other)
            ),
        })
    }

    /// What the first group matched, or all of the match if there is no group.
    fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        let captures = self.0.captures(searched(text))?;
        let group = usize::from(captures.len() > 1);
        captures.get(group).map(|found| found.as_str())
    }

    /// `text` with every match replaced; the part that is not searched is left as it is.
    fn replace(&self, text: &str, with: &str) -> Result<String, ExtractError> {
        let mut replaced = String::new();
        let mut copied = 0;
        for captures in self.0.captures_iter(searched(text)) {
            replaced.push_str(&text[copied..whole(&captures).start()]);
            captures.expand(with, &mut replaced);
            copied = whole(&captures).end();
            bound(replaced.len())?;
        }
        replaced.push_str(&text[copied..]);
        Ok(replaced)
    }
}

fn whole<'t>(captures: &Captures<'t>) -> regex::Match<'t> {
    captures.get(0).expect("group 0 is the match itself")
}

fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn searched(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SEARCHED_BYTES)]
}

fn bound(bytes: usize) -> Result<(), ExtractError> {
    let limit_bytes = super::budget::MAX_OUTPUT_BYTES;
    if bytes > limit_bytes { Err(ExtractError::TooMuchOutput { limit_bytes }) } else { Ok(()) }
}

/// Pattern and transforms of one field.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    pub(super) pattern: Option<Pattern>,
    /// Done to each text before it is converted.
    before: Vec<TextStep>,
    /// Done to the value as a whole: from the first step that makes or takes a list.
    after: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Text(TextStep),
    Split(String),
    Join(String),
    Unique,
}

#[derive(Clone, Debug)]
enum TextStep {
    Trim,
    Collapse,
    Lower,
    Upper,
    Replace(String, String),
    Regex(Pattern, String),
    Prefix(String),
    Suffix(String),
}

impl Steps {
    /// Compiles; the error is the place of the transform (none for the pattern) and what is wrong there.
    pub(super) fn compile(pattern: Option<&str>, transforms: &[Transform]) -> Result<Self, (Option<usize>, String)> {
        let mut steps = Self {
            pattern: pattern.map(Pattern::compile).transpose().map_err(|message| (None, message))?,
            ..Self::default()
        };
        for (index, transform) in transforms.iter().enumerate() {
            match step(transform).map_err(|message| (Some(index), message))? {
                Step::Text(text) if steps.after.is_empty() => steps.before.push(text),
                other => steps.after.push(other),
            }
        }
        Ok(steps)
    }

    /// The text after the pattern, which must match, and the steps before conversion.
    pub(super) fn text<'t>(&self, text: &'t str, meter: &Meter) -> Result<Option<Cow<'t, str>>, ExtractError> {
        let found = match &self.pattern {
            None => Some(text),
            Some(pattern) => pattern.find(text),
        };
        let Some(found) = found else { return Ok(None) };
        let mut text = Cow::Borrowed(found);
        for step in &self.before {
            text = Cow::Owned(step.apply(&text)?);
            meter.check()?;
        }
        Ok(Some(text))
    }

    /// The value after the steps on lists.
    pub(super) fn value(&self, value: Value, meter: &mut Meter) -> Result<Value, ExtractError> {
        let mut value = value;
        for step in &self.after {
            value = step.apply(value)?;
            meter.charge(size(&value))?;
        }
        Ok(value)
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(|value| 32 + size(value)).sum(),
        _ => 0,
    }
}

fn step(transform: &Transform) -> Result<Step, String> {
    Ok(Step::Text(match transform {
        Transform::Trim => TextStep::Trim,
        Transform::Collapse => TextStep::Collapse,
        Transform::Lower => TextStep::Lower,
        Transform::Upper => TextStep::Upper,
        Transform::Replace { find, with } => TextStep::Replace(find.clone(), with.clone()),
        Transform::Regex { find, with } => TextStep::Regex(Pattern::compile(find)?, with.clone()),
        Transform::Prefix(text) => TextStep::Prefix(text.clone()),
        Transform::Suffix(text) => TextStep::Suffix(text.clone()),
        Transform::Split(separator) => return Ok(Step::Split(separator.clone())),
        Transform::Join(separator) => return Ok(Step::Join(separator.clone())),
        Transform::Unique => return Ok(Step::Unique),
    }))
}

impl Step {
    fn apply(&self, value: Value) -> Result<Value, ExtractError> {
        Ok(match (self, value) {
            (Self::Text(step), Value::String(text)) => Value::String(step.apply(&text)?),
            (Self::Split(separator), Value::String(text)) if !separator.is_empty() => {
                text.split(separator.as_str()).take(MAX_PARTS).map(Value::from).collect()
            }
            (Self::Text(_) | Self::Split(_), Value::Array(list)) => {
                list.into_iter().map(|value| self.apply(value)).collect::<Result<_, _>>()?
            }
            (Self::Join(separator), Value::Array(list)) => Value::String(join(&list, separator)?),
            (Self::Unique, Value::Array(list)) => {
                let mut seen = std::collections::HashSet::new();
                list.into_iter().filter(|value| seen.insert(value.to_string())).collect()
            }
            (_, other) => other,
        })
    }
}

fn join(list: &[Value], separator: &str) -> Result<String, ExtractError> {
    let mut joined = String::new();
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        match value {
            Value::String(text) => joined.push_str(text),
            other => joined.push_str(&other.to_string()),
        }
        bound(joined.len())?;
    }
    Ok(joined)
}

impl TextStep {
    fn apply(&self, text: &str) -> Result<String, ExtractError> {
        Ok(match self {
            Self::Trim => text.trim().to_owned(),
            Self::Collapse => super::text::collapse(text),
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
            Self::Replace(find, with) => {
                bound(text.len() + text.matches(find.as_str()).count().saturating_mul(with.len()))?;
                text.replace(find.as_str(), with)
            }
            Self::Regex(pattern, with) => pattern.replace(text, with)?,
            Self::Prefix(prefix) => format!("{prefix}{text}"),
            Self::Suffix(suffix) => format!("{text}{suffix}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::budget::CpuBudget;
    use super::*;

    fn run(pattern: Option<&str>, transforms: &[Transform], text: &str) -> Result<Value, ExtractError> {
        let mut meter = Meter::start(CpuBudget(std::time::Duration::from_secs(20)));
        let steps = Steps::compile(pattern, transforms).expect("steps that compile");
        match steps.text(text, &meter)? {
            Some(text) => steps.value(text.into(), &mut meter),
            None => Ok(Value::Null),
        }
    }

    fn own(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn steps_are_done_one_after_the_other() {
        for (pattern, transforms, text, expected) in [
            (None, vec![], " a ", json!(" a ")),
            (Some(r"(\d+) pages"), vec![], "has 12 pages", json!("12")),
            (Some(r"\d+"), vec![], "has 12 pages", json!("12")),
            (Some(r"x(y)?"), vec![], "x", Value::Null),
            (Some(r"\d+"), vec![], "none", Value::Null),
            (None, vec![Transform::Trim, Transform::Upper], " ä ", json!("Ä")),
            (None, vec![Transform::Collapse, Transform::Lower], " A\n B ", json!("a b")),
            (None, vec![Transform::Replace { find: own("."), with: own("") }], "1.2.3", json!("123")),
            (
                None,
                vec![Transform::Regex { find: own(r"(\w+), (\w+)"), with: own("$2 $1") }],
                "Doe, Jo",
                json!("Jo Doe"),
            ),
            (None, vec![Transform::Prefix(own("<")), Transform::Suffix(own(">"))], "a", json!("<a>")),
            (None, vec![Transform::Split(own(",")), Transform::Trim, Transform::Unique], "a, b,a", json!(["a", "b"])),
            (None, vec![Transform::Split(own(" ")), Transform::Join(own("-"))], "a b", json!("a-b")),
            (None, vec![Transform::Split(own(" ")), Transform::Join(own(" ")), Transform::Upper], "a b", json!("A B")),
        ] {
            assert_eq!(run(pattern, &transforms, text), Ok(expected), "{pattern:?} {transforms:?} {text}");
        }
    }

    #[test]
    fn a_text_cannot_be_blown_up() {
        let longer = |find: &str| Transform::Replace { find: own(find), with: "x".repeat(1000) };
        let text = "x".repeat(1_000_000);
        assert!(matches!(run(None, &[longer("x")], &text), Err(ExtractError::TooMuchOutput { .. })));
        let longer = Transform::Regex { find: own("x"), with: "x".repeat(1000) };
        assert!(matches!(run(None, &[longer], &text), Err(ExtractError::TooMuchOutput { .. })));
    }

    #[test]
    fn patterns_that_cost_too_much_are_refused() {
        for pattern in [r"(?:\w{1,50}){1,50}", "(", r"(?=a)", r"\1"] {
            let (place, message) = Steps::compile(Some(pattern), &[]).expect_err(pattern);
            assert_eq!(place, None);
            assert!(!message.is_empty());
        }
        let bad = [Transform::Trim, Transform::Regex { find: own("["), with: own("") }];
        assert_eq!(Steps::compile(None, &bad).expect_err("no pattern").0, Some(1));
    }
}
