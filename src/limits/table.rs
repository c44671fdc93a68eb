//! Limits as rows of a table: names, values and what their comments say.
//!
//! Owns the macro that makes a constant and its row out of one definition. It knows no limit by itself.

use std::time::Duration;

/// Separates what a limit counts from what happens at its bound, in its comment.
const AT_THE_BOUND: &str = " At the bound: ";

/// Limits about one subject.
#[derive(Clone, Debug)]
pub struct Section {
    /// The subject.
    pub title: &'static str,
    /// The limits, in the order in which they are defined.
    pub limits: Vec<Limit>,
}

/// One limit.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The name of the constant.
    pub name: &'static str,
    /// The value of the constant.
    pub value: Value,
    /// The thing that it counts or measures, with its unit.
    pub meaning: String,
    /// The effect at the bound, if it bounds something.
    pub at_the_bound: Option<String>,
}

/// The value of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A count or a size.
    Number(u64),
    /// A time.
    Period(Duration),
    /// Times that depend on a count: up to so many, so long.
    Steps(Vec<(u64, Duration)>),
}

impl Limit {
    /// A limit with the lines of its comment.
    pub(super) fn new(name: &'static str, value: Value, comment: &[&str]) -> Self {
        let text = comment.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        // In a comment a name in brackets leads to a definition; in a table it leads nowhere.
        let text = text.replace("[`", "`").replace("`]", "`");
        let (meaning, bound) = match text.split_once(AT_THE_BOUND) {
            Some((meaning, bound)) => (meaning.to_owned(), Some(bound.to_owned())),
            None => (text, None),
        };
        Self { name, value, meaning, at_the_bound: bound }
    }
}

macro_rules! from_number {
    ($convert:ident: $($number:ty)+) => {
        $(impl From<$number> for Value {
            fn from(number: $number) -> Self {
                Self::Number($convert(number))
            }
        })+
    };
}

from_number! { widened: u8 u16 u32 u64 }
from_number! { fitted: usize i64 }

fn widened(number: impl Into<u64>) -> u64 {
    number.into()
}

/// No limit is negative, and none has more than 64 bits.
fn fitted(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

impl From<Duration> for Value {
    fn from(period: Duration) -> Self {
        Self::Period(period)
    }
}

impl<const N: usize> From<[(usize, Duration); N]> for Value {
    fn from(steps: [(usize, Duration); N]) -> Self {
        let step = |(count, period)| (u64::try_from(count).unwrap_or(u64::MAX), period);
        Self::Steps(steps.into_iter().map(step).collect())
    }
}

/// Defines limits about one subject, and a function of the given name that lists them.
macro_rules! limits {
    (
        $section:ident, $title:literal;
        $($(#[doc = $comment:literal])+ pub const $name:ident: $type:ty = $value:expr;)+
    ) => {
        $($(#[doc = $comment])+ pub const $name: $type = $value;)+

        fn $section() -> Section {
            let limits = vec![$(Limit::new(stringify!($name), Value::from($name), &[$($comment),+]),)+];
            Section { title: $title, limits }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_parted_where_it_comes_to_the_bound() {
        let limit = Limit::new("A", Value::from(3_u8), &[" Things in", " [`B`].", " At the bound: `503`."]);
        assert_eq!(limit.meaning, "Things in `B`.");
        assert_eq!(limit.at_the_bound.as_deref(), Some("`503`."));
        assert_eq!(limit.value, Value::Number(3));
        assert_eq!(Limit::new("A", Value::from(3_u8), &[" Things."]).at_the_bound, None);
    }
}
