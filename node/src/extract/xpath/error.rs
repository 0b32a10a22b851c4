//! What is wrong with an expression, and at which character of it.

/// An expression that cannot be used; whoever wrote it is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (at character {at})")]
pub(crate) struct XPathError {
    /// The character where it stands, counted from 1; one beyond the last is the end.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) problem: Problem,
}

/// What can be wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// It is too long.
    #[error("it has more than {limit} characters")]
    TooLong {
        /// The bound.
        limit: usize,
    },
    /// Brackets or comparisons within each other.
    #[error("it is nested more than {limit} deep")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
    /// No token of the language begins with this.
    #[error("`{0}` means nothing here")]
    Character(char),
    /// A quotation mark without its partner.
    #[error("the text that begins here has no closing quotation mark")]
    OpenText,
    /// Another token should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What may stand here.
        expected: &'static str,
        /// What stands here.
        found: String,
    },
    /// `$name`.
    #[error("there are no variables; write the value itself")]
    Variable,
    /// `name:name`.
    #[error(
        "the prefix `{0}:` is not known; HTML has no namespaces, and a name with a colon is found by *[name()='{0}:…']"
    )]
    Prefix(String),
    /// `re:test(…)` and its like.
    #[error("there are no functions with a prefix such as `{0}:`; a field's `pattern` takes a regular expression")]
    FunctionPrefix(String),
    /// `namespace::`.
    #[error("the axis `namespace` is not supported; HTML has no namespaces")]
    NamespaceAxis,
    /// `name::`.
    #[error(
        "there is no axis `{0}`; such as child, descendant, parent, ancestor, following-sibling and attribute there are"
    )]
    Axis(String),
    /// `name(…)`.
    #[error("there is no function `{0}()` in XPath 1.0")]
    Function(String),
    /// A function of Scrapy's selectors.
    #[error(
        "there is no function `has-class()` in XPath 1.0; write contains(concat(' ', normalize-space(@class), ' '), ' name ')"
    )]
    HasClass,
    /// Too few or too many.
    #[error("{function}() takes {takes}, not {given}")]
    Arguments {
        /// Whose arguments.
        function: &'static str,
        /// How many it takes, in words.
        takes: &'static str,
        /// How many there are.
        given: usize,
    },
    /// Nothing can become a set of nodes that is none.
    #[error("{what} needs a set of nodes, and this is a {found}")]
    NotNodes {
        /// Who needs it.
        what: String,
        /// The type that stands here.
        found: &'static str,
    },
}
