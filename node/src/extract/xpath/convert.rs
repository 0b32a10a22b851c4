//! The conversions and comparisons of the four types (XPath 1.0, sections 3.4 and 4), decided when an expression is read.

use super::ast::{Arithmetic, Bool, Comparison, Expr, Nodes, Number, Predicate, Text};
use super::error::{Problem, XPathError};

impl Expr {
    /// What the type is called.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nodes(_) => "set of nodes",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
        }
    }

    /// The set itself; nothing else becomes one.
    pub(super) fn into_nodes(self, at: usize, what: impl Into<String>) -> Result<Nodes, XPathError> {
        match self {
            Self::Nodes(nodes) => Ok(nodes),
            other => Err(XPathError { at, problem: Problem::NotNodes { what: what.into(), found: other.type_name() } }),
        }
    }

    pub(super) fn into_bool(self) -> Bool {
        match self {
            Self::Nodes(nodes) => Bool::Exists(Box::new(nodes)),
            Self::Bool(value) => value,
            Self::Number(number) => Bool::Nonzero(Box::new(number)),
            Self::Text(text) => Bool::NotEmpty(Box::new(text)),
        }
    }

    pub(super) fn into_number(self) -> Number {
        match self {
            Self::Number(number) => number,
            Self::Bool(value) => Number::OfBool(Box::new(value)),
            text => Number::OfText(Box::new(text.into_text())),
        }
    }

    pub(super) fn into_text(self) -> Text {
        match self {
            Self::Nodes(nodes) => Text::OfNodes(Box::new(nodes)),
            Self::Bool(value) => Text::OfBool(Box::new(value)),
            Self::Number(number) => Text::OfNumber(Box::new(number)),
            Self::Text(text) => text,
        }
    }

    /// What stands between square brackets; `positional` if it asks for the position or the number of nodes.
    pub(super) fn into_predicate(self, positional: bool) -> Predicate {
        match self {
            Self::Number(Number::Constant(number))
                if number >= 1.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0 =>
            {
                Predicate::Nth(number as usize)
            }
            Self::Number(Number::Last) => Predicate::Last,
            Self::Number(number) => Predicate::At(number),
            other if positional => Predicate::Positional(other.into_bool()),
            other => Predicate::If(other.into_bool()),
        }
    }

    pub(super) fn or(self, right: Self) -> Self {
        let mut parts = match self.into_bool() {
            Bool::AnyOf(parts) => parts,
            single => vec![single],
        };
        parts.push(right.into_bool());
        Self::Bool(Bool::AnyOf(parts))
    }

    pub(super) fn and(self, right: Self) -> Self {
        let mut parts = match self.into_bool() {
            Bool::AllOf(parts) => parts,
            single => vec![single],
        };
        parts.push(right.into_bool());
        Self::Bool(Bool::AllOf(parts))
    }

    pub(super) fn calculated(self, operation: Arithmetic, right: Self) -> Self {
        let (first, mut rest) = match self.into_number() {
            Number::Chain { first, rest } => (first, rest),
            single => (Box::new(single), Vec::new()),
        };
        rest.push((operation, right.into_number()));
        Self::Number(Number::Chain { first, rest })
    }

    /// Which types are compared as what: section 3.4.
    pub(super) fn compared(self, comparison: Comparison, right: Self) -> Self {
        Self::Bool(match (self, right) {
            (Self::Nodes(left), Self::Nodes(right)) => Bool::NodesNodes(comparison, Box::new((left, right))),
            (Self::Nodes(nodes), Self::Bool(value)) => bools(comparison, Bool::Exists(Box::new(nodes)), value),
            (Self::Bool(value), Self::Nodes(nodes)) => bools(comparison, value, Bool::Exists(Box::new(nodes))),
            (Self::Nodes(nodes), value) => nodes_value(comparison, nodes, value),
            (value, Self::Nodes(nodes)) => nodes_value(comparison.turned(), nodes, value),
            (left, right) => values(comparison, left, right),
        })
    }
}

fn bools(comparison: Comparison, left: Bool, right: Bool) -> Bool {
    match comparison.equality() {
        Some(equal) => Bool::Bools { equal, sides: Box::new((left, right)) },
        None => {
            let sides = (Number::OfBool(Box::new(left)), Number::OfBool(Box::new(right)));
            Bool::Numbers(comparison, Box::new(sides))
        }
    }
}

fn nodes_value(comparison: Comparison, nodes: Nodes, value: Expr) -> Bool {
    match (comparison.equality(), value) {
        (Some(equal), Expr::Text(text)) => Bool::NodesText { equal, sides: Box::new((nodes, text)) },
        (_, value) => Bool::NodesNumber(comparison, Box::new((nodes, value.into_number()))),
    }
}

fn values(comparison: Comparison, left: Expr, right: Expr) -> Bool {
    match (comparison.equality(), left, right) {
        (Some(equal), left @ Expr::Bool(_), right) | (Some(equal), left, right @ Expr::Bool(_)) => {
            Bool::Bools { equal, sides: Box::new((left.into_bool(), right.into_bool())) }
        }
        (Some(equal), Expr::Text(left), Expr::Text(right)) => Bool::Texts { equal, sides: Box::new((left, right)) },
        (_, left, right) => Bool::Numbers(comparison, Box::new((left.into_number(), right.into_number()))),
    }
}
