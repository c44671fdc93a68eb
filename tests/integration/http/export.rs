//! `GET /v1/drawings/{id}/export`: a drawing as a view, as a picture and as its log, at any revision.

use std::io::Read as _;

use reqwest::Method;
use revcast::clock::now_ms;
use roxmltree::Document;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::{
    http::snapshot::{scribbled, snapshot},
    support::{App, Client, new_id, program, within},
};

const FORMATS: [(&str, &str); 3] =
    [("json", "application/json"), ("svg", "image/svg+xml"), ("ndjson", "application/x-ndjson")];

fn export(drawing: &str, query: &str) -> String {
    format!("/v1/drawings/{drawing}/export?format={query}")
}

/// The ops of a log as it is exported.
pub fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = str::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line ends, too");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_is_a_file_in_three_formats_at_any_revision_or_time() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let (id, log) = scribbled(&alice).await;
        let head = log.len();
        let epoch = alice.get(&snapshot(&id, "")).await.json()["epoch"].as_str().unwrap().to_owned();
        let rows = [
            (String::new(), head),
            (format!("&at={head}"), head),
            ("&at=6".to_owned(), 6),
            ("&at=0".to_owned(), 0),
            (format!("&at=3&epoch={epoch}"), 3),
            ("&at_time=0".to_owned(), 0),
            (format!("&at_time={}", now_ms() + 60_000), head),
        ];
        for (query, revision) in rows {
            let at = alice.get(&snapshot(&id, &format!("?at={revision}"))).await.expect(200);
            for (format, content_type) in FORMATS {
                let answer = alice.get(&export(&id, &format!("{format}{query}"))).await.expect(200);
                let header = |name: &str| answer.headers[name].to_str().unwrap();
                assert_eq!(header("content-type"), content_type);
                let name = format!("attachment; filename=\"{id}-{revision}.{format}\"");
                assert_eq!(header("content-disposition"), name);
                assert_eq!(header("x-content-type-options"), "nosniff");
                assert_eq!(header("cache-control"), "no-store");
                let policy = header("content-security-policy");
                assert!(policy.contains("default-src 'none'") && policy.contains("sandbox"), "{policy}");
                match format {
                    "json" => assert_eq!(answer.json(), at.json()["view"]),
                    "ndjson" => assert_eq!(lines(&answer.bytes), log[..revision]),
                    _ => assert_eq!(shown(&answer.bytes), object_ids(&at.json()["view"])),
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_export_is_the_same() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let (id, _) = scribbled(&alice).await;
    for (format, _) in FORMATS {
        let path = export(&id, format);
        let plain = alice.get(&path).await.expect(200);
        let packed = alice.get_with(&path, &[("accept-encoding", "gzip")]).await.expect(200);
        assert_eq!(packed.headers["content-encoding"], "gzip", "{format}");
        assert_eq!(gunzip(&packed.bytes), plain.bytes, "{format}");
    }
}

fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut plain).unwrap();
    plain
}

/// The objects in an SVG document, from the back to the front.
fn shown(svg: &[u8]) -> Vec<String> {
    let document = Document::parse(str::from_utf8(svg).unwrap()).unwrap();
    let ids = document.descendants().filter_map(|node| node.attribute("data-object-id"));
    ids.map(str::to_owned).collect()
}

