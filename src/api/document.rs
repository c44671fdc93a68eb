//! The OpenAPI document as a whole, and what holds for every operation, added once all operations are in it.
//!
//! Owns the answers that no handler gives by itself, and that ops which are sent have no fields beside their own. What one
//! operation answers stands above its handler.

use bytes::Bytes;
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, ResponseBuilder, Schema,
    path::{Operation, PathItem},
    schema::{AdditionalProperties, Object, OneOf},
};

use super::QueryParameters;

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
    close_ops(document);
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

/// Lists the ops that can be sent, each with all of its fields, and says that it has no others.
fn close_ops(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let object = |name: &str| match components.schemas.get(name) {
        Some(RefOr::T(Schema::Object(object))) => Some(object.clone()),
        _ => None,
    };
    let Some(RefOr::T(Schema::OneOf(canvas))) = components.schemas.get("CanvasOp") else { return };
    let of_canvas = canvas.items.iter().filter_map(|op| {
        let RefOr::T(Schema::AllOf(parts)) = op else { return None };
        let mut whole = Object::new();
        for part in &parts.items {
            let part = match part {
                RefOr::Ref(reference) => object(reference.ref_location.rsplit('/').next()?)?,
                RefOr::T(Schema::Object(part)) => part.clone(),
                RefOr::T(_) => return None,
            };
            whole.schema_type = part.schema_type;
            whole.properties.extend(part.properties);
            whole.required.extend(part.required);
        }
        whole.description.clone_from(&parts.description);
        Some(whole)
    });
    let ops = of_canvas.chain(object("CustomOp")).map(|mut op| {
        op.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        op.into()
    });
    let mut input = OneOf::new();
    input.items = ops.collect();
    input.description = Some("An op as a client sends it.".to_owned());
    components.schemas.insert("OpInput".to_owned(), RefOr::T(Schema::OneOf(input)));
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    #[test]
    fn every_op_that_can_be_sent_is_there_and_closed() {
        let document = serde_json::to_value(crate::server::openapi_document()).unwrap();
        let ops = document["components"]["schemas"]["OpInput"]["oneOf"].as_array().unwrap();
        assert_eq!(ops.len(), 11);
        for op in ops {
            assert_eq!(op["additionalProperties"], Value::Bool(false), "{op}");
            let required = op["required"].as_array().unwrap();
            for field in ["op_id", "type"] {
                assert!(required.iter().any(|name| name == field), "{op}");
                assert!(op["properties"][field].is_object(), "{op}");
            }
        }
    }
}
