//! The nodes of a page in document order, numbered, so that order is a comparison and everything below a node is a range.
//!
//! The data model is that of XPath 1.0 (section 5) as lxml shows an HTML page: names in lower case, no namespaces, the content of a `template` below it.

use ego_tree::iter::Edge;
use ego_tree::{NodeId, NodeRef, Tree};
use html5ever::{LocalName, ns};
use scraper::node::Element;
use scraper::{ElementRef, Node};

use super::super::ExtractError;
use super::super::budget::Meter;
use super::ast::{Axis, Test};

/// Where every node of a page stands.
pub(in super::super) struct Index {
    entries: Vec<Entry>,
    /// Numbers of nodes by their ids in the tree, in the order of the ids.
    numbers: Vec<(NodeId, u32)>,
}

struct Entry {
    id: NodeId,
    parent: Option<u32>,
    /// The sibling before it.
    previous: Option<u32>,
    /// The number after the last node below it.
    end: u32,
}

/// A node: one of the tree by its number, or one of the attributes of an element. They compare in document order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) node: u32,
    /// Which attribute, counted from 1; 0 is the node itself.
    pub(super) attribute: u32,
}

impl Place {
    pub(super) const ROOT: Self = Self::node(0);

    pub(super) const fn node(node: u32) -> Self {
        Self { node, attribute: 0 }
    }

    pub(super) fn is_attribute(self) -> bool {
        self.attribute > 0
    }
}

impl Index {
    /// Numbers the nodes of `tree`.
    pub(in super::super) fn build(tree: &Tree<Node>, meter: &mut Meter) -> Result<Self, ExtractError> {
        let mut entries: Vec<Entry> = Vec::new();
        // Open nodes, each with its last child so far.
        let mut open: Vec<(u32, Option<u32>)> = Vec::new();
        for edge in tree.root().traverse() {
            meter.step()?;
            match edge {
                Edge::Open(node) if is_node(node.value()) => {
                    let number = number_of(entries.len());
                    let around = open.last_mut();
                    let parent = around.as_ref().map(|(parent, _)| *parent);
                    let previous = around.and_then(|(_, last)| last.replace(number));
                    entries.push(Entry { id: node.id(), parent, previous, end: number + 1 });
                    open.push((number, None));
                }
                Edge::Close(node) if is_node(node.value()) => {
                    let end = number_of(entries.len());
                    if let Some((number, _)) = open.pop() {
                        entries[number as usize].end = end;
                    }
                }
                Edge::Open(_) | Edge::Close(_) => {}
            }
        }
        let mut numbers: Vec<_> = entries.iter().zip(0..).map(|(entry, number)| (entry.id, number)).collect();
        numbers.sort_unstable();
        meter.check()?;
        Ok(Self { entries, numbers })
    }
}

/// A doctype is no node of XPath, and what holds the content of a `template` is only a part of the `template`.
fn is_node(node: &Node) -> bool {
    !matches!(node, Node::Doctype(_) | Node::Fragment)
}

fn number_of(count: usize) -> u32 {
    u32::try_from(count).expect("a page has at most half a million nodes")
}

/// A page that can be asked about its nodes.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    tree: &'a Tree<Node>,
    index: &'a Index,
}

impl<'a> View<'a> {
    pub(super) fn new(tree: &'a Tree<Node>, index: &'a Index) -> Self {
        Self { tree, index }
    }

    fn entry(self, number: u32) -> &'a Entry {
        &self.index.entries[number as usize]
    }

    fn tree_node(self, number: u32) -> NodeRef<'a, Node> {
        self.tree.get(self.entry(number).id).expect("no node has left the tree since it was numbered")
    }

    /// The place of a node of the tree; the root, if it is none that XPath sees.
    pub(super) fn place(self, id: NodeId) -> Place {
        let found = self.index.numbers.binary_search_by(|(other, _)| other.cmp(&id));
        found.map_or(Place::ROOT, |at| Place::node(self.index.numbers[at].1))
    }

    pub(super) fn nodes(self) -> u32 {
        number_of(self.index.entries.len())
    }

    pub(super) fn end(self, number: u32) -> u32 {
        self.entry(number).end
    }

    pub(super) fn parent(self, number: u32) -> Option<u32> {
        self.entry(number).parent
    }

    pub(super) fn previous(self, number: u32) -> Option<u32> {
        self.entry(number).previous
    }

    /// The sibling after it.
    pub(super) fn next(self, number: u32) -> Option<u32> {
        let end = self.end(number);
        self.parent(number).filter(|parent| end < self.end(*parent)).map(|_| end)
    }

    pub(super) fn value(self, number: u32) -> &'a Node {
        self.tree_node(number).value()
    }

    pub(super) fn element(self, number: u32) -> Option<&'a Element> {
        self.value(number).as_element()
    }

    /// The element at a place or, if an attribute or another node stands there, around it.
    pub(super) fn element_ref(self, place: Place) -> Option<ElementRef<'a>> {
        let node = self.tree_node(place.node);
        ElementRef::wrap(node).or_else(|| node.ancestors().find_map(ElementRef::wrap))
    }

    pub(super) fn root_element(self) -> Option<ElementRef<'a>> {
        self.tree.root().children().find_map(ElementRef::wrap)
    }

    /// Name and value of an attribute.
    pub(super) fn attribute(self, place: Place) -> Option<(&'a html5ever::QualName, &'a str)> {
        let nth = place.attribute.checked_sub(1)? as usize;
        self.element(place.node)?.attrs.get(nth).map(|(name, value)| (name, &**value))
    }

    pub(super) fn attribute_count(self, number: u32) -> u32 {
        self.element(number).map_or(0, |element| number_of(element.attrs.len()))
    }

    /// Whether what stands at `place`, reached along `axis`, is what `test` asks for (section 2.3).
    pub(super) fn satisfies(self, place: Place, axis: Axis, test: &Test) -> bool {
        if matches!(test, Test::AnyNode) {
            return true;
        }
        if let Some((name, _)) = self.attribute(place) {
            return axis == Axis::Attribute
                && match test {
                    Test::AnyName => true,
                    Test::Name(asked) => name.prefix.is_none() && is_named(&name.local, asked),
                    _ => false,
                };
        }
        match (test, self.value(place.node)) {
            (Test::AnyName, Node::Element(_)) => true,
            (Test::Name(asked), Node::Element(element)) if element.name.ns == ns!(html) => element.name.local == *asked,
            (Test::Name(asked), Node::Element(element)) => is_named(&element.name.local, asked),
            (Test::Text, Node::Text(_)) | (Test::Comment, Node::Comment(_)) => true,
            (Test::Instruction(target), Node::ProcessingInstruction(instruction)) => {
                target.as_ref().is_none_or(|target| **target == *instruction.target)
            }
            _ => false,
        }
    }
}

/// Names inside `svg` and `math` have capital letters for browsers only.
fn is_named(name: &LocalName, asked: &LocalName) -> bool {
    name.len() == asked.len() && name.bytes().zip(asked.bytes()).all(|(name, asked)| name.to_ascii_lowercase() == asked)
}
