//! Ops that are JSON and break a rule of their type: refused as invalid, and nothing committed.

use serde_json::{Value, json};

use crate::{
    http::hostile::{Target, custom, request},
    support::new_id,
};

/// One op of each type with every field it may have.
fn templates() -> Vec<Value> {
    let types = [
        json!({"type": "object.create", "object_id": "a", "kind": "rect", "z": "a", "props": {}}),
        json!({"type": "object.update", "object_id": "a", "z": "a", "set": {}, "unset": []}),
        json!({"type": "object.delete", "object_ids": ["a"]}),
        json!({"type": "stroke.begin", "object_id": "s", "z": "a", "tool": "pen", "props": {}, "points": []}),
        json!({"type": "stroke.append", "object_id": "s", "index": 1, "points": []}),
        json!({"type": "stroke.end", "object_id": "s", "count": 1}),
        json!({"type": "canvas.set", "set": {}}),
        json!({"type": "canvas.clear"}),
        json!({"type": "undo", "unit": new_id()}),
        json!({"type": "custom.a", "data": 1}),
    ];
    let with_common = |mut op: Value| {
        op["op_id"] = new_id().into();
        op["client_id"] = "tab".into();
        op["meta"] = json!({});
        op
    };
    types.into_iter().map(with_common).collect()
}

