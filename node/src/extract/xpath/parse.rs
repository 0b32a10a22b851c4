//! From tokens to a typed expression: operators by their precedence (XPath 1.0, section 3), paths in `path`, functions in `function`.

mod path;

use super::ast::{Arithmetic, Expr, Nodes, Number, Origin, Predicate, Text};
use super::error::{Problem, XPathError};
use super::function::{self, Argument};
use super::token::{Kind, Operator, Token, tokens};

/// Longest expression, characters.
pub(super) const LENGTH_MAX: usize = 1_024;

/// Deepest nesting of brackets, and most comparisons in a row: both are evaluated recursively.
pub(super) const DEPTH_MAX: usize = 32;

/// Reads a whole expression.
pub(super) fn expression(written: &str) -> Result<Expr, XPathError> {
    if written.chars().nth(LENGTH_MAX).is_some() {
        return Err(XPathError { at: LENGTH_MAX + 1, problem: Problem::TooLong { limit: LENGTH_MAX } });
    }
    let mut parser = Parser { tokens: tokens(written)?, next: 0, depth: 0, positional: false };
    let expr = parser.operators(LOWEST)?;
    match parser.peek() {
        Kind::End => Ok(expr),
        _ => Err(parser.expected("an operator or the end")),
    }
}

/// How tightly an operator binds; the signs of numbers and `|` stand between the last of these and a path.
const LOWEST: u8 = 1;

fn level(operator: Operator) -> Option<u8> {
    Some(match operator {
        Operator::Or => LOWEST,
        Operator::And => 2,
        Operator::Compare(comparison) if comparison.equality().is_some() => 3,
        Operator::Compare(_) => 4,
        Operator::Calculate(Arithmetic::Add | Arithmetic::Subtract) => 5,
        Operator::Calculate(_) => 6,
        Operator::Union | Operator::Slash | Operator::DoubleSlash => return None,
    })
}

struct Parser {
    /// The last one is the end.
    tokens: Vec<Token>,
    next: usize,
    /// Open brackets.
    depth: usize,
    /// Whether position() or last() occurred in the innermost predicate.
    positional: bool,
}

impl Parser {
    fn token(&self) -> &Token {
        self.tokens.get(self.next).or(self.tokens.last()).expect("there is always an end")
    }

    fn peek(&self) -> &Kind {
        &self.token().kind
    }

    fn at(&self) -> usize {
        self.token().at
    }

    fn advance(&mut self) {
        self.next += 1;
    }

    /// Steps over `kind` if it stands here.
    fn accept(&mut self, kind: &Kind) -> bool {
        let is_here = self.peek() == kind;
        if is_here {
            self.advance();
        }
        is_here
    }

    fn expected(&self, expected: &'static str) -> XPathError {
        XPathError { at: self.at(), problem: Problem::Expected { expected, found: self.token().shown() } }
    }

    fn too_deep(&self) -> XPathError {
        XPathError { at: self.at(), problem: Problem::TooDeep { limit: DEPTH_MAX } }
    }