fn object_ids(view: &Value) -> Vec<String> {
    let objects = view["objects"].as_array().unwrap().iter();
    objects.map(|object| object["object_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_is_missing_or_unknown_is_malformed() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let faulty = [
        "",
        "at=0",
        "format=",
        "format=png",
        "format=SVG",
        "format=json&format=svg",
        "format=json&at=0&at_time=0",
        "format=json&at=-1",
        "format=json&at_time=x",
        "format=json&epoch=x",
        "format=json&view=only",
        "format=ndjson&after=0",
    ];
    for query in faulty {
        let refused = alice.get(&format!("/v1/drawings/{id}/export?{query}")).await;
        assert_eq!((refused.status, &*refused.code()), (400, "invalid_request"), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_for_members_alone() {
    let app = App::sqlite().await;
    let (alice, vera, eve) = (app.client("alice").await, app.client("vera").await, app.client("eve").await);
    let (id, _) = scribbled(&alice).await;
    alice.grant(&id, "vera", "viewer").await;
    for (format, _) in FORMATS {
        vera.get(&export(&id, format)).await.expect(200);
        eve.get(&export(&id, format)).await.expect_problem(404, "not_found");
        let head = Client::send(vera.request(Method::HEAD, &export(&id, format))).await.unwrap().expect(200);
        assert!(head.bytes.is_empty() && head.headers.contains_key("content-disposition"));
    }
    alice.revoke(&id, "vera").await;
    alice.delete(&format!("/v1/drawings/{id}")).await.expect(204);
    for (format, _) in FORMATS {
        vera.get(&export(&id, format)).await.expect_problem(404, "not_found");
        alice.get(&export(&id, format)).await.expect_problem(404, "not_found");
        alice.get(&export(&new_id(), format)).await.expect_problem(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_write_stays_text_in_the_picture() {
    let app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    let hostile = [
        "</text><script>alert(1)</script>",
        "\"/><image href=\"javascript:alert(1)\"/>",
        "]]><!-- &lt; &amp; &x; <?xml?> -->",
        "\u{0}\u{1}\u{8}\u{fffe}\u{ffff}\u{202e}",
        "url(https://example.com/x) expression(alert(1))",
        "javascript:alert(1)",
    ];
    let mut ops = Vec::new();
    for text in hostile {
        // Kinds are shorter than some of them.
        for kind in ["text", "rect", "image", "token", "path", "line"]
            .into_iter()
            .chain((text.chars().count() <= 32).then_some(text))
        {
            let mut props = json!({"text": text, "label": text, "name": text, "href": text, "src": text, "url": text,
                "fill": text, "stroke": text, "color": text, "d": text, "font": text, "fontFamily": text,
                "strokeWidth": text, "opacity": text, "points": text, "x": text, "rotation": text, "style": text});
            props[text] = json!(text);
            let object_id = format!("o{}", ops.len());
            ops.push(json!({"op_id": new_id(), "type": "object.create", "object_id": object_id, "kind": kind, "z": text, "props": props}));
        }
        ops.push(json!({"op_id": new_id(), "type": "stroke.begin", "object_id": format!("s{}", ops.len()), "tool": text.chars().take(32).collect::<String>(),
            "props": {"color": text}, "points": [[0, 0], [1e300, -1e300], [1, 1, 9]]}));
        ops.push(json!({"op_id": new_id(), "type": "canvas.set", "set": {"background": text, "title": text, "width": text, text: text}}));
    }
    for op in ops {
        alice.commit(&id, &[op]).await.expect(200);
    }
    let answer = alice.get(&export(&id, "svg")).await.expect(200);
    let svg = String::from_utf8(answer.bytes).unwrap();
    let document = Document::parse(&svg).unwrap();
    for node in document.descendants().filter(|node| node.is_element()) {
        assert!(
            !["script", "foreignObject", "style", "a", "iframe"].contains(&node.tag_name().name()),
            "{node:?}"
        );
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(!name.starts_with("on") && name != "style", "{name}={value}");
            assert!(!value.contains("url(") && !value.starts_with("javascript:"), "{name}={value}");
        }
    }
    assert!(svg.contains("&lt;/text&gt;"), "it is there, as text");
    // The other formats have it as it came.
    let view = alice.get(&export(&id, "json")).await.expect(200).json();
    assert_eq!(view, alice.get(&snapshot(&id, "?view=only")).await.expect(200).json()["view"]);
    assert_eq!(
        lines(&alice.get(&export(&id, "ndjson")).await.expect(200).bytes),
        alice.read_all(&id, 0).await
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_exported_whole_and_as_it_is_read() {
    for app in [App::sqlite().await, App::postgres().await] {
        let alice = app.client("alice").await;
        let id = alice.create_drawing().await;
        let odd = format!(
            r#"{{"ops":[{{"op_id":"{}","type":"custom.a","data":[1.50,"\u00e4\n ä",-0.0]}}]}}"#,
            new_id()
        );
        alice.post_bytes(&format!("/v1/drawings/{id}/ops"), odd).await.expect(200);
        alice.commit_some(&id, 2_999).await;
        let mut read = Vec::new();
        for after in [0, 1_000, 2_000] {
            let page = format!("/v1/drawings/{id}/ops?after={after}");
            read.extend(alice.get_with(&page, &[("accept", "application/x-ndjson")]).await.expect(200).bytes);
        }
        for (query, ops) in [("ndjson", 3_000), ("ndjson&at=2000", 2_000), ("ndjson&at=1001", 1_001)] {
            let exported = alice.get(&export(&id, query)).await.expect(200).bytes;
            assert!(read.starts_with(&exported), "{query}: byte by byte");
            assert_eq!(lines(&exported).len(), ops);
        }
    }
}

/// An export whose client reads slowly: the server cannot send far ahead.
struct Slow(TcpStream);

impl Slow {
    async fn begin(client: &Client, drawing: &str) -> Self {
        let address = client.base.trim_start_matches("http://").parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        let (path, token) = (export(drawing, "ndjson"), &client.token);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut begin = [0; 15];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 200 OK");
        Self(stream)
    }

    /// The rest of the answer.
    async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // The server may break the connection off.
        let _ = within("the answer ends", self.0.read_to_end(&mut rest)).await;
        rest
    }
}

/// The end of a body in chunks that is whole.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// Makes a log of sixteen pages: more than sockets hold.
async fn draw_much(client: &Client, drawing: &str) {
    let text = "x".repeat(LARGE);
    for _ in 0..OPS / 16 {
        let large = || json!({"op_id": new_id(), "type": "custom.note", "data": text});
        let ops: Vec<Value> = std::iter::repeat_with(large).take(16).collect();
        client.commit(drawing, &ops).await.expect(200);
    }
}

const OPS: usize = 16 * 16;
const LARGE: usize = 64_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_under_way_goes_on_while_the_server_stops() {
    let mut app = App::sqlite().await;
    let alice = app.client("alice").await;
    let id = alice.create_drawing().await;
    draw_much(&alice, &id).await;
    let slow = Slow::begin(&alice, &id).await;
    app.stop();
    let whole = slow.rest().await;
    assert!(whole.ends_with(LAST_CHUNK) && whole.len() > OPS * LARGE, "{} bytes", whole.len());
    app.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_cut_off_visibly_when_its_reader_may_read_no_longer() {
    let app = App::sqlite().await;
    let (alice, bob) = (app.client("alice").await, app.client("bob").await);
    let id = alice.create_drawing().await;
    alice.grant(&id, "bob", "viewer").await;
    draw_much(&alice, &id).await;
    let whole = Slow::begin(&bob, &id).await.rest().await;
    assert!(whole.ends_with(LAST_CHUNK) && whole.len() > OPS * LARGE);
    let expect_cut = async |slow: Slow, why: &str| {
        let cut = slow.rest().await;
        assert!(!cut.ends_with(LAST_CHUNK) && cut.len() < whole.len(), "{why}: {} bytes", cut.len());
    };
    let slow = Slow::begin(&bob, &id).await;
    alice.revoke(&id, "bob").await;
    expect_cut(slow, "revoked").await;
    let slow = Slow::begin(&alice, &id).await;
    program::new_epoch(&app.database_url).await;
    expect_cut(slow, "of another epoch").await;
    // A client with a library is told of an error, too.
    let mut begun = alice.request(Method::GET, &export(&id, "ndjson")).send().await.unwrap();
    begun.chunk().await.unwrap().unwrap();
    let slow = Slow::begin(&alice, &id).await;
    alice.delete(&format!("/v1/drawings/{id}")).await.expect(204);
    expect_cut(slow, "deleted").await;
    let outcome = async {
        while begun.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    assert!(within("the answer ends", outcome).await.is_err());
}
