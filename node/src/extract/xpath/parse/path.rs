//! Location paths and their abbreviations (XPath 1.0, section 2).

use html5ever::LocalName;

use super::super::ast::{Axis, Nodes, Origin, Predicate, Step, Test};
use super::super::error::XPathError;
use super::super::token::{Kind, NodeType, Operator};
use super::Parser;

const STEP: &str = "a step such as a name, `*`, `@name`, `.` or `text()`";

impl Parser {
    /// A location path, absolute or relative.
    pub(super) fn location(&mut self) -> Result<Nodes, XPathError> {
        let (from, steps) = match self.peek() {
            Kind::Operator(Operator::Slash) => {
                self.advance();
                let steps = if self.begins_step() { vec![self.step()?] } else { Vec::new() };
                (Origin::Root, steps)
            }
            Kind::Operator(Operator::DoubleSlash) => (Origin::Root, Vec::new()),
            _ => (Origin::Context, vec![self.step()?]),
        };
        Ok(Nodes::Path { from, steps: self.further_steps(steps)? })
    }

    /// The steps behind `steps`, each with its `/` or `//`.
    pub(super) fn further_steps(&mut self, mut steps: Vec<Step>) -> Result<Vec<Step>, XPathError> {
        loop {
            match self.peek() {
                // Only at the root can there be a slash with nothing behind it.
                Kind::Operator(Operator::Slash) => {
                    self.advance();
                    steps.push(self.step()?);
                }
                Kind::Operator(Operator::DoubleSlash) => {
                    self.advance();
                    let step = self.step()?;
                    push_below(&mut steps, step);
                }
                _ => return Ok(steps),
            }
        }
    }

    fn begins_step(&self) -> bool {
        matches!(
            self.peek(),
            Kind::Dot | Kind::DoubleDot | Kind::At | Kind::Star | Kind::Name(_) | Kind::Axis(_) | Kind::NodeType(_)
        )
    }

    fn step(&mut self) -> Result<Step, XPathError> {
        if self.accept(&Kind::Dot) {
            return self.abbreviated(Axis::Itself);
        }
        if self.accept(&Kind::DoubleDot) {
            return self.abbreviated(Axis::Parent);
        }
        let axis = match *self.peek() {
            Kind::At => Some(Axis::Attribute),
            Kind::Axis(axis) => Some(axis),
            _ => None,
        };
        if axis.is_some() {
            self.advance();
        }
        let test = self.test(if axis.is_some() { "a name, `*` or a test such as `node()`" } else { STEP })?;
        let predicates = self.predicates()?;
        Ok(Step { axis: axis.unwrap_or(Axis::Child), test, predicates })
    }

    /// `.` or `..`, behind which no predicate may stand.
    fn abbreviated(&mut self, axis: Axis) -> Result<Step, XPathError> {
        if *self.peek() == Kind::OpenBracket {
            return Err(self.expected("an operator, `/` or the end (write self::node()[…] or parent::node()[…])"));
        }
        Ok(Step { axis, test: Test::AnyNode, predicates: Vec::new() })
    }

    fn test(&mut self, expected: &'static str) -> Result<Test, XPathError> {
        let test = match self.peek() {
            Kind::Star => Test::AnyName,
            Kind::Name(name) => Test::Name(LocalName::from(name.as_str())),
            Kind::NodeType(kind) => {
                let kind = *kind;
                self.advance();
                return self.node_type(kind);
            }
            _ => return Err(self.expected(expected)),
        };
        self.advance();
        Ok(test)
    }

    fn node_type(&mut self, kind: NodeType) -> Result<Test, XPathError> {
        let test = match kind {
            NodeType::Any => Test::AnyNode,
            NodeType::Text => Test::Text,
            NodeType::Comment => Test::Comment,
            NodeType::Instruction => {
                let Kind::Text(target) = self.peek().clone() else {
                    return self.closed(Test::Instruction(None), "a text or `)`");
                };
                self.advance();
                Test::Instruction(Some(target))
            }
        };
        self.closed(test, "`)`")
    }

    fn closed(&mut self, test: Test, expected: &'static str) -> Result<Test, XPathError> {
        if self.accept(&Kind::Close) { Ok(test) } else { Err(self.expected(expected)) }
    }
}

/// `//` and a step: all nodes below and then the step, or where no positions are counted the descendants at once.
fn push_below(steps: &mut Vec<Step>, step: Step) {
    if step.axis == Axis::Child && !step.predicates.iter().any(Predicate::is_positional) {
        steps.push(Step { axis: Axis::Descendant, ..step });
        return;
    }
    steps.push(Step { axis: Axis::DescendantOrSelf, test: Test::AnyNode, predicates: Vec::new() });
    steps.push(step);
}
