//! Selectors and the XPath that may stand in their place: one of the two, parsed here, and of a kind that can be used where it stands.

use scrapering_core::job::{Selector, Source};
use scrapering_crds::job::SELECTOR_LENGTH_MAX;

use super::super::report::{Faults, Place, excerpt};
use super::check_path;
use crate::extract::{Css, XPath, Yields};

/// What an XPath has to find where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::job) enum Needs {
    /// Elements.
    Elements,
    /// Nodes of any kind.
    Nodes,
    /// Nodes or a value.
    Anything,
}

/// Two fields of which one may be written.
#[derive(Clone, Copy, Debug)]
pub(in crate::job) struct Written<'a> {
    /// Their names.
    pub(in crate::job) names: [&'static str; 2],
    /// CSS, or JSONPath where the source is JSON.
    pub(in crate::job) native: Option<&'a str>,
    /// XPath.
    pub(in crate::job) xpath: Option<&'a str>,
}

impl Written<'_> {
    /// The selector, if one is written; faults are added for the fields of `at`.
    pub(in crate::job) fn selector(
        self,
        source: Source,
        needs: Needs,
        at: &Place,
        faults: &mut Faults,
    ) -> Option<Selector> {
        let [native_name, xpath_name] = self.names;
        match (self.native, self.xpath) {
            (None, None) => None,
            (Some(native), None) => {
                let at = at.field(native_name);
                if source == Source::Html {
                    check_css(native, &at, faults)
                } else {
                    check_path(native, &at, faults)
                }
                Some(Selector::Native(native.to_owned()))
            }
            (None, Some(xpath)) => {
                check_xpath(source, xpath, needs, &at.field(xpath_name), faults);
                Some(Selector::XPath(xpath.to_owned()))
            }
            (Some(_), Some(_)) => {
                let message = format!("cannot stand beside `{native_name}`; write one of them");
                faults.add(&at.field(xpath_name), message);
                None
            }
        }
    }
}

/// Whether `xpath` is an expression that never finds an element.
pub(super) fn finds_no_element(xpath: &str) -> bool {
    XPath::parse(xpath).is_ok_and(|parsed| parsed.yields() != Yields::Elements)
}

fn check_css(selector: &str, at: &Place, faults: &mut Faults) {
    if selector.chars().count() > SELECTOR_LENGTH_MAX {
        faults.add(at, format!("is longer than {SELECTOR_LENGTH_MAX} characters"));
    } else if let Err(error) = Css::parse(selector) {
        faults.add(at, format!("`{}` is not a CSS selector: {error}", excerpt(selector)));
    }
}

fn check_xpath(source: Source, xpath: &str, needs: Needs, at: &Place, faults: &mut Faults) {
    if source != Source::Html {
        faults.add(at, "is only for items from html; JSON is searched by a JSONPath in the selector");
        return;
    }
    let shown = excerpt(xpath);
    let parsed = match XPath::parse(xpath) {
        Ok(parsed) => parsed,
        Err(error) => {
            faults.add(at, format!("`{shown}` is not an XPath 1.0 expression: {error}"));
            return;
        }
    };
    match (parsed.yields(), needs) {
        (Yields::Elements, _) | (_, Needs::Anything) | (Yields::OtherNodes, Needs::Nodes) => {}
        (Yields::OtherNodes, Needs::Elements) => {
            faults.add(at, format!("`{shown}` finds attributes or texts, and here elements are needed"));
        }
        (Yields::Value(kind), Needs::Elements | Needs::Nodes) => {
            faults.add(at, format!("`{shown}` gives a {kind}, and here nodes of the page are needed"));
        }
    }
}
