//! Expressions with their types: every conversion that XPath does silently is written out, so that evaluating one cannot fail over a type.

use html5ever::LocalName;

/// An expression of one of the four types.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    Nodes(Nodes),
    Bool(Bool),
    Number(Number),
    Text(Text),
}

/// A set of nodes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Nodes {
    Path {
        from: Origin,
        steps: Vec<Step>,
    },
    /// Positions count in document order.
    Filter {
        base: Box<Nodes>,
        predicates: Vec<Predicate>,
    },
    Union(Vec<Nodes>),
    ById(Ids),
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    Root,
    Context,
    Nodes(Box<Nodes>),
}

/// The words that `id()` looks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ids {
    OfEach(Box<Nodes>),
    In(Box<Text>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) axis: Axis,
    pub(super) test: Test,
    pub(super) predicates: Vec<Predicate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Ancestor,
    AncestorOrSelf,
    Attribute,
    Child,
    Descendant,
    DescendantOrSelf,
    Following,
    FollowingSibling,
    Parent,
    Preceding,
    PrecedingSibling,
    Itself,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    AnyNode,
    Text,
    Comment,
    Instruction(Option<String>),
    AnyName,
    Name(LocalName),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Predicate {
    /// `[2]`, from 1 on.
    Nth(usize),
    /// `[last()]`.
    Last,
    /// The position equals a number.
    At(Number),
    /// What depends on the position in another way.
    Positional(Bool),
    /// What depends on the node alone.
    If(Bool),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Bool {
    Constant(bool),
    AnyOf(Vec<Bool>),
    AllOf(Vec<Bool>),
    Not(Box<Bool>),
    Exists(Box<Nodes>),
    /// Neither zero nor NaN.
    Nonzero(Box<Number>),
    NotEmpty(Box<Text>),
    Bools {
        equal: bool,
        sides: Box<(Bool, Bool)>,
    },
    Numbers(Comparison, Box<(Number, Number)>),
    Texts {
        equal: bool,
        sides: Box<(Text, Text)>,
    },
    /// A node on the left and one on the right of which it holds.
    NodesNodes(Comparison, Box<(Nodes, Nodes)>),
    NodesNumber(Comparison, Box<(Nodes, Number)>),
    NodesText {
        equal: bool,
        sides: Box<(Nodes, Text)>,
    },
    StartsWith(Box<(Text, Text)>),
    Contains(Box<(Text, Text)>),
    Lang(Box<Text>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Number {
    Constant(f64),
    Position,
    Last,
    Count(Box<Nodes>),
    Sum(Box<Nodes>),
    Length(Box<Text>),
    OfText(Box<Text>),
    OfBool(Box<Bool>),
    Negative(Box<Number>),
    /// One operation after the other, from the left.
    Chain {
        first: Box<Number>,
        rest: Vec<(Arithmetic, Number)>,
    },
    Rounded(Rounding, Box<Number>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    Floor,
    Ceiling,
    Nearest,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Constant(String),
    /// The string value of the first node in document order, or nothing.
    OfNodes(Box<Nodes>),
    OfNumber(Box<Number>),
    OfBool(Box<Bool>),
    Concat(Vec<Text>),
    Before(Box<(Text, Text)>),
    After(Box<(Text, Text)>),
    Part {
        text: Box<Text>,
        start: Box<Number>,
        length: Option<Box<Number>>,
    },
    Normalized(Box<Text>),
    Translated(Box<(Text, Text, Text)>),
    Name(Box<Nodes>),
}

impl Axis {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ancestor" => Self::Ancestor,
            "ancestor-or-self" => Self::AncestorOrSelf,
            "attribute" => Self::Attribute,
            "child" => Self::Child,
            "descendant" => Self::Descendant,
            "descendant-or-self" => Self::DescendantOrSelf,
            "following" => Self::Following,
            "following-sibling" => Self::FollowingSibling,
            "parent" => Self::Parent,
            "preceding" => Self::Preceding,
            "preceding-sibling" => Self::PrecedingSibling,
            "self" => Self::Itself,
            _ => return None,
        })
    }

    /// Whether positions count against document order.
    pub(super) fn is_reverse(self) -> bool {
        matches!(self, Self::Ancestor | Self::AncestorOrSelf | Self::Preceding | Self::PrecedingSibling)
    }
}

impl Predicate {
    pub(super) fn is_positional(&self) -> bool {
        !matches!(self, Self::If(_))
    }
}

impl Comparison {
    /// The same with both sides exchanged.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }

    /// Whether texts can be compared so, and if they have to be the same.
    pub(super) fn equality(self) -> Option<bool> {
        match self {
            Self::Equal => Some(true),
            Self::NotEqual => Some(false),
            _ => None,
        }
    }
}

impl Nodes {
    /// The node that is looked at.
    pub(super) fn context() -> Self {
        Self::Path { from: Origin::Context, steps: Vec::new() }
    }

    /// Whether there can be elements among them.
    pub(super) fn may_be_elements(&self) -> bool {
        match self {
            Self::Path { from, steps } => match (steps.last(), from) {
                (Some(step), _) => {
                    step.axis != Axis::Attribute && matches!(step.test, Test::AnyNode | Test::AnyName | Test::Name(_))
                }
                (None, Origin::Nodes(nodes)) => nodes.may_be_elements(),
                (None, Origin::Root | Origin::Context) => true,
            },
            Self::Filter { base, .. } => base.may_be_elements(),
            Self::Union(parts) => parts.iter().any(Self::may_be_elements),
            Self::ById(_) => true,
        }
    }
}
