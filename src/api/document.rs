//! The OpenAPI document as a whole, and what holds for every operation, added once all operations are in it.
//!
//! Owns the answers that no handler gives by itself, and words and examples that follow from others. What one operation
//! answers stands above its handler.

use bytes::Bytes;
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, ResponseBuilder, Schema,
    path::{Operation, PathItem},
};

use crate::http::QueryParameters;

/// The document as it is served, and what the server itself wants to know of it.
#[derive(Clone, Debug)]
pub struct Document {
    json: Bytes,
    parameters: QueryParameters,
}

impl Document {
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

const PROBLEM: &str = "application/problem+json";

/// Adds what holds for every operation.
pub fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (is_read, operation) in operations(item) {
            let answers = common_answers(path, is_read, operation);
            for (status, description) in answers {
                add_answer(operation, status, description);
            }
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

fn common_answers(path: &str, is_read: bool, operation: &Operation) -> Vec<(&'static str, &'static str)> {
    // The others say that they want no token.
    let wants_token = operation.security.is_none();
    let is_of = |name: &str| operation.tags.iter().flatten().any(|tag| tag == name);
    let mut answers = vec![("400", "`invalid_request`"), ("500", "`internal`")];
    if operation.request_body.is_some() {
        answers.push(("413", "`too_large`"));
        answers.push(("415", "`unsupported_media_type`"));
    }
    if wants_token {
        answers.push(("401", "`unauthenticated`"));
    }
    // Tickets are no writes.
    if wants_token && !is_read && !is_of("identity") {
        answers.push(("429", "`rate_limited`, with `Retry-After`"));
    }
    if path.starts_with("/v1/") {
        let unavailable = "`store_unavailable`, `identity_unavailable`, `overloaded`, `timeout`, `draining`, with `Retry-After`";
        answers.push(("503", unavailable));
    }
    answers
}

/// Adds an answer, or what a bare one means.
fn add_answer(operation: &mut Operation, status: &str, description: &str) {
    let problem = || {
        let content = Content::new(Some(Ref::from_schema_name("Problem")));
        ResponseBuilder::new().description(description).content(PROBLEM, content).build()
    };
    let answer = operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem().into());
    if let RefOr::T(response) = answer
        && response.description.is_empty()
    {
        description.clone_into(&mut response.description);
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
            for (status, answer) in &mut operation.responses.responses {
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
                answer.description = match &**status {
                    "403" => "`forbidden`".to_owned(),
                    "404" => "`not_found`".to_owned(),
                    _ => body.and_then(described).unwrap_or_default(),
                };
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
