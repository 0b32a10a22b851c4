//! CSS selectors whose matching can be cut short.
//!
//! One match may walk over all siblings of an element, and a selector within a selector multiplies that: `p ~ p:not(h1 ~ p)` costs the square of a
//! page for a single element. So the walk itself is watched: every step to another element counts, and once the time is over there are no further
//! elements to step to. What such a match says is of no use, and the meter's next check gives the page up.

use std::cell::Cell;

use html5ever::Namespace;
use scraper::error::SelectorErrorKind;
use scraper::selector::{CssLocalName, CssString, NonTSPseudoClass, Parser, PseudoElement, Simple};
use scraper::{ElementRef, Node};
use selectors::attr::{AttrSelectorOperation, CaseSensitivity, NamespaceConstraint};
use selectors::bloom::BloomFilter;
use selectors::matching::{
    ElementSelectorFlags, MatchingContext, MatchingForInvalidation, MatchingMode, NeedsSelectorFlags, QuirksMode,
    SelectorCaches, matches_selector,
};
use selectors::parser::{ParseRelative, SelectorList};
use selectors::{Element, OpaqueElement};

use super::budget::Meter;

/// A parsed list of CSS selectors.
#[derive(Clone, Debug)]
pub(crate) struct Css(SelectorList<Simple>);

impl Css {
    /// Parses a list of selectors; the message says what is wrong with it.
    pub(crate) fn parse(css: &str) -> Result<Self, String> {
        let parsed = SelectorList::parse(&Parser, &mut cssparser::Parser::new(css), ParseRelative::No);
        parsed.map(Self).map_err(|problem| match SelectorErrorKind::from(problem) {
            // The library asks for a bug report over what is simply unknown to it.
            SelectorErrorKind::UnexpectedSelectorParseError(kind) => format!("unsupported or incomplete ({kind:?})"),
            known => known.to_string().to_lowercase(),
        })
    }
}

/// Matches one selector against many elements of one page, remembering what several of them need, such as the positions for `:nth-child`.
pub(super) struct Matcher<'s> {
    css: &'s Css,
    caches: SelectorCaches,
}

impl<'s> Matcher<'s> {
    pub(super) fn new(css: &'s Css) -> Self {
        Self { css, caches: SelectorCaches::default() }
    }

    /// Whether `element` matches, where `:scope` is `scope` (the root element without one). Meaningless once `meter` is past its budget.
    pub(super) fn matches(&mut self, element: ElementRef<'_>, scope: Option<ElementRef<'_>>, meter: &Meter) -> bool {
        let watch = Watch { meter, steps: Cell::new(0), over: Cell::new(false) };
        let watched = Watched { element, watch: &watch };
        let mut context = MatchingContext::new(
            MatchingMode::Normal,
            None,
            &mut self.caches,
            QuirksMode::NoQuirks,
            NeedsSelectorFlags::No,
            MatchingForInvalidation::No,
        );
        context.scope_element = scope.map(|element| element.opaque());
        self.css.0.slice().iter().any(|selector| matches_selector(selector, 0, None, &watched, &mut context))
    }
}

/// Steps between two looks at the clock; one is a few nanoseconds.
const STEPS_PER_LOOK: usize = 1024;

/// Counts the steps of one match.
struct Watch<'m> {
    meter: &'m Meter,
    steps: Cell<usize>,
    over: Cell<bool>,
}

impl Watch<'_> {
    /// Counts `steps`; whether the walk may go on.
    fn may_go_on(&self, steps: usize) -> bool {
        let steps = self.steps.get() + steps;
        if steps < STEPS_PER_LOOK {
            self.steps.set(steps);
        } else {
            self.steps.set(0);
            if self.meter.check().is_err() {
                self.over.set(true);
            }
        }
        !self.over.get()
    }
}

/// An element whose neighbours are counted.
#[derive(Clone, Copy)]
struct Watched<'a, 'w> {
    element: ElementRef<'a>,
    watch: &'w Watch<'w>,
}

