//! Malformed and malicious bodies of `POST …/ops`: refused with a problem, and nothing committed.

use serde_json::{Value, json};

use crate::support::{Answer, App, Client, new_id, op};

/// Levels of nesting that overflow the stack of whoever follows them one call a level.
const DEEP: usize = 100_000;

/// An owner with a drawing, on one of the databases.
pub(super) struct Target {
    alice: Client,
    drawing: String,
    path: String,
    _app: App,
}

impl Target {
    pub(super) async fn both() -> [Self; 2] {
        [Self::new(App::sqlite().await).await, Self::new(App::postgres().await).await]
    }

    async fn new(app: App) -> Self {
        let alice = app.client("alice").await;
        let drawing = alice.create_drawing().await;
        let path = format!("/v1/drawings/{drawing}/ops");
        Self { alice, drawing, path, _app: app }
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> Answer {
        self.alice.post_bytes(&self.path, body).await
    }

    /// Panics unless the body is refused in this way, and commits nothing.
    pub(super) async fn expect_refused(&self, body: impl Into<Vec<u8>>, status: u16, code: &str) {
        let body = body.into();
        let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        let answer = self.post(body).await;
        assert_eq!((answer.status, &*answer.code()), (status, code), "{shown}");
        assert!(answer.bytes.len() < 16 * 1024, "a problem is short: {shown}");
        assert_eq!(self.alice.head(&self.drawing).await, 0, "{shown}");
    }

    /// Panics unless the server lives and the log is as it was.
    pub(super) async fn expect_sound(&self) {
        self.alice.commit(&self.drawing, &[op(1)]).await.expect(200);
        assert_eq!(self.alice.read_all(&self.drawing, 0).await.len(), 1);
    }
}

/// A request of one op with these fields.
pub(super) fn request(fields: &str) -> String {
    format!(r#"{{"ops":[{{"op_id":"{}",{fields}}}]}}"#, new_id())
}

/// A request of one custom op with this data.
pub(super) fn custom(data: &str) -> String {
    request(&format!(r#""type":"custom.a","data":{data}"#))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_request_is_malformed() {
    let valid = json!({"ops": [op(1)]}).to_string();
    let mut rows: Vec<Vec<u8>> = (0..valid.len()).map(|end| valid.as_bytes()[..end].to_vec()).collect();
    let texts = [
        " ",
        "null",
        "true",
        "7",
        "\"ops\"",
        "[]",
        "{}",
        "{\"ops\":null}",
        "{\"ops\":{}}",
        "{\"ops\":7}",
        "{\"ops\":\"[]\"}",
        "{\"ops\":[]}",
        "{\"ops\":[],}",
        "{'ops':[]}",
        "{\"ops\":[7]}garbage",
        "{\"ops\":[7]}{\"ops\":[7]}",
        "{\"ops\":[7],\"dry_run\":true}",
        "{\"Ops\":[7]}",
        "{\"ops\":[7],\"ops\":[7]}",
        "{\"ops\":[7],\"if_revision\":0,\"if_revision\":0}",
        "{\"ops\":[7],\"if_revision\":-1}",
        "{\"ops\":[7],\"if_revision\":0.5}",
        "{\"ops\":[7],\"if_revision\":1e400}",
        "{\"ops\":[7],\"if_revision\":18446744073709551616}",
        "{\"ops\":[7],\"if_revision\":\"0\"}",
        "{\"ops\":[7],\"\\ud800\":1}",
        "{\"ops\":[7] /* seven */}",
        "\u{feff}{\"ops\":[7]}",
        "ops=%5B7%5D",
    ];
    rows.extend(texts.map(|text| text.as_bytes().to_vec()));
    // serde takes an array for the fields of a struct, unless it is told not to.
    rows.push(format!("[{},0]", json!([op(1)])).into_bytes());
    for number in ["01", "+1", "1.", ".5", "0x10", "1e", "--1", "NaN", "Infinity", "-Infinity", "1_000"] {
        rows.push(custom(number).into_bytes());
    }
    for text in [r#""\x41""#, r#""\u12""#, "\"\u{1}\"", "\"\0\"", "\"a\nb\"", "tru", "nul", "\"open"] {
        rows.push(custom(text).into_bytes());
    }
    for target in Target::both().await {
        for body in &rows {
            target.expect_refused(body.clone(), 400, "invalid_request").await;
        }
        target.expect_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_utf_8_are_malformed() {
    let faulty: [&[u8]; 8] = [
        b"\xff",
        b"\xc3",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\x80",
        b"\xfe\xff\x00o",
    ];
    let utf16: Vec<u8> = custom("1").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for target in Target::both().await {
        for bytes in faulty {
            for place in ["\"@\"", "{\"@\":1}", "@", "[1,@]"] {
                let (before, after) = place.split_once('@').unwrap();
                let whole = custom("#");
                let (head, tail) = whole.split_once('#').unwrap();
                let body = [head.as_bytes(), before.as_bytes(), bytes, after.as_bytes(), tail.as_bytes()];
                target.expect_refused(body.concat(), 400, "invalid_request").await;
            }
            target.expect_refused(bytes, 400, "invalid_request").await;
        }
        target.expect_refused(utf16.clone(), 400, "invalid_request").await;
        target.expect_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nesting_is_refused_however_deep() {
    let (open, close) = ("[".repeat(DEEP), "]".repeat(DEEP));
    let objects = r#"{"a":"#.repeat(DEEP);
    let malformed = [
        open.clone(),
        format!("{open}{close}"),
        objects.clone(),
        format!(r#"{{"ops":{open}"#),
        format!(r#"{{"ops":[{open}{close}"#),
        format!(r#"{{"if_revision":{open}{close},"ops":[]}}"#),
        format!(r#"{{"x":{open}{close},"ops":[]}}"#),
        custom(&open),
        custom(&objects),
    ];
    let invalid = [
        custom(&format!("{open}{close}")),
        custom(&format!("{objects}0{}", "}".repeat(DEEP))),
        format!(r#"{{"ops":[{open}{close}]}}"#),
        request(&format!(r#""type":"canvas.clear","meta":{{"a":{open}{close}}}"#)),
        request(&format!(r#""type":"stroke.append","object_id":"s","index":1,"points":{open}{close}"#)),
        request(&format!(r#""type":{open}{close}"#)),
        request(&format!(r#""type":"canvas.clear","unknown":{open}{close}"#)),
    ];
    for target in Target::both().await {
        for body in &malformed {
            target.expect_refused(body.clone(), 400, "invalid_request").await;
        }
        for body in &invalid {
            target.expect_refused(body.clone(), 422, "invalid_op").await;
        }
        target.expect_sound().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_odd_but_sound_is_stored_and_read_back_as_it_came() {
    let long = format!("0.{}", "1".repeat(5_000));
    let fields = [
        r#""type":"custom.a","data":"\u0000""#.to_owned(),
        r#""type":"custom.a","data":{"\u0000":["a\u0000b"]}"#.to_owned(),
        r#""type":"canvas.set","set":{"\u0000":"\u0000"}"#.to_owned(),
        r#""type":"canvas.clear","meta":{"\u0000":"\u0000"}"#.to_owned(),
        r#""type":"canvas.clear","client_id":"\u0000""#.to_owned(),
        r#""type":"object.create","object_id":"a","kind":"\u0000","props":{"\u0000":1}"#.to_owned(),
        r#""type":"object.update","object_id":"a","z":"\u0000","unset":["\u0000"]"#.to_owned(),
        r#""type":"stroke.begin","object_id":"s","tool":"\u0000","props":{},"points":[]"#.to_owned(),
        r#""type":"custom.a","data":"\ud83d\ude00\uffff\ufeff\u202e""#.to_owned(),
        r#""type":"custom.a","data":[null,"","'; DROP TABLE ops; --","$1","%00","\\u0000"]"#.to_owned(),
        r#""type":"custom.a","data":{"__proto__":{"x":1},"constructor":null,"":{}}"#.to_owned(),
        r#""type":"custom.a","data":[1e-400,-0,-0.0,0e0,1E+2,4.9e-324,1.7976931348623157e308]"#.to_owned(),
        format!(r#""type":"custom.a","data":{long}"#),
        r#""type":"object.delete","object_ids":[]"#.to_owned(),
        r#""type":"object.delete","object_ids":["a","a"]"#.to_owned(),
        r#""type":"custom.a","data":null"#.to_owned(),
    ];
    for target in Target::both().await {
        for (nth, fields) in (1..).zip(&fields) {
            target.post(request(fields)).await.expect(200);
            let read = target.alice.get(&format!("{}?after={}", target.path, nth - 1)).await.expect(200);
            let text = String::from_utf8(read.bytes.clone()).unwrap();
            assert!(text.contains(fields), "{fields}: {text}");
            assert_eq!(read.json()["to"], nth, "{text}");
            let packed = target.alice.get_with(&target.path, &[("accept", "application/msgpack")]).await;
            rmp_serde::from_slice::<Value>(&packed.expect(200).bytes).unwrap();
        }
        let null = json!({"ops": [op(1)], "if_revision": null});
        target.alice.post(&target.path, &null).await.expect(200);
    }
}
