//! XPath 1.0 (W3C Recommendation of 16 November 1999) on a parsed page.
//!
//! An expression is read once for a job: `token` and `parse` make of it what `ast` describes, in which every conversion between types is written out.
//! `index` numbers the nodes of a page in document order, once for a page and only if a rule asks; `walk` goes along an axis and `evaluate` does the
//! rest, on the meter of the page. All of the recommendation is there but what HTML has no use for: variables, namespaces and their prefixes.

mod ast;
mod convert;
mod error;
mod evaluate;
mod function;
mod index;
mod number;
mod parse;
mod token;
mod walk;

use scraper::{ElementRef, Node};
use serde_json::{Number, Value};

use super::ExtractError;
use super::budget::Meter;
use super::document::Document;
use ast::Expr;
use error::XPathError;
use evaluate::{Context, Evaluator};
pub(super) use index::Index;
use index::{Place, View};

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct XPath(Expr);

/// What an expression can find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Yields {
    /// Nodes, and elements can be among them.
    Elements,
    /// Nodes that are no elements, such as attributes.
    OtherNodes,
    /// A value of this type: text, number or boolean.
    Value(&'static str),
}

/// How many of the nodes that an expression finds are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    First,
    All,
}

/// What an expression found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found<'a> {
    /// Nodes in document order, each once.
    Nodes(Vec<Spot<'a>>),
    /// A text, number or boolean; a number that JSON does not have is a text.
    Value(Value),
}

/// A node that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot<'a> {
    /// An element; the document as a whole is its root element.
    Element(ElementRef<'a>),
    /// An attribute, a text or a comment inside an element.
    Text { text: &'a str, owner: Option<ElementRef<'a>> },
}

impl XPath {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`XPathError`] with the character at which it is no XPath 1.0.
    pub(crate) fn parse(written: &str) -> Result<Self, XPathError> {
        parse::expression(written).map(Self)
    }

    /// What it can find on any page.
    pub(crate) fn yields(&self) -> Yields {
        match &self.0 {
            Expr::Nodes(nodes) if nodes.may_be_elements() => Yields::Elements,
            Expr::Nodes(_) => Yields::OtherNodes,
            value => Yields::Value(value.type_name()),
        }
    }

    /// What it finds on a page, looked at from `context`.
    pub(super) fn find<'a>(
        &'a self,
        wanted: Wanted,
        document: &'a Document,
        context: ElementRef<'a>,
        meter: &mut Meter,
    ) -> Result<Found<'a>, ExtractError> {
        let view = View::new(&document.html.tree, document.index(meter)?);
        let context = Context::alone(view.place(context.id()));
        let mut evaluator = Evaluator::new(view, meter);
        Ok(match &self.0 {
            Expr::Nodes(nodes) => {
                let places: Vec<_> = match wanted {
                    Wanted::First => evaluator.first(nodes, context)?.into_iter().collect(),
                    Wanted::All => evaluator.nodes(nodes, context)?,
                };
                Found::Nodes(places.into_iter().filter_map(|place| spot(view, place)).collect())
            }
            Expr::Bool(value) => Found::Value(evaluator.bool(value, context)?.into()),
            Expr::Number(number) => Found::Value(json_number(evaluator.number(number, context)?)),
            Expr::Text(text) => Found::Value(evaluator.text(text, context)?.into_owned().into()),
        })
    }
}

fn spot<'a>(view: View<'a>, place: Place) -> Option<Spot<'a>> {
    let owner = view.element_ref(place);
    if let Some((_, text)) = view.attribute(place) {
        return Some(Spot::Text { text, owner });
    }
    match view.value(place.node) {
        Node::Text(text) => Some(Spot::Text { text, owner }),
        Node::Comment(text) => Some(Spot::Text { text, owner }),
        Node::ProcessingInstruction(text) => Some(Spot::Text { text, owner }),
        Node::Document => view.root_element().map(Spot::Element),
        Node::Element(_) => owner.map(Spot::Element),
        Node::Fragment | Node::Doctype(_) => None,
    }
}

/// Whole numbers as such, as XPath writes them.
fn json_number(number: f64) -> Value {
    // Every whole number up to here is a f64 of its own.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        return (number as i64).into();
    }
    Number::from_f64(number).map_or_else(|| number::written(number).into(), Value::Number)
}
