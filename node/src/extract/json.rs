//! JSON that strangers wrote: read within bounds, and searched with JSONPath (RFC 9535).
//!
//! A value takes many times the memory of its text, so nodes are counted while they are read. A path could visit a value more often than it has nodes:
//! twice descending, unions and queries of the whole document inside a filter multiply. Such paths are refused when the job is checked, so that a query
//! costs no more than the nodes times their depth.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use super::ExtractError;
use super::budget::Meter;

/// Most values in one document, about 100 bytes each.
const MAX_VALUES: usize = 200_000;

/// Longest path, bytes.
const MAX_PATH_BYTES: usize = 1024;

/// Deepest nesting of brackets and parentheses in a path; the parser tries alternatives at each.
const MAX_PATH_DEPTH: usize = 4;

/// Parses `text`; the inner error says why it is not JSON.
pub(super) fn parse(text: &str, meter: &Meter) -> Result<Result<Value, String>, ExtractError> {
    let reading = Reading { meter, values: Cell::new(0), over: RefCell::new(None) };
    let mut source = serde_json::Deserializer::from_str(text);
    let value = reading.deserialize(&mut source).and_then(|value| source.end().map(|()| value));
    match reading.over.into_inner() {
        Some(error) => Err(error),
        None => Ok(value.map_err(|error| error.to_string())),
    }
}

/// Counts what is read.
struct Reading<'m> {
    meter: &'m Meter,
    values: Cell<usize>,
    over: RefCell<Option<ExtractError>>,
}

impl Reading<'_> {
    fn count(&self) -> Result<(), ExtractError> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MAX_VALUES {
            return Err(ExtractError::TooManyNodes { limit: MAX_VALUES });
        }
        if self.values.get().is_multiple_of(64) { self.meter.check() } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for &Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if let Err(error) = self.count() {
            let message = error.to_string();
            self.over.replace(Some(error));
            return Err(D::Error::custom(message));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = sequence.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(map))
    }
}

/// Parses a path; the message says what is wrong with it.
pub(crate) fn parse_path(text: &str) -> Result<JsonPath, String> {
    if text.len() > MAX_PATH_BYTES {
        return Err(format!("it has {} bytes; {MAX_PATH_BYTES} are allowed", text.len()));
    }
    Shape::of(text).check()?;
    JsonPath::parse(text).map_err(|error| format!("{} at character {}", error.message(), error.position() + 1))
}

/// What decides the cost of a path, counted outside of quotes.
#[derive(Default)]
struct Shape {
    roots: usize,
    descents: usize,
    deepest: usize,
    has_union: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let mut shape = Self::default();
        let (mut quote, mut open, mut before) = (None, Vec::new(), ' ');
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            match (quote, letter) {
                (Some(_), '\\') => {
                    letters.next();
                }
                (Some(mark), _) if letter == mark => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(letter),
                (None, '$') => shape.roots += 1,
                (None, '.') if before == '.' => shape.descents += 1,
                (None, '[' | '(') => {
                    open.push(letter);
                    shape.deepest = shape.deepest.max(open.len());
                }
                (None, ']' | ')') => {
                    open.pop();
                }
                (None, ',') => shape.has_union |= open.last() == Some(&'['),
                (None, _) => {}
            }
            before = if quote.is_some() { ' ' } else { letter };
        }
        shape
    }

    fn check(&self) -> Result<(), String> {
        if self.deepest > MAX_PATH_DEPTH {
            Err(format!("brackets are nested more than {MAX_PATH_DEPTH} deep"))
        } else if self.descents > 1 {
            Err("`..` may stand in it once only; the time for more would multiply".to_owned())
        } else if self.roots > 1 {
            Err("`$` may only stand at its beginning; the time for more would multiply".to_owned())
        } else if self.has_union {
            Err("a list such as `[0,1]` or `['a','b']` is not allowed; write two fields".to_owned())
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::budget::CpuBudget;
    use super::*;

    #[test]
    fn json_is_read_as_it_is_written() {
        let meter = Meter::start(CpuBudget::default());
        let text = r#" {"b":[1,-2,3.5,true,null,"\u00e9"],"a":{}} "#;
        let value = parse(text, &meter).unwrap().unwrap();
        assert_eq!(value.to_string(), r#"{"b":[1,-2,3.5,true,null,"é"],"a":{}}"#);
        for text in ["", "{", "[1] x", "{a:1}", "\u{feff}1", &"[".repeat(200)] {
            assert!(parse(text, &meter).unwrap().is_err(), "{text}");
        }
    }

    #[test]
    fn a_document_of_more_values_than_the_bound_is_refused() {
        let meter = Meter::start(CpuBudget(std::time::Duration::from_secs(20)));
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
        assert!(parse(&list(MAX_VALUES), &meter).unwrap().is_ok());
        assert_eq!(parse(&list(MAX_VALUES + 1), &meter), Err(ExtractError::TooManyNodes { limit: MAX_VALUES }));
    }

    #[test]
    fn paths_select_what_rfc_9535_says() {
        let store = json!({"book": [{"title": "a", "price": 8}, {"title": "b.", "price": 12}], "x y": 1});
        for (path, expected) in [
            ("$", json!([store])),
            ("$.book[*].title", json!(["a", "b."])),
            ("$.book[-1:].title", json!(["b."])),
            ("$..price", json!([8, 12])),
            ("$.book[?@.price > 10].title", json!(["b."])),
            ("$.book[?@.title == 'b.' && @.price].price", json!([12])),
            ("$['x y']", json!([1])),
            ("$.none", json!([])),
        ] {
            let found = parse_path(path).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(json!(found.query(&store).all()), expected, "{path}");
        }
    }

    #[test]
    fn paths_whose_cost_multiplies_are_refused() {
        for (path, word) in [
            ("$..a..b", "`..`"),
            ("$[?@..a]..b", "`..`"),
            ("$[?$.a]", "`$`"),
            ("$['a','b']", "list"),
            ("$[0,0]", "list"),
            ("$[?((((@.a))))]", "deep"),
            ("title", "character"),
            ("$.", "character"),
            ("", "character"),
        ] {
            let error = parse_path(path).expect_err(path);
            assert!(error.contains(word), "{path}: {error}");
        }
        assert!(parse_path(&format!("$.{}", "a".repeat(2000))).is_err());
        assert!(parse_path("$['..$,(((((']").is_ok(), "what stands in quotes does not count");
    }
}
