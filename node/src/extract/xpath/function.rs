//! The core functions (XPath 1.0, section 4): their names, what they take, and the expressions that they are.

use super::ast::{Bool, Expr, Ids, Nodes, Number, Rounding, Text};
use super::error::{Problem, XPathError};

/// A function of the core library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Function {
    name: &'static str,
    fewest: usize,
    most: usize,
    takes: &'static str,
}

const fn function(name: &'static str, fewest: usize, most: usize, takes: &'static str) -> Function {
    Function { name, fewest, most, takes }
}

const NOTHING: &str = "no arguments";
const ONE: &str = "one argument";
const ONE_OR_NONE: &str = "one argument or none";
const TWO: &str = "two arguments";

const FUNCTIONS: [Function; 27] = [
    function("last", 0, 0, NOTHING),
    function("position", 0, 0, NOTHING),
    function("count", 1, 1, ONE),
    function("id", 1, 1, ONE),
    function("local-name", 0, 1, ONE_OR_NONE),
    function("namespace-uri", 0, 1, ONE_OR_NONE),
    function("name", 0, 1, ONE_OR_NONE),
    function("string", 0, 1, ONE_OR_NONE),
    function("concat", 2, usize::MAX, "two or more arguments"),
    function("starts-with", 2, 2, TWO),
    function("contains", 2, 2, TWO),
    function("substring-before", 2, 2, TWO),
    function("substring-after", 2, 2, TWO),
    function("substring", 2, 3, "two or three arguments"),
    function("string-length", 0, 1, ONE_OR_NONE),
    function("normalize-space", 0, 1, ONE_OR_NONE),
    function("translate", 3, 3, "three arguments"),
    function("boolean", 1, 1, ONE),
    function("not", 1, 1, ONE),
    function("true", 0, 0, NOTHING),
    function("false", 0, 0, NOTHING),
    function("lang", 1, 1, ONE),
    function("number", 0, 1, ONE_OR_NONE),
    function("sum", 1, 1, ONE),
    function("floor", 1, 1, ONE),
    function("ceiling", 1, 1, ONE),
    function("round", 1, 1, ONE),
];

/// What stands between the commas of a call.
pub(super) struct Argument {
    pub(super) expr: Expr,
    pub(super) at: usize,
}

/// The function of that name, which stands at the character `at`.
pub(super) fn named(name: &str, at: usize) -> Result<Function, XPathError> {
    FUNCTIONS.into_iter().find(|known| known.name == name).ok_or_else(|| {
        let problem = if name == "has-class" { Problem::HasClass } else { Problem::Function(name.to_owned()) };
        XPathError { at, problem }
    })
}

impl Function {
    /// Whether its value depends on where a node stands among others.
    pub(super) fn is_positional(self) -> bool {
        matches!(self.name, "last" | "position")
    }

    /// The function applied to `arguments`; the call stands at the character `at`.
    pub(super) fn call(self, arguments: Vec<Argument>, at: usize) -> Result<Expr, XPathError> {
        let given = arguments.len();
        if given < self.fewest || given > self.most {
            let problem = Problem::Arguments { function: self.name, takes: self.takes, given };
            return Err(XPathError { at, problem });
        }
        let mut arguments = Arguments { function: self.name, left: arguments.into_iter() };
        if let Some(text) = arguments.text_function()? {
            return Ok(Expr::Text(text));
        }
        if let Some(number) = arguments.number_function()? {
            return Ok(Expr::Number(number));
        }
        Ok(match self.name {
            "id" => Expr::Nodes(Nodes::ById(match arguments.argument() {
                Expr::Nodes(nodes) => Ids::OfEach(Box::new(nodes)),
                other => Ids::In(Box::new(other.into_text())),
            })),
            _ => Expr::Bool(arguments.bool_function()),
        })
    }
}

/// The arguments of one call, the first one next; their number is right.
struct Arguments {
    function: &'static str,
    left: std::vec::IntoIter<Argument>,
}

impl Arguments {
    /// The next argument, or the node that is looked at.
    fn argument(&mut self) -> Expr {
        self.left.next().map_or_else(|| Expr::Nodes(Nodes::context()), |argument| argument.expr)
    }

    fn text(&mut self) -> Text {
        self.argument().into_text()
    }

    fn texts(&mut self) -> Box<(Text, Text)> {
        Box::new((self.text(), self.text()))
    }

    fn number(&mut self) -> Box<Number> {
        Box::new(self.argument().into_number())
    }

    fn nodes(&mut self) -> Result<Box<Nodes>, XPathError> {
        let nodes = match self.left.next() {
            Some(Argument { expr, at }) => expr.into_nodes(at, format!("{}()", self.function))?,
            None => Nodes::context(),
        };
        Ok(Box::new(nodes))
    }

    fn text_function(&mut self) -> Result<Option<Text>, XPathError> {
        Ok(Some(match self.function {
            "string" => self.text(),
            "concat" => Text::Concat(self.left.by_ref().map(|argument| argument.expr.into_text()).collect()),
            "substring-before" => Text::Before(self.texts()),
            "substring-after" => Text::After(self.texts()),
            "substring" => {
                let (text, start) = (Box::new(self.text()), self.number());
                let length = self.left.next().map(|argument| Box::new(argument.expr.into_number()));
                Text::Part { text, start, length }
            }
            "normalize-space" => Text::Normalized(Box::new(self.text())),
            "translate" => Text::Translated(Box::new((self.text(), self.text(), self.text()))),
            // HTML has no namespaces here, so that a name is its local part.
            "name" | "local-name" => Text::Name(self.nodes()?),
            "namespace-uri" => {
                self.nodes()?;
                Text::Constant(String::new())
            }
            _ => return Ok(None),
        }))
    }

    fn number_function(&mut self) -> Result<Option<Number>, XPathError> {
        Ok(Some(match self.function {
            "last" => Number::Last,
            "position" => Number::Position,
            "count" => Number::Count(self.nodes()?),
            "sum" => Number::Sum(self.nodes()?),
            "string-length" => Number::Length(Box::new(self.text())),
            "number" => *self.number(),
            "floor" => Number::Rounded(Rounding::Floor, self.number()),
            "ceiling" => Number::Rounded(Rounding::Ceiling, self.number()),
            "round" => Number::Rounded(Rounding::Nearest, self.number()),
            _ => return Ok(None),
        }))
    }

    fn bool_function(&mut self) -> Bool {
        match self.function {
            "starts-with" => Bool::StartsWith(self.texts()),
            "contains" => Bool::Contains(self.texts()),
            "lang" => Bool::Lang(Box::new(self.text())),
            "not" => Bool::Not(Box::new(self.argument().into_bool())),
            "true" => Bool::Constant(true),
            "false" => Bool::Constant(false),
            _ => self.argument().into_bool(),
        }
    }
}
