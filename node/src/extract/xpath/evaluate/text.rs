//! Texts: the string values of nodes (XPath 1.0, section 5) and the functions on texts (section 4.2).

use std::borrow::Cow;
use std::collections::HashMap;

use html5ever::{QualName, local_name, ns};
use scraper::Node;

use super::super::super::ExtractError;
use super::super::super::budget::MAX_OUTPUT_BYTES;
use super::super::ast::{Number, Text};
use super::super::index::Place;
use super::super::number;
use super::super::token::is_space;
use super::{Context, Evaluator};

/// Texts from this size on cost a look at the clock each.
const LONG_TEXT_BYTES: usize = 4 * 1024;

impl<'x> Evaluator<'x, '_> {
    pub(in super::super) fn text(&mut self, text: &'x Text, context: Context) -> Result<Cow<'x, str>, ExtractError> {
        self.meter.step()?;
        match text {
            Text::Constant(text) => Ok(text.into()),
            Text::OfNodes(nodes) => match self.first(nodes, context)? {
                Some(place) => self.string_value(place),
                None => Ok("".into()),
            },
            Text::OfNumber(number) => Ok(number::written(self.number(number, context)?).into()),
            Text::OfBool(value) => Ok(if self.bool(value, context)? { "true" } else { "false" }.into()),
            Text::Concat(parts) => self.concat(parts, context),
            Text::Before(sides) => {
                let (text, mark) = self.texts(sides, context)?;
                Ok(text.find(&*mark).map_or("".into(), |at| cut(text, 0, at)))
            }
            Text::After(sides) => {
                let (text, mark) = self.texts(sides, context)?;
                Ok(text.find(&*mark).map_or("".into(), |at| {
                    let end = text.len();
                    cut(text, at + mark.len(), end)
                }))
            }
            Text::Part { text, start, length } => self.part(text, start, length.as_deref(), context),
            Text::Normalized(text) => {
                let text = self.text(text, context)?;
                self.normalized(&text)
            }
            Text::Translated(sides) => {
                let text = self.text(&sides.0, context)?;
                let (from, to) = self.holding(text.len(), |this| {
                    let from = this.text(&sides.1, context)?;
                    let to = this.holding(from.len(), |this| this.text(&sides.2, context))?;
                    Ok((from, to))
                })?;
                self.translated(&text, &from, &to)
            }
            Text::Name(nodes) => {
                let place = self.first(nodes, context)?;
                Ok(place.map_or("".into(), |place| self.name(place)))
            }
        }
    }

    /// Both texts, of which the first is held while the second is made.
    pub(super) fn texts(
        &mut self,
        (first, second): &'x (Text, Text),
        context: Context,
    ) -> Result<(Cow<'x, str>, Cow<'x, str>), ExtractError> {
        let first = self.text(first, context)?;
        let second = self.holding(first.len(), |this| this.text(second, context))?;
        self.weigh(first.len())?;
        Ok((first, second))
    }

    fn concat(&mut self, parts: &'x [Text], context: Context) -> Result<Cow<'x, str>, ExtractError> {
        let mut whole = String::new();
        for part in parts {
            let part = self.holding(whole.len(), |this| this.text(part, context))?;
            self.room(whole.len() + part.len())?;
            self.weigh(part.len())?;
            whole.push_str(&part);
        }
        Ok(whole.into())
    }

    /// `substring()`: the characters whose position is at least the rounded start and less than that and the rounded length together.
    fn part(
        &mut self,
        text: &'x Text,
        start: &'x Number,
        length: Option<&'x Number>,
        context: Context,
    ) -> Result<Cow<'x, str>, ExtractError> {
        let text = self.text(text, context)?;
        let (from, until) = self.holding(text.len(), |this| {
            let from = number::rounded(this.number(start, context)?);
            Ok(match length {
                None => (from, f64::INFINITY),
                Some(length) => (from, from + number::rounded(this.number(length, context)?)),
            })
        })?;
        let (mut begin, mut end) = (None, 0);
        for ((at, character), position) in text.char_indices().zip(1_u32..) {
            self.read_on(position)?;
            if f64::from(position) >= from && f64::from(position) < until {
                begin = begin.or(Some(at));
                end = at + character.len_utf8();
            }
        }
        Ok(begin.map_or("".into(), |begin| cut(text, begin, end)))
    }

    /// One space for each run of white space, and none at the ends.
    fn normalized(&mut self, text: &str) -> Result<Cow<'x, str>, ExtractError> {
        let mut whole = String::new();
        for word in text.split(is_space).filter(|word| !word.is_empty()) {
            self.weigh(word.len())?;
            if !whole.is_empty() {
                whole.push(' ');
            }
            whole.push_str(word);
        }
        Ok(whole.into())
    }

    /// Each character of `from` becomes the one at the same place in `to`, or nothing.
    fn translated(&mut self, text: &str, from: &str, to: &str) -> Result<Cow<'x, str>, ExtractError> {
        let mut table = HashMap::new();
        let mut to = to.chars();
        for (character, position) in from.chars().zip(1_u32..) {
            self.read_on(position)?;
            let replacement = to.next();
            table.entry(character).or_insert(replacement);
        }
        let mut whole = String::new();
        for (character, position) in text.chars().zip(1_u32..) {
            self.read_on(position)?;
            whole.extend(table.get(&character).copied().unwrap_or(Some(character)));
        }
        Ok(whole.into())
    }

    /// The string value of a node.
    pub(super) fn string_value(&mut self, place: Place) -> Result<Cow<'x, str>, ExtractError> {
        self.meter.step()?;
        let view = self.view;
        if let Some((_, value)) = view.attribute(place) {
            return Ok(value.into());
        }
        match view.value(place.node) {
            Node::Text(text) => return Ok(Cow::Borrowed(text)),
            Node::Comment(comment) => return Ok(Cow::Borrowed(comment)),
            Node::ProcessingInstruction(instruction) => return Ok(Cow::Borrowed(instruction)),
            Node::Document | Node::Element(_) | Node::Fragment | Node::Doctype(_) => {}
        }
        let mut whole = Cow::Borrowed("");
        for number in place.node + 1..view.end(place.node) {
            self.meter.step()?;
            let Node::Text(text) = view.value(number) else { continue };
            self.room(whole.len() + text.len())?;
            self.weigh(text.len())?;
            if whole.is_empty() {
                whole = Cow::Borrowed(text);
            } else {
                whole.to_mut().push_str(text);
            }
        }
        Ok(whole)
    }

    /// What `name()` calls a node.
    fn name(&self, place: Place) -> Cow<'x, str> {
        if let Some((name, _)) = self.view.attribute(place) {
            return whole_name(name);
        }
        match self.view.value(place.node) {
            Node::Element(element) => whole_name(&element.name),
            Node::ProcessingInstruction(instruction) => Cow::Borrowed(&*instruction.target),
            _ => "".into(),
        }
    }

    /// The language at a node: the nearest `xml:lang`, or the nearest `lang`, as HTML writes it.
    pub(super) fn language(&mut self, place: Place) -> Result<Option<&'x str>, ExtractError> {
        let mut next = Some(place.node);
        while let Some(number) = next {
            self.meter.step()?;
            if let Some(element) = self.view.element(number) {
                let of_xml = |name: &QualName| name.ns == ns!(xml) && name.local == local_name!("lang");
                let named = element.attrs.iter().find(|(name, _)| of_xml(name)).map(|(_, value)| &**value);
                if let Some(language) = named.or_else(|| element.attr("lang")) {
                    return Ok(Some(language));
                }
            }
            next = self.view.parent(number);
        }
        Ok(None)
    }

    /// Runs `inner` while `bytes` of text wait for it.
    pub(super) fn holding<T>(
        &mut self,
        bytes: usize,
        inner: impl FnOnce(&mut Self) -> Result<T, ExtractError>,
    ) -> Result<T, ExtractError> {
        self.held_bytes += bytes;
        let result = inner(self);
        self.held_bytes -= bytes;
        result
    }

    /// Fails if a text of this size is too much beside those that are held.
    pub(super) fn room(&self, bytes: usize) -> Result<(), ExtractError> {
        if self.held_bytes + bytes > MAX_OUTPUT_BYTES {
            return Err(ExtractError::TooMuchOutput { limit_bytes: MAX_OUTPUT_BYTES });
        }
        Ok(())
    }

    /// Looks at the clock once in a while, where a text is read character by character.
    fn read_on(&mut self, position: u32) -> Result<(), ExtractError> {
        if position.is_multiple_of(256) { self.meter.step() } else { Ok(()) }
    }

    /// Counts reading a text of this size.
    pub(super) fn weigh(&mut self, bytes: usize) -> Result<(), ExtractError> {
        if bytes < LONG_TEXT_BYTES { self.meter.step() } else { self.meter.check() }
    }
}

fn whole_name(name: &QualName) -> Cow<'_, str> {
    match &name.prefix {
        Some(prefix) => format!("{prefix}:{}", name.local).to_ascii_lowercase().into(),
        None if name.ns == ns!(html) || !name.local.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Cow::Borrowed(&*name.local)
        }
        None => name.local.to_ascii_lowercase().to_string().into(),
    }
}

/// A piece of a text, without copying what is not ours.
fn cut(text: Cow<'_, str>, begin: usize, end: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[begin..end]),
        Cow::Owned(text) => Cow::Owned(text[begin..end].to_owned()),
    }
}
