//! The OpenAPI document as a whole, and what holds for every operation, added once all operations are in it.
//!
//! Owns the answers that no handler gives by itself, and words and examples that follow from others. The
//! answers of a single operation stand above its handler.

use bytes::Bytes;
use utoipa::openapi::{
    Content, OpenApi, RefOr, ResponseBuilder, Schema,
    path::{Operation, PathItem},
};

use crate::{
    error::ErrorCode,
    http::{
        QueryParameters,
        documented::{bear_problem, describe},
    },
};

/// The document as it is served, and what the server itself wants to know of it.
#[derive(Clone, Debug)]
pub struct OpenApiDocument {
    json: Bytes,
    parameters: QueryParameters,
}

impl OpenApiDocument {
    /// The whole document of a server.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn new(document: &OpenApi) -> serde_json::Result<Self> {
        Ok(Self { json: document.to_pretty_json()?.into(), parameters: QueryParameters::of(document)? })
    }

    /// The document as JSON.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// The parameters of all operations.
    #[must_use]
    pub fn parameters(&self) -> &QueryParameters {
        &self.parameters
    }
}

/// Adds what holds for every operation.
pub fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (is_read, operation) in operations(item) {
            for codes in common_codes(path, is_read, operation) {
                add_answer(operation, codes);
            }
            bear_problems(operation);
            refuse_null(operation);
        }
    }
    describe_answers(document);
    add_committed_examples(document);
}

/// The operations of a path, and whether they only read.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let writes = [put, post, delete, patch].into_iter().flatten().map(|operation| (false, operation));
    get.iter_mut().map(|operation| (true, operation)).chain(writes)
}

/// The codes that any such operation answers, by their status.
fn common_codes(path: &str, is_read: bool, operation: &Operation) -> Vec<&'static [ErrorCode]> {
    use ErrorCode::{
        Draining, IdentityUnavailable, Internal, InvalidRequest, Overloaded, RateLimited, StoreUnavailable,
        Timeout, TooLarge, Unauthenticated, UnsupportedMediaType,
    };
    // The others say that they want no token.
    let wants_token = operation.security.is_none();
    let is_of = |name: &str| operation.tags.iter().flatten().any(|tag| tag == name);
    let mut codes: Vec<&[_]> = vec![&[InvalidRequest], &[Internal]];
    if operation.request_body.is_some() {
        codes.push(&[TooLarge]);
        codes.push(&[UnsupportedMediaType]);
    }
    if wants_token {
        codes.push(&[Unauthenticated]);
    }
    // Tickets are no writes.
    if wants_token && !is_read && !is_of("identity") {
        codes.push(&[RateLimited]);
    }
    if path.starts_with("/v1/") {
        codes.push(&[StoreUnavailable, IdentityUnavailable, Overloaded, Timeout, Draining]);
    }
    codes
}

/// Adds the answer for codes that share a status, unless the operation has words of its own for it.
fn add_answer(operation: &mut Operation, codes: &[ErrorCode]) {
    let answer = || ResponseBuilder::new().description(describe(codes)).build().into();
    if let Some(code) = codes.first() {
        operation.responses.responses.entry(code.status().to_string()).or_insert_with(answer);
    }
}

/// An answer that says that something went wrong is a problem, unless it says that it is something else.
fn bear_problems(operation: &mut Operation) {
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && answer.content.is_empty()
            && status.starts_with(['4', '5'])
        {
            bear_problem(answer);
        }
    }
}

/// An answer without words of its own is described by the schema of its body.
fn describe_answers(document: &mut OpenApi) {
    let schemas =
        document.components.as_ref().map(|components| components.schemas.clone()).unwrap_or_default();
    let described = |name: &str| match schemas.get(name) {
        Some(RefOr::T(Schema::Object(object))) => object.description.clone(),
        _ => None,
    };
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            for answer in operation.responses.responses.values_mut() {
                let RefOr::T(answer) = answer else { continue };
                if !answer.description.is_empty() {
                    continue;
                }
                let body = answer.content.values().find_map(|content| match content {
                    RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => {
                        schema.ref_location.rsplit('/').next()
                    }
                    _ => None,
                });
                answer.description = body.and_then(described).unwrap_or_default();
            }
        }
    }
}

