//! A place on a page: an element, or a value of JSON; and the places that a selector finds below it.

use ego_tree::NodeRef;
use scraper::{ElementRef, Node};
use serde_json::Value;

use super::ExtractError;
use super::budget::Meter;
use super::compile::Query;
use super::document::Document;
use super::selector::{Css, Matcher};

/// Where selectors look.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Below `node`. For the page as a whole that is the document, so that `html` itself can be selected.
    Element { node: NodeRef<'a, Node>, element: ElementRef<'a> },
    /// In a value.
    Json(&'a Value),
}

impl<'a> Scope<'a> {
    /// All of a page.
    pub(super) fn page(document: &'a Document) -> Self {
        Self::Element { node: document.html.tree.root(), element: document.root_element() }
    }

    fn of(element: ElementRef<'a>) -> Self {
        Self::Element { node: *element, element }
    }

    /// Every place that `query` finds, in document order.
    pub(super) fn select_all(self, query: &Query, meter: &mut Meter) -> Result<Vec<Self>, ExtractError> {
        match (self, query) {
            (Self::Element { node, element }, Query::Css(css)) => {
                let mut found = Vec::new();
                walk(node, element, css, meter, |element| {
                    found.push(Self::of(element));
                    true
                })?;
                Ok(found)
            }
            (Self::Json(value), Query::Json(path)) => {
                let found = path.query(value).all().into_iter().map(Self::Json).collect();
                meter.check()?;
                Ok(found)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The first place that `query` finds.
    pub(super) fn select_first(self, query: &Query, meter: &mut Meter) -> Result<Option<Self>, ExtractError> {
        match (self, query) {
            (Self::Element { node, element }, Query::Css(css)) => {
                let mut first = None;
                walk(node, element, css, meter, |element| {
                    first = Some(Self::of(element));
                    false
                })?;
                Ok(first)
            }
            (Self::Json(_), Query::Json(_)) => Ok(self.select_all(query, meter)?.into_iter().next()),
            _ => Ok(None),
        }
    }

    /// One place where there may be several: the first of a JSON list.
    pub(super) fn single(self) -> Self {
        match self {
            Self::Json(Value::Array(list)) if !list.is_empty() => Self::Json(&list[0]),
            other => other,
        }
    }

    /// The places that a list is made of: the elements of a JSON list, or the place itself.
    pub(super) fn elements(self) -> Vec<Self> {
        match self {
            Self::Json(Value::Array(list)) => list.iter().map(Self::Json).collect(),
            other => vec![other],
        }
    }
}

/// Shows `each` the elements below `node` that match, until it says to stop.
fn walk<'a>(
    node: NodeRef<'a, Node>,
    scope: ElementRef<'a>,
    css: &Css,
    meter: &mut Meter,
    mut each: impl FnMut(ElementRef<'a>) -> bool,
) -> Result<(), ExtractError> {
    let mut matcher = Matcher::new(css);
    for element in node.descendants().skip(1).filter_map(ElementRef::wrap) {
        meter.step()?;
        if matcher.matches(element, Some(scope), meter) && !each(element) {
            break;
        }
    }
    // A match that was cut short by the clock says nothing.
    meter.check()
}