/// True if a field takes a value.
fn takes(field: &str, value: &Value) -> bool {
    match field {
        "client_id" | "object_id" | "kind" | "z" | "tool" => value == "text",
        "meta" | "props" | "set" => value.is_object(),
        "unset" | "object_ids" | "points" => *value == json!([]),
        "index" | "count" => *value == json!(7),
        "data" => true,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_of_its_type() {
    let values = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!("text"),
        json!([]),
        json!({}),
        json!([[]]),
        json!([null]),
        json!([{}]),
        json!({"": {}}),
    ];
    for target in Target::both().await {
        for template in templates() {
            for field in template.as_object().unwrap().keys() {
                for value in values.iter().filter(|value| !takes(field, value)) {
                    let mut op = template.clone();
                    op[field] = value.clone();
                    let body = json!({"ops": [op]}).to_string();
                    target.expect_refused(body, 422, "invalid_op").await;
                }
            }
        }
        target.expect_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_op_has_its_fields_and_no_others() {
    let optional = ["client_id", "meta", "z", "set", "unset"];
    let all = [
        "object_id",
        "kind",
        "z",
        "props",
        "set",
        "unset",
        "object_ids",
        "tool",
        "points",
        "index",
        "count",
        "data",
        "revision",
        "actor",
        "ts",
        "op",
        "",
        "OP_ID",
        "op_id ",
    ];
    let sample = |field: &str| match field {
        "props" | "set" => json!({}),
        "unset" | "object_ids" | "points" => json!([]),
        "index" | "count" | "revision" | "ts" => json!(1),
        _ => json!("a"),
    };
    for target in Target::both().await {
        for template in templates() {
            let present = template.as_object().unwrap();
            let is_required = |field: &&String| {
                !optional.contains(&field.as_str()) || (*field == "set" && template["type"] == "canvas.set")
            };
            for field in present.keys().filter(is_required) {
                let mut op = template.clone();
                op.as_object_mut().unwrap().remove(field);
                target.expect_refused(json!({"ops": [op]}).to_string(), 422, "invalid_op").await;
            }
            for field in all.iter().filter(|field| !present.contains_key(**field)) {
                let mut op = template.clone();
                op[*field] = sample(field);
                target.expect_refused(json!({"ops": [op]}).to_string(), 422, "invalid_op").await;
            }
        }
        for no_op in ["null", "7", "\"op\"", "[]", "{}", "[[]]", "true"] {
            target.expect_refused(format!(r#"{{"ops":[{no_op}]}}"#), 422, "invalid_op").await;
        }
        // The fields of an op in their order, without their names.
        let array = format!(r#"{{"ops":[["{}","canvas.clear"]]}}"#, new_id());
        target.expect_refused(array, 422, "invalid_op").await;
        target.expect_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_stands_twice_is_refused_at_every_level() {
    let clear = r#""type":"canvas.clear""#;
    let rows = [
        request(&format!(r#"{clear},"op_id":"{}""#, new_id())),
        request(&format!("{clear},{clear}")),
        request(&format!(r#"{clear},"meta":{{}},"meta":{{}}"#)),
        request(&format!(r#"{clear},"meta":{{"a":1,"a":1}}"#)),
        request(&format!(r#"{clear},"\u0074ype":"canvas.clear""#)),
        request(r#""type":"canvas.set","set":{"a":1,"b":2,"a":1}"#),
        request(r#""type":"canvas.set","set":{"a":1,"\u0061":2}"#),
        request(r#""type":"canvas.set","set":{"":1,"":2}"#),
        request(
            r#""type":"object.create","object_id":"a","kind":"rect","props":{"a":{"b":[{"c":1,"c":2}]}}"#,
        ),
        request(r#""type":"object.update","object_id":"a","set":{"a":1},"unset":["b","a"]"#),
        request(r#""type":"object.update","object_id":"a","set":{"\u0061":1},"unset":["a"]"#),
        custom(r#"{"a":1,"a":1}"#),
        custom(r#"[[[{"a":{},"b":[],"a":null}]]]"#),
    ];
    for target in Target::both().await {
        for body in &rows {
            target.expect_refused(body.clone(), 422, "invalid_op").await;
        }
        target.expect_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_readers_cannot_hold_are_refused_wherever_they_stand() {
    let digits = "9".repeat(10_000);
    let faulty =
        ["1e400", "-1e400", "1e99999999999999999999", "9007199254740993", "-9007199254740993", &digits];
    for target in Target::both().await {
        for number in faulty {
            let rows = [
                custom(number),
                custom(&format!(r#"{{"a":[{number}]}}"#)),
                request(&format!(r#""type":"canvas.set","set":{{"x":{number}}}"#)),
                request(&format!(r#""type":"canvas.clear","meta":{{"x":{number}}}"#)),
                request(&format!(
                    r#""type":"stroke.append","object_id":"s","index":1,"points":[[0,{number}]]"#
                )),
                request(&format!(r#""type":"stroke.append","object_id":"s","index":{number},"points":[]"#)),
                request(&format!(r#""type":"stroke.end","object_id":"s","count":{number}"#)),
            ];
            for body in rows {
                target.expect_refused(body, 422, "invalid_op").await;
            }
        }
        target.expect_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_surrogate_pair_is_refused_wherever_it_stands() {
    for target in Target::both().await {
        for half in [r"\ud800", r"\udc00", r"\ud800\ud800", r"\ud800x", r"\udbff\u0061", r"\uD83D "] {
            let rows = [
                custom(&format!(r#""{half}""#)),
                custom(&format!(r#"[{{"{half}":1}}]"#)),
                request(&format!(r#""type":"canvas.clear","meta":{{"a":"{half}"}}"#)),
                request(&format!(r#""type":"canvas.clear","client_id":"{half}""#)),
                request(&format!(r#""type":"canvas.set","set":{{"{half}":1}}"#)),
                request(&format!(r#""type":"object.update","object_id":"{half}""#)),
                request(&format!(r#""type":"object.update","object_id":"a","z":"{half}""#)),
                request(&format!(r#""type":"object.update","object_id":"a","unset":["{half}"]"#)),
                request(&format!(r#""type":"object.create","object_id":"a","kind":"{half}","props":{{}}"#)),
                request(&format!(r#""type":"custom.{half}","data":1"#)),
                request(&format!(r#""type":"canvas.clear","{half}":1"#)),
            ];
            for body in rows {
                target.expect_refused(body, 422, "invalid_op").await;
            }
        }
        target.expect_sound().await;
    }
}
