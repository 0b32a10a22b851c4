//! A place on a page: an element, a text such as that of an attribute, or a value; and the places that a selector finds below it.

use ego_tree::NodeRef;
use scraper::{ElementRef, Node};
use serde_json::Value;

use super::ExtractError;
use super::budget::Meter;
use super::compile::Query;
use super::document::Document;
use super::selector::{Css, Matcher};
use super::xpath::{Found, Spot, Wanted, XPath};

/// Where selectors look.
#[derive(Clone)]
pub(super) enum Scope<'a> {
    /// Below `node`. For the page as a whole that is the document, so that `html` itself can be selected.
    Element { document: &'a Document, node: NodeRef<'a, Node>, element: ElementRef<'a> },
    /// In a value.
    Json(&'a Value),
    /// In a text of the page, where nothing more can be found.
    Text(&'a str),
    /// In what an expression gave, the same.
    Computed(Value),
}

impl<'a> Scope<'a> {
    /// All of a page.
    pub(super) fn page(document: &'a Document) -> Self {
        Self::Element { document, node: document.html.tree.root(), element: document.root_element() }
    }

    fn of(document: &'a Document, element: ElementRef<'a>) -> Self {
        Self::Element { document, node: *element, element }
    }

    /// Every place that `query` finds, in document order.
    pub(super) fn select_all(&self, query: &'a Query, meter: &mut Meter) -> Result<Vec<Self>, ExtractError> {
        match (self, query) {
            (&Self::Element { document, node, element }, Query::Css(css)) => {
                let mut found = Vec::new();
                walk(node, element, css, meter, |element| {
                    found.push(Self::of(document, element));
                    true
                })?;
                Ok(found)
            }
            (&Self::Element { document, element, .. }, Query::XPath(xpath)) => {
                found_by(xpath, Wanted::All, document, element, meter)
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
    pub(super) fn select_first(&self, query: &'a Query, meter: &mut Meter) -> Result<Option<Self>, ExtractError> {
        match (self, query) {
            (&Self::Element { document, node, element }, Query::Css(css)) => {
                let mut first = None;
                walk(node, element, css, meter, |element| {
                    first = Some(Self::of(document, element));
                    false
                })?;
                Ok(first)
            }
            (&Self::Element { document, element, .. }, Query::XPath(xpath)) => {
                Ok(found_by(xpath, Wanted::First, document, element, meter)?.into_iter().next())
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

/// What an expression finds. A text that is empty is nothing: what an expression looked for was not there.
fn found_by<'a>(
    xpath: &'a XPath,
    wanted: Wanted,
    document: &'a Document,
    element: ElementRef<'a>,
    meter: &mut Meter,
) -> Result<Vec<Scope<'a>>, ExtractError> {
    let found = match xpath.find(wanted, document, element, meter)? {
        Found::Nodes(spots) => spots
            .into_iter()
            .map(|spot| match spot {
                Spot::Element(element) => Scope::of(document, element),
                Spot::Text { text, .. } => Scope::Text(text),
            })
            .collect(),
        Found::Value(Value::String(text)) if text.is_empty() => Vec::new(),
        Found::Value(value) => vec![Scope::Computed(value)],
    };
    meter.check()?;
    Ok(found)
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
