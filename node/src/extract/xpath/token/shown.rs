//! What tokens are called in messages.

use super::super::ast::{Arithmetic, Comparison};
use super::{Kind, Operator, Token};

impl Token {
    /// How the token is called in a message.
    pub(in super::super) fn shown(&self) -> String {
        let text = match &self.kind {
            Kind::End => return "the end".to_owned(),
            Kind::Text(_) => return "a text".to_owned(),
            Kind::Number(number) => return format!("the number {number}"),
            Kind::Name(name) => return format!("`{name}`"),
            Kind::Call(name) => return format!("`{name}(`"),
            Kind::Axis(_) => return "an axis".to_owned(),
            Kind::NodeType(_) => return "a test of nodes".to_owned(),
            Kind::Open => "(",
            Kind::Close => ")",
            Kind::OpenBracket => "[",
            Kind::CloseBracket => "]",
            Kind::Dot => ".",
            Kind::DoubleDot => "..",
            Kind::At => "@",
            Kind::Comma => ",",
            Kind::Star => "*",
            Kind::Operator(operator) => operator.written(),
        };
        format!("`{text}`")
    }
}

impl Operator {
    fn written(self) -> &'static str {
        match self {
            Self::Or => "or",
            Self::And => "and",
            Self::Compare(Comparison::Equal) => "=",
            Self::Compare(Comparison::NotEqual) => "!=",
            Self::Compare(Comparison::Less) => "<",
            Self::Compare(Comparison::LessOrEqual) => "<=",
            Self::Compare(Comparison::Greater) => ">",
            Self::Compare(Comparison::GreaterOrEqual) => ">=",
            Self::Calculate(Arithmetic::Add) => "+",
            Self::Calculate(Arithmetic::Subtract) => "-",
            Self::Calculate(Arithmetic::Multiply) => "*",
            Self::Calculate(Arithmetic::Divide) => "div",
            Self::Calculate(Arithmetic::Remainder) => "mod",
            Self::Union => "|",
            Self::Slash => "/",
            Self::DoubleSlash => "//",
        }
    }
}
