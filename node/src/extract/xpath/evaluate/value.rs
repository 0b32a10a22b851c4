//! Booleans and numbers.

use super::super::super::ExtractError;
use super::super::ast::{Arithmetic, Bool, Number, Rounding};
use super::super::number;
use super::{Context, Evaluator};

impl<'x> Evaluator<'x, '_> {
    pub(in super::super) fn bool(&mut self, value: &'x Bool, context: Context) -> Result<bool, ExtractError> {
        self.meter.step()?;
        match value {
            Bool::Constant(value) => Ok(*value),
            Bool::AnyOf(parts) => self.some(parts, true, context),
            Bool::AllOf(parts) => Ok(!self.some(parts, false, context)?),
            Bool::Not(inner) => Ok(!self.bool(inner, context)?),
            Bool::Exists(nodes) => self.exists(nodes, context),
            Bool::Nonzero(number) => {
                let number = self.number(number, context)?;
                Ok(number != 0.0 && !number.is_nan())
            }
            Bool::NotEmpty(text) => Ok(!self.text(text, context)?.is_empty()),
            Bool::Bools { equal, sides } => {
                Ok((self.bool(&sides.0, context)? == self.bool(&sides.1, context)?) == *equal)
            }
            Bool::Numbers(comparison, sides) => {
                Ok(comparison.holds(self.number(&sides.0, context)?, self.number(&sides.1, context)?))
            }
            Bool::Texts { equal, sides } => {
                let (left, right) = self.texts(sides, context)?;
                Ok((left == right) == *equal)
            }
            Bool::NodesNodes(comparison, sides) => self.compare_nodes(*comparison, sides, context),
            Bool::NodesNumber(comparison, sides) => self.compare_number(*comparison, sides, context),
            Bool::NodesText { equal, sides } => self.compare_text(*equal, sides, context),
            Bool::StartsWith(sides) => {
                let (text, beginning) = self.texts(sides, context)?;
                Ok(text.starts_with(&*beginning))
            }
            Bool::Contains(sides) => {
                let (text, part) = self.texts(sides, context)?;
                self.weigh(text.len())?;
                Ok(text.contains(&*part))
            }
            Bool::Lang(asked) => {
                let asked = self.text(asked, context)?;
                Ok(self.language(context.place)?.is_some_and(|language| speaks(language, &asked)))
            }
        }
    }

    /// Whether one of `parts` is `wanted`; those after it are not looked at.
    fn some(&mut self, parts: &'x [Bool], wanted: bool, context: Context) -> Result<bool, ExtractError> {
        for part in parts {
            if self.bool(part, context)? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(in super::super) fn number(&mut self, value: &'x Number, context: Context) -> Result<f64, ExtractError> {
        self.meter.step()?;
        Ok(match value {
            Number::Constant(number) => *number,
            Number::Position => context.position as f64,
            Number::Last => context.size as f64,
            Number::Count(nodes) => self.nodes(nodes, context)?.len() as f64,
            Number::Sum(nodes) => {
                let mut sum = 0.0;
                for place in self.nodes(nodes, context)? {
                    sum += self.number_at(place)?;
                }
                sum
            }
            Number::Length(text) => {
                let text = self.text(text, context)?;
                self.weigh(text.len())?;
                text.chars().count() as f64
            }
            Number::OfText(text) => {
                let text = self.text(text, context)?;
                self.weigh(text.len())?;
                number::parsed(&text)
            }
            Number::OfBool(value) => f64::from(self.bool(value, context)?),
            Number::Negative(number) => -self.number(number, context)?,
            Number::Chain { first, rest } => {
                let mut value = self.number(first, context)?;
                for (operation, operand) in rest {
                    let operand = self.number(operand, context)?;
                    value = match operation {
                        Arithmetic::Add => value + operand,
                        Arithmetic::Subtract => value - operand,
                        Arithmetic::Multiply => value * operand,
                        Arithmetic::Divide => value / operand,
                        Arithmetic::Remainder => value % operand,
                    };
                }
                value
            }
            Number::Rounded(rounding, number) => {
                let number = self.number(number, context)?;
                match rounding {
                    Rounding::Floor => number.floor(),
                    Rounding::Ceiling => number.ceil(),
                    Rounding::Nearest => number::rounded(number),
                }
            }
        })
    }
}

/// Whether `language` is `asked` or a kind of it (section 4.3).
fn speaks(language: &str, asked: &str) -> bool {
    let (Some(head), Some(tail)) = (language.get(..asked.len()), language.get(asked.len()..)) else { return false };
    head.eq_ignore_ascii_case(asked) && (tail.is_empty() || tail.starts_with('-'))
}