impl std::fmt::Debug for Watched<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.element.fmt(f)
    }
}

impl<'a> Watched<'a, '_> {
    /// The first element among `nodes`; comments and text on the way count as well.
    fn first(self, mut nodes: impl Iterator<Item = ego_tree::NodeRef<'a, Node>>) -> Option<Self> {
        loop {
            if !self.watch.may_go_on(1) {
                return None;
            }
            if let Some(element) = ElementRef::wrap(nodes.next()?) {
                return Some(Self { element, ..self });
            }
        }
    }
}

impl Element for Watched<'_, '_> {
    type Impl = Simple;

    fn opaque(&self) -> OpaqueElement {
        self.element.opaque()
    }

    fn parent_element(&self) -> Option<Self> {
        if !self.watch.may_go_on(1) {
            return None;
        }
        self.element.parent().and_then(ElementRef::wrap).map(|element| Self { element, ..*self })
    }

    fn parent_node_is_shadow_root(&self) -> bool {
        false
    }

    fn containing_shadow_host(&self) -> Option<Self> {
        None
    }

    fn is_pseudo_element(&self) -> bool {
        false
    }

    fn is_part(&self, _: &CssLocalName) -> bool {
        false
    }

    fn is_same_type(&self, other: &Self) -> bool {
        self.element.value().name == other.element.value().name
    }

    fn imported_part(&self, _: &CssLocalName) -> Option<CssLocalName> {
        None
    }

    fn prev_sibling_element(&self) -> Option<Self> {
        self.first(self.element.prev_siblings())
    }

    fn next_sibling_element(&self) -> Option<Self> {
        self.first(self.element.next_siblings())
    }

    fn first_element_child(&self) -> Option<Self> {
        self.first(self.element.children())
    }

    fn is_html_element_in_html_document(&self) -> bool {
        self.element.is_html_element_in_html_document()
    }

    fn has_local_name(&self, name: &CssLocalName) -> bool {
        self.element.has_local_name(name)
    }

    fn has_namespace(&self, namespace: &Namespace) -> bool {
        self.element.has_namespace(namespace)
    }

    fn attr_matches(
        &self,
        namespace: &NamespaceConstraint<&Namespace>,
        local_name: &CssLocalName,
        operation: &AttrSelectorOperation<&CssString>,
    ) -> bool {
        self.watch.may_go_on(self.element.value().attrs.len())
            && self.element.attr_matches(namespace, local_name, operation)
    }

    fn match_non_ts_pseudo_class(&self, _: &NonTSPseudoClass, _: &mut MatchingContext<'_, Simple>) -> bool {
        false
    }

    fn match_pseudo_element(&self, _: &PseudoElement, _: &mut MatchingContext<'_, Simple>) -> bool {
        false
    }

    fn apply_selector_flags(&self, _: ElementSelectorFlags) {}

    fn is_link(&self) -> bool {
        self.element.is_link()
    }

    fn is_html_slot_element(&self) -> bool {
        self.element.is_html_slot_element()
    }

    fn has_id(&self, id: &CssLocalName, case_sensitivity: CaseSensitivity) -> bool {
        self.element.has_id(id, case_sensitivity)
    }

    fn has_class(&self, name: &CssLocalName, case_sensitivity: CaseSensitivity) -> bool {
        let written_bytes = self.element.attr("class").map_or(0, str::len);
        // Two bytes are the shortest class with its space.
        written_bytes > 0 && self.watch.may_go_on(written_bytes / 2) && self.element.has_class(name, case_sensitivity)
    }

    fn has_custom_state(&self, _: &CssLocalName) -> bool {
        false
    }

    fn is_empty(&self) -> bool {
        !self
            .element
            .children()
            .any(|child| !self.watch.may_go_on(1) || child.value().is_element() || child.value().is_text())
    }

    fn is_root(&self) -> bool {
        self.element.is_root()
    }

    fn add_element_unique_hashes(&self, _: &mut BloomFilter) -> bool {
        false
    }
}
