//! Fields that may be null, and those that may not: the OpenAPI document says what the server does, field by field.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{App, Client, new_id, op};

/// The properties of a schema by name, one map for each of its alternatives.
fn shapes(document: &Value, schema: &Value) -> Vec<BTreeMap<String, Value>> {
    if let Some(reference) = schema["$ref"].as_str() {
        return shapes(document, document.pointer(reference.strip_prefix('#').unwrap()).unwrap());
    }
    if let Some(alternatives) = schema["oneOf"].as_array() {
        return alternatives.iter().flat_map(|schema| shapes(document, schema)).collect();
    }
    let own = schema["properties"].as_object().into_iter().flatten();
    let own = own.map(|(name, schema)| (name.clone(), schema.clone())).collect();
    schema["allOf"].as_array().into_iter().flatten().fold(vec![own], |joined, part| {
        let parts = shapes(document, part);
        let join = |one: &BTreeMap<_, _>| {
            parts.iter().map(|part| one.clone().into_iter().chain(part.clone()).collect()).collect::<Vec<_>>()
        };
        joined.iter().flat_map(join).collect()
    })
}

/// A body that is as documented and that the server takes, for each request that has one.
fn body(method: &str, path: &str) -> Value {
    match (method, path) {
        ("post", "/v1/dev/tokens" | "/v1/drawings") => json!({}),
        ("post", "/v1/drawings/{drawing_id}/undo" | "/v1/drawings/{drawing_id}/redo") => json!({}),
        ("patch", "/v1/drawings/{drawing_id}") => json!({"title": "A title"}),
        ("post", "/v1/drawings/{drawing_id}/links") => json!({"role": "viewer"}),
        ("put", "/v1/drawings/{drawing_id}/members/{user_id}") => json!({"role": "viewer"}),
        ("post", "/v1/drawings/{drawing_id}/presence") => json!({"state": {}, "connection_id": new_id()}),
        ("post", "/v1/drawings/{drawing_id}/ops") => json!({"ops": [op(1)]}),
        _ => panic!("{method} {path} is new: give it a body here"),
    }
}

/// An op of a type, with what it must have; `unit` is in the log.
fn sample(type_name: &str, unit: &str) -> Value {
    let payload = match type_name {
        "object.create" => json!({"object_id": "a", "kind": "rect", "props": {}}),
        "object.update" => json!({"object_id": "a"}),
        "object.delete" => json!({"object_ids": []}),
        "stroke.begin" => json!({"object_id": "s", "tool": "pen", "props": {}, "points": []}),
        "stroke.append" => json!({"object_id": "s", "index": 1, "points": []}),
        "stroke.end" => json!({"object_id": "s", "count": 1}),
        "canvas.set" => json!({"set": {}}),
        "canvas.clear" => json!({}),
        "undo" | "redo" => json!({"unit": unit}),
        "custom.a" => json!({"data": 1}),
        _ => panic!("{type_name} is new: give it a payload here"),
    };
    let mut op = json!({"op_id": new_id(), "type": type_name});
    op.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
    op
}

/// A drawing of alice's, and what there is to know about requests.
struct Bench {
    alice: Client,
    drawing: String,
    document: Value,
}

impl Bench {
    async fn new(app: &App) -> Self {
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        alice.grant(&drawing, "bob", "viewer").await;
        let document = alice.get("/openapi.json").await.expect(200).json();
        Self { alice, drawing, document }
    }

    /// Every request with a body: its method, its path and the schema.
    fn requests(&self) -> Vec<(String, String, Value)> {
        let mut requests = Vec::new();
        for (path, operations) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                if !schema.is_null() {
                    requests.push((method.clone(), path.clone(), schema.clone()));
                }
            }
        }
        requests
    }

    /// Panics unless document and server say the same of this body.
    async fn expect_agreement(&self, method: &str, path: &str, schema: &Value, body: &Value) -> bool {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        let is_documented = jsonschema::validator_for(&schema).unwrap().is_valid(body);
        let concrete = path.replace("{drawing_id}", &self.drawing).replace("{user_id}", "bob");
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
        let answer = self.alice.call(method.clone(), &concrete, Some(body)).await;
        let is_taken = match answer.status {
            200 | 201 => true,
            // The form is right, and there is nothing to undo.
            409 => true,
            400 | 422 => false,
            status => panic!("{method} {path} {body} is answered {status}"),
        };
        assert_eq!(is_documented, is_taken, "{method} {path} {body}: {}", answer.json());
        is_taken
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_a_request_may_be_null_where_the_document_says_so_and_nowhere_else() {
    let app = App::sqlite().await;
    let bench = Bench::new(&app).await;
    let requests = bench.requests();
    assert!(requests.len() >= 8, "{requests:?}");
    for (method, path, schema) in &requests {
        let fresh = body(method, path);
        assert!(bench.expect_agreement(method, path, schema, &fresh).await, "{method} {path} {fresh}");
        for shape in shapes(&bench.document, schema) {
            for field in shape.keys() {
                let mut body = body(method, path);
                body[field] = Value::Null;
                bench.expect_agreement(method, path, schema, &body).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_an_op_may_be_null_where_the_document_says_so_and_nowhere_else() {
    let app = App::sqlite().await;
    let bench = Bench::new(&app).await;
    let begun = op(1);
    bench.alice.commit(&bench.drawing, std::slice::from_ref(&begun)).await.expect(200);
    let unit = begun["op_id"].as_str().unwrap();
    let requests = bench.requests();
    let (method, path, schema) = requests.iter().find(|(_, path, _)| path.ends_with("/ops")).unwrap();
    let types = shapes(&bench.document, &json!({"$ref": "#/components/schemas/Op"}));
    assert_eq!(types.len(), 11, "one a type");
    for fields in types {
        let type_name = fields["type"]["enum"][0].as_str().unwrap_or("custom.a");
        let whole = json!({"ops": [sample(type_name, unit)]});
        assert!(bench.expect_agreement(method, path, schema, &whole).await, "{whole}");
        for field in fields.keys() {
            let mut op = sample(type_name, unit);
            op[field] = Value::Null;
            let is_taken = bench.expect_agreement(method, path, schema, &json!({"ops": [op]})).await;
            assert_eq!(is_taken, field == "data", "{type_name} {field}");
        }
    }
}
