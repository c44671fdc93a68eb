//! The examples of the OpenAPI document: each is sent, or looks like what is answered.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{App, Client};

/// A drawing of alice's, and the document.
struct Bench {
    alice: Client,
    drawing: String,
    document: Value,
}

impl Bench {
    async fn new(app: &App) -> Self {
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        let document = alice.get("/openapi.json").await.expect(200).json();
        Self { alice, drawing, document }
    }

    /// The name of the schema that a request or an answer refers to, if it does.
    fn name(body: &Value) -> Option<&str> {
        let content = body["content"].as_object()?.values().next()?;
        content["schema"]["$ref"].as_str()?.rsplit('/').next()
    }

    fn examples(&self, schema: &str) -> Vec<Value> {
        self.document["components"]["schemas"][schema]["examples"].as_array().cloned().unwrap_or_default()
    }

    /// The examples of a union, in its order; of some variants there are none.
    fn examples_of_union(&self, union: &str) -> Vec<Value> {
        let variants = self.document["components"]["schemas"][union]["oneOf"].as_array().unwrap();
        let names = variants.iter().map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap());
        names.flat_map(|name| self.examples(name)).collect()
    }
}

/// The same with the kinds of values in the place of values, but for names that tell kinds apart.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "boolean".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect::<Map<_, _>>().into()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_ops_that_are_sent_make_the_log_of_those_that_are_read() {
    let app = App::sqlite().await;
    let bench = Bench::new(&app).await;
    let sent = bench.examples_of_union("Op");
    assert_eq!(sent.len(), 11, "one a type");
    bench.alice.commit(&bench.drawing, &sent).await.expect(200);
    let mut log = bench.alice.read_all(&bench.drawing, 0).await;
    for op in &mut log {
        op["ts"] = 1_767_225_600_000_i64.into();
    }
    assert_eq!(log, bench.examples_of_union("CommittedOp"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_has_an_example_that_is_taken_and_answered_as_the_example_of_the_answer() {
    let app = App::sqlite().await;
    let bench = Bench::new(&app).await;
    // Something to undo, and then to redo; who is removed is a member.
    let order = ["commit_ops", "undo", "redo"];
    let mut all = Vec::new();
    for (path, operations) in bench.document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let place = order.iter().position(|first| *first == id).unwrap_or(order.len());
            if let Some(request) = Bench::name(&operation["requestBody"]) {
                all.push((place, method, path, operation, request));
            }
        }
    }
    all.sort_by_key(|(place, ..)| *place);
    assert!(all.len() >= 9, "{}", all.len());
    for (_, method, path, operation, request) in all {
        let examples = bench.examples(request);
        assert!(!examples.is_empty(), "{request} has no example");
        for example in examples {
            let concrete = path.replace("{drawing_id}", &bench.drawing).replace("{user_id}", "bob");
            let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).unwrap();
            let answer = bench.alice.call(method, &concrete, Some(&example)).await;
            assert!((200..300).contains(&answer.status), "{path} {example}: {}", answer.json());
            let response = &operation["responses"][answer.status.to_string()];
            for told in Bench::name(response).map(|name| bench.examples(name)).unwrap_or_default() {
                assert_eq!(shape(&answer.json()), shape(&told), "{path}: {} and {told}", answer.json());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_a_problem_is_one_that_is_met() {
    let app = App::sqlite().await;
    let bench = Bench::new(&app).await;
    let path = format!("/v1/drawings/{}/ops", bench.drawing);
    let answer = bench.alice.post(&path, &json!({"ops": [{"type": "undo"}]})).await;
    let examples = bench.examples("Problem");
    let [example] = &*examples else { panic!("{examples:?}") };
    assert_eq!(answer.json(), *example);
}
