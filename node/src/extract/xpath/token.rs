//! The words of an expression (XPath 1.0, section 3.7), each with the character where it begins.

mod shown;

use super::ast::{Arithmetic, Axis, Comparison};
use super::error::{Problem, XPathError};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Counted from 1.
    pub(super) at: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Dot,
    DoubleDot,
    At,
    Comma,
    Text(String),
    Number(f64),
    /// `*` as the test of a name.
    Star,
    Name(String),
    /// A name with its `::`.
    Axis(Axis),
    /// A type of nodes with its `(`.
    NodeType(NodeType),
    /// The name of a function with its `(`.
    Call(String),
    Operator(Operator),
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeType {
    Any,
    Text,
    Comment,
    Instruction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Compare(Comparison),
    Calculate(Arithmetic),
    Union,
    Slash,
    DoubleSlash,
}

/// The tokens of `expression`; the last one is the end.
pub(super) fn tokens(expression: &str) -> Result<Vec<Token>, XPathError> {
    let mut reader = Reader { chars: expression.chars().collect(), next: 0, tokens: Vec::new() };
    loop {
        reader.skip_space();
        let at = reader.next + 1;
        let kind = reader.token()?;
        let is_end = kind == Kind::End;
        reader.tokens.push(Token { kind, at });
        if is_end {
            return Ok(reader.tokens);
        }
    }
}

struct Reader {
    chars: Vec<char>,
    next: usize,
    tokens: Vec<Token>,
}

/// White space of XML.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn continues_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}' | '\u{300}'..='\u{36f}')
}

