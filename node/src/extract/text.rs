//! The text of an element as a reader sees it: without scripts, and with white space where a line ends.

use ego_tree::iter::Edge;
use scraper::{ElementRef, Node};

use super::ExtractError;
use super::budget::Meter;

/// The text below `element` as it stands, with a line feed where a block begins or ends. Scripts, styles and templates inside are left out; of such an
/// element itself the content is read, because a selector asked for it.
pub(super) fn raw(element: ElementRef<'_>, meter: &mut Meter) -> Result<String, ExtractError> {
    let mut text = String::new();
    let mut hidden = 0_usize;
    for edge in element.traverse() {
        meter.step()?;
        let (node, opens) = match edge {
            Edge::Open(node) => (node, true),
            Edge::Close(node) => (node, false),
        };
        match node.value() {
            Node::Text(piece) if opens && hidden == 0 => text.push_str(piece),
            Node::Element(inner) if node.id() != element.id() => {
                if is_hidden(inner.name()) {
                    hidden = if opens { hidden + 1 } else { hidden - 1 };
                } else if breaks_line(inner.name()) {
                    text.push('\n');
                }
            }
            _ => {}
        }
    }
    Ok(text)
}

/// The text of `element` with every run of white space replaced by one space, and none at the ends.
pub(super) fn collapsed(element: ElementRef<'_>, meter: &mut Meter) -> Result<String, ExtractError> {
    Ok(collapse(&raw(element, meter)?))
}

pub(super) fn collapse(text: &str) -> String {
    let mut collapsed = String::new();
    for word in text.split_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    collapsed
}

fn is_hidden(name: &str) -> bool {
    matches!(name, "script" | "style" | "template")
}

/// Elements that begin on a line or in a cell of their own (HTML Standard, section 15.3 "Rendering: flow content").
fn breaks_line(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "br"
            | "caption"
            | "dd"
            | "details"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hr"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "option"
            | "p"
            | "pre"
            | "section"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}