    /// Reads what stands in brackets, the bracket itself being read already.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, XPathError>) -> Result<T, XPathError> {
        if self.depth == DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let inner = read(self)?;
        self.depth -= 1;
        Ok(inner)
    }

    /// An expression whose operators bind at least as tightly as `minimum`.
    fn operators(&mut self, minimum: u8) -> Result<Expr, XPathError> {
        let mut left = self.signed()?;
        let mut comparisons = 0;
        loop {
            let Kind::Operator(operator) = *self.peek() else { return Ok(left) };
            let Some(level) = level(operator).filter(|level| *level >= minimum) else { return Ok(left) };
            if matches!(operator, Operator::Compare(_)) {
                comparisons += 1;
                if comparisons > DEPTH_MAX {
                    return Err(self.too_deep());
                }
            }
            self.advance();
            let right = self.operators(level + 1)?;
            left = match operator {
                Operator::Or => left.or(right),
                Operator::And => left.and(right),
                Operator::Compare(comparison) => left.compared(comparison, right),
                Operator::Calculate(operation) => left.calculated(operation, right),
                Operator::Union | Operator::Slash | Operator::DoubleSlash => left,
            };
        }
    }

    /// A union with any number of minus signs before it.
    fn signed(&mut self) -> Result<Expr, XPathError> {
        let mut signs = 0;
        while self.accept(&Kind::Operator(Operator::Calculate(Arithmetic::Subtract))) {
            signs += 1;
        }
        let expr = self.union()?;
        Ok(match signs {
            0 => expr,
            signs if signs % 2 == 0 => Expr::Number(expr.into_number()),
            _ => Expr::Number(Number::Negative(Box::new(expr.into_number()))),
        })
    }

    fn union(&mut self) -> Result<Expr, XPathError> {
        let at = self.at();
        let first = self.path()?;
        if *self.peek() != Kind::Operator(Operator::Union) {
            return Ok(first);
        }
        let mut parts = vec![first.into_nodes(at, "`|`")?];
        while self.accept(&Kind::Operator(Operator::Union)) {
            let at = self.at();
            parts.push(self.path()?.into_nodes(at, "`|`")?);
        }
        Ok(Expr::Nodes(Nodes::Union(parts)))
    }

    /// A location path, or another expression with predicates and a path behind it.
    fn path(&mut self) -> Result<Expr, XPathError> {
        if !matches!(self.peek(), Kind::Open | Kind::Text(_) | Kind::Number(_) | Kind::Call(_)) {
            return Ok(Expr::Nodes(self.location()?));
        }
        let at = self.at();
        let mut expr = self.primary()?;
        if *self.peek() == Kind::OpenBracket {
            let base = Box::new(expr.into_nodes(at, "a predicate")?);
            expr = Expr::Nodes(Nodes::Filter { base, predicates: self.predicates()? });
        }
        if !matches!(self.peek(), Kind::Operator(Operator::Slash | Operator::DoubleSlash)) {
            return Ok(expr);
        }
        let from = Origin::Nodes(Box::new(expr.into_nodes(at, "a path")?));
        Ok(Expr::Nodes(Nodes::Path { from, steps: self.further_steps(Vec::new())? }))
    }

    fn primary(&mut self) -> Result<Expr, XPathError> {
        let Token { kind, at } = self.token().clone();
        self.advance();
        match kind {
            Kind::Text(text) => Ok(Expr::Text(Text::Constant(text))),
            Kind::Number(number) => Ok(Expr::Number(Number::Constant(number))),
            Kind::Call(name) => self.nested(|parser| parser.call(&name, at)),
            _ => self.nested(|parser| {
                let inner = parser.operators(LOWEST)?;
                if !parser.accept(&Kind::Close) {
                    return Err(parser.expected("an operator or `)`"));
                }
                Ok(inner)
            }),
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Expr, XPathError> {
        let known = function::named(name, at)?;
        let mut arguments = Vec::new();
        if !self.accept(&Kind::Close) {
            loop {
                let at = self.at();
                arguments.push(Argument { expr: self.operators(LOWEST)?, at });
                if self.accept(&Kind::Close) {
                    break;
                }
                if !self.accept(&Kind::Comma) {
                    return Err(self.expected("`,` or `)`"));
                }
            }
        }
        self.positional |= known.is_positional();
        known.call(arguments, at)
    }

    fn predicates(&mut self) -> Result<Vec<Predicate>, XPathError> {
        let mut predicates = Vec::new();
        while self.accept(&Kind::OpenBracket) {
            let outside = std::mem::replace(&mut self.positional, false);
            let expr = self.nested(|parser| parser.operators(LOWEST))?;
            if !self.accept(&Kind::CloseBracket) {
                return Err(self.expected("an operator or `]`"));
            }
            predicates.push(expr.into_predicate(self.positional));
            self.positional = outside;
        }
        Ok(predicates)
    }
}
