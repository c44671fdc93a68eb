//! Problems as the OpenAPI document has them: an operation names its codes, and the rest follows from
//! [`ErrorCode`].
//!
//! Owns how a code is described there. It answers nothing.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{Content, Ref, RefOr, Response, ResponseBuilder},
};

use crate::error::ErrorCode;

/// The problems of an operation, for its `responses(…)`: `Problems<{ codes![Forbidden, NotFound] }>`.
#[derive(Debug)]
pub(crate) struct Problems<const CODES: u64>;

/// Some codes, as [`Problems`] takes them.
macro_rules! codes {
    ($($code:ident),+ $(,)?) => {
        $crate::http::documented::set_of(&[$($crate::error::ErrorCode::$code),+])
    };
}
pub(crate) use codes;

/// A set of codes in one number, which a type can have as a parameter.
pub(crate) const fn set_of(codes: &[ErrorCode]) -> u64 {
    let mut set = 0;
    let mut rest = codes;
    while let [code, others @ ..] = rest {
        set |= 1 << *code as u32;
        rest = others;
    }
    set
}

const _: () = assert!(ErrorCode::ALL.len() <= u64::BITS as usize);

impl<const CODES: u64> IntoResponses for Problems<CODES> {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut by_status = BTreeMap::<u16, Vec<ErrorCode>>::new();
        for code in ErrorCode::ALL.iter().filter(|code| CODES & set_of(&[**code]) != 0) {
            by_status.entry(code.status()).or_default().push(*code);
        }
        let answer = |(status, codes): (u16, Vec<_>)| {
            (status.to_string(), ResponseBuilder::new().description(describe(&codes)).build().into())
        };
        by_status.into_iter().map(answer).collect()
    }
}

/// The words for codes that share a status.
pub(crate) fn describe(codes: &[ErrorCode]) -> String {
    let names: Vec<_> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
    let names = names.join(", ");
    if codes.contains(&ErrorCode::LogDamaged) {
        return format!("{names}: not to be tried again until an operator has mended the log");
    }
    let is_for_later = codes.iter().all(|code| matches!(code.status(), 429 | 503));
    if is_for_later { format!("{names}, with `Retry-After`") } else { names }
}

/// Gives an answer the body that every problem has.
pub(crate) fn bear_problem(response: &mut Response) {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    response.content.insert("application/problem+json".to_owned(), content.into());
}