impl Reader {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.next + ahead).copied()
    }

    fn skip_space(&mut self) {
        while self.peek(0).is_some_and(is_space) {
            self.next += 1;
        }
    }

    fn take_while(&mut self, accepts: impl Fn(char) -> bool) -> String {
        let begin = self.next;
        while self.peek(0).is_some_and(&accepts) {
            self.next += 1;
        }
        self.chars[begin..self.next].iter().collect()
    }

    fn fault(&self, at: usize, problem: Problem) -> XPathError {
        XPathError { at: at + 1, problem }
    }

    /// Whether an operator can follow what was read so far: section 3.7.
    fn after_operand(&self) -> bool {
        self.tokens.last().is_some_and(|last| {
            !matches!(
                last.kind,
                Kind::At
                    | Kind::Open
                    | Kind::OpenBracket
                    | Kind::Comma
                    | Kind::Axis(_)
                    | Kind::NodeType(_)
                    | Kind::Call(_)
                    | Kind::Operator(_)
            )
        })
    }

    fn token(&mut self) -> Result<Kind, XPathError> {
        let Some(first) = self.peek(0) else { return Ok(Kind::End) };
        if let Some((kind, length)) = self.symbol(first) {
            self.next += length;
            return Ok(kind);
        }
        match first {
            '"' | '\'' => self.text(first),
            '0'..='9' | '.' => Ok(self.number()),
            '*' => {
                let product = self.after_operand();
                self.next += 1;
                Ok(if product { Kind::Operator(Operator::Calculate(Arithmetic::Multiply)) } else { Kind::Star })
            }
            '$' => Err(self.fault(self.next, Problem::Variable)),
            _ if begins_name(first) => self.word(),
            other => Err(self.fault(self.next, Problem::Character(other))),
        }
    }

    /// A token that its first one or two characters tell.
    fn symbol(&self, first: char) -> Option<(Kind, usize)> {
        let second = self.peek(1);
        let compare = |comparison, length| Some((Kind::Operator(Operator::Compare(comparison)), length));
        let calculate = |operation| Some((Kind::Operator(Operator::Calculate(operation)), 1));
        match (first, second) {
            ('(', _) => Some((Kind::Open, 1)),
            (')', _) => Some((Kind::Close, 1)),
            ('[', _) => Some((Kind::OpenBracket, 1)),
            (']', _) => Some((Kind::CloseBracket, 1)),
            ('@', _) => Some((Kind::At, 1)),
            (',', _) => Some((Kind::Comma, 1)),
            ('.', Some('.')) => Some((Kind::DoubleDot, 2)),
            ('.', Some('0'..='9')) => None,
            ('.', _) => Some((Kind::Dot, 1)),
            ('/', Some('/')) => Some((Kind::Operator(Operator::DoubleSlash), 2)),
            ('/', _) => Some((Kind::Operator(Operator::Slash), 1)),
            ('|', _) => Some((Kind::Operator(Operator::Union), 1)),
            ('+', _) => calculate(Arithmetic::Add),
            ('-', _) => calculate(Arithmetic::Subtract),
            ('=', _) => compare(Comparison::Equal, 1),
            ('!', Some('=')) => compare(Comparison::NotEqual, 2),
            ('<', Some('=')) => compare(Comparison::LessOrEqual, 2),
            ('<', _) => compare(Comparison::Less, 1),
            ('>', Some('=')) => compare(Comparison::GreaterOrEqual, 2),
            ('>', _) => compare(Comparison::Greater, 1),
            _ => None,
        }
    }

    fn text(&mut self, quote: char) -> Result<Kind, XPathError> {
        let begin = self.next;
        self.next += 1;
        let text = self.take_while(|c| c != quote);
        if self.peek(0).is_none() {
            return Err(self.fault(begin, Problem::OpenText));
        }
        self.next += 1;
        Ok(Kind::Text(text))
    }

    fn number(&mut self) -> Kind {
        let mut written = self.take_while(|c| c.is_ascii_digit());
        if self.peek(0) == Some('.') {
            self.next += 1;
            let fraction = self.take_while(|c| c.is_ascii_digit());
            written = format!("{written}.{fraction}");
        }
        Kind::Number(written.parse().expect("digits with at most one dot and at least one digit are a number"))
    }

    /// What begins with a name: an operator, an axis, a type of nodes, a function, or the name of an element or attribute.
    fn word(&mut self) -> Result<Kind, XPathError> {
        let begin = self.next;
        let operator_expected = self.after_operand();
        let name = self.take_while(continues_name);
        if operator_expected {
            return self.named_operator(begin, name);
        }
        if self.peek(0) == Some(':') && self.peek(1) != Some(':') {
            return Err(self.prefix(begin, name));
        }
        let after_name = self.next;
        self.skip_space();
        match (self.peek(0), self.peek(1)) {
            (Some('('), _) => {
                self.next += 1;
                Ok(match name.as_str() {
                    "node" => Kind::NodeType(NodeType::Any),
                    "text" => Kind::NodeType(NodeType::Text),
                    "comment" => Kind::NodeType(NodeType::Comment),
                    "processing-instruction" => Kind::NodeType(NodeType::Instruction),
                    _ => Kind::Call(name),
                })
            }
            (Some(':'), Some(':')) => {
                self.next += 2;
                match Axis::named(&name) {
                    Some(axis) => Ok(Kind::Axis(axis)),
                    None if name == "namespace" => Err(self.fault(begin, Problem::NamespaceAxis)),
                    None => Err(self.fault(begin, Problem::Axis(name))),
                }
            }
            _ => {
                self.next = after_name;
                Ok(Kind::Name(name))
            }
        }
    }

    fn named_operator(&self, begin: usize, name: String) -> Result<Kind, XPathError> {
        Ok(Kind::Operator(match name.as_str() {
            "or" => Operator::Or,
            "and" => Operator::And,
            "div" => Operator::Calculate(Arithmetic::Divide),
            "mod" => Operator::Calculate(Arithmetic::Remainder),
            _ => {
                let problem = Problem::Expected { expected: "an operator or the end", found: format!("`{name}`") };
                return Err(self.fault(begin, problem));
            }
        }))
    }

    /// `prefix:name`, `prefix:*` or `prefix:name(`.
    fn prefix(&mut self, begin: usize, prefix: String) -> XPathError {
        self.next += 1;
        self.take_while(continues_name);
        self.skip_space();
        let problem = if self.peek(0) == Some('(') { Problem::FunctionPrefix(prefix) } else { Problem::Prefix(prefix) };
        self.fault(begin, problem)
    }
}