/// A body that may be left out is an object all the same: `null` is none.
fn refuse_null(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        let Some(RefOr::T(Schema::OneOf(either))) = &mut content.schema else { continue };
        either.items.retain(|item| matches!(item, RefOr::Ref(_)));
        if let [only] = &*either.items {
            content.schema = Some(only.clone());
        }
    }
}

/// Gives each op that is read the example of the one that is sent, as a log has it in which the examples stand one after
/// the other.
fn add_committed_examples(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let Some(RefOr::T(Schema::OneOf(sent))) = components.schemas.get("Op") else { return };
    let names = sent.items.iter().filter_map(|op| match op {
        RefOr::Ref(reference) => reference.ref_location.rsplit('/').next().map(str::to_owned),
        RefOr::T(_) => None,
    });
    for (nth, name) in Vec::from_iter(names).iter().enumerate() {
        let Some(RefOr::T(Schema::Object(sent))) = components.schemas.get(name) else { continue };
        let Some(mut example) = sent.examples.first().cloned() else { continue };
        example["revision"] = (nth + 1).into();
        example["actor"] = "alice".into();
        example["ts"] = 1_767_225_600_000_i64.into();
        let read =
            if name == "CustomOp" { "CommittedOtherOp".to_owned() } else { format!("Committed{name}") };
        if let Some(RefOr::T(Schema::Object(read))) = components.schemas.get_mut(&read) {
            read.examples = vec![example];
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    fn schemas() -> Value {
        serde_json::to_value(crate::server::openapi_document()).unwrap()["components"]["schemas"].take()
    }

    /// The schemas of a union, by their names.
    fn variants(schemas: &Value, union: &str) -> Vec<(String, Value)> {
        let all = schemas[union]["oneOf"].as_array().unwrap();
        let names = all.iter().map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap());
        names.map(|name| (name.to_owned(), schemas[name].clone())).collect()
    }

    #[test]
    fn every_op_is_flat_and_has_its_type_as_a_constant_that_leads_to_it() {
        let schemas = schemas();
        for (union, count) in [("Op", 11), ("CommittedOp", 12)] {
            let variants = variants(&schemas, union);
            assert_eq!(variants.len(), count);
            let mapping = &schemas[union]["discriminator"]["mapping"];
            assert_eq!(mapping.as_object().unwrap().len(), count - 1);
            for (name, op) in &variants[..count - 1] {
                assert_eq!(op["type"], "object", "{name}");
                let constants = op["properties"]["type"]["enum"].as_array().unwrap();
                let [Value::String(constant)] = &**constants else { panic!("{name}: {constants:?}") };
                assert!(mapping[constant].as_str().unwrap().ends_with(&format!("/{name}")), "{name}");
            }
            let (last, other) = &variants[count - 1];
            assert!(other["properties"]["type"]["enum"].is_null(), "{last} has any other type");
        }
    }

    #[test]
    fn what_is_sent_has_no_further_fields_and_what_is_read_may_have_them() {
        let schemas = schemas();
        for (name, op) in variants(&schemas, "Op") {
            assert_eq!(op["additionalProperties"], false, "{name}");
        }
        for (name, op) in variants(&schemas, "CommittedOp") {
            assert_ne!(op["additionalProperties"], false, "{name}");
            let required = op["required"].as_array().unwrap();
            for field in ["type", "op_id", "revision", "actor", "ts"] {
                assert!(required.iter().any(|name| name == field), "{name} {field}");
            }
        }
    }

    #[test]
    fn every_answer_has_a_description() {
        let document = serde_json::to_value(crate::server::openapi_document()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let description = answer["description"].as_str();
                    assert!(description.is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
                }
            }
        }
    }
}
