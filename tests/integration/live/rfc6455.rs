//! The frames of RFC 6455 and RFC 7692 as bytes: what a client may send, and how the server answers what
//! it may not.

use serde_json::json;

use crate::support::{
    App,
    raw::{RawSocket, Received, deflate, frame, frame_header, frame_header_with},
};

const LIMIT: usize = 64 * 1024;
const PROTOCOL: Then = Then::Closes(&[Some(4201)]);
const TOO_LARGE: Then = Then::Closes(&[Some(4202)]);

/// First bytes of frames: FIN and the opcode. Without FIN, more fragments follow.
const MORE: u8 = 0x00;
const TEXT_AND_MORE: u8 = 0x01;
const LAST: u8 = 0x80;
const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// On the first frame of a compressed message.
const RSV1: u8 = 0x40;

/// Bytes, and what comes of them.
struct Case {
    name: String,
    is_compressing: bool,
    sent: Vec<u8>,
    answers: Vec<Received>,
    then: Then,
}

/// The end of a case, after the answers.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The connection goes on.
    GoesOn,
    /// The server closes, with one of these codes or none, and ends the connection.
    Closes(&'static [Option<u16>]),
    /// The client ends in the middle, and the server need not say goodbye.
    Ends,
}

fn case(name: impl Into<String>, sent: Vec<u8>, answers: &[Received], then: Then) -> Case {
    Case { name: name.into(), is_compressing: false, sent, answers: answers.to_vec(), then }
}

/// A case of a connection that has agreed to permessage-deflate.
fn compressing(name: &str, sent: Vec<u8>, answers: &[Received], then: Then) -> Case {
    Case { is_compressing: true, ..case(name, sent, answers, then) }
}

/// A message that is answered with [`answer`].
fn say(t: &str) -> String {
    format!(r#"{{"type":"ping","t":"{t}"}}"#)
}

fn answer(t: &str) -> Received {
    Received::Message(json!({"type": "pong", "t": t}))
}

/// A message in so many fragments of about one size.
fn fragments(first: u8, payload: &[u8], count: usize) -> Vec<Vec<u8>> {
    let size = payload.len().div_ceil(count);
    let part = |at: usize| {
        let part = &payload[payload.len().min(at * size)..payload.len().min((at + 1) * size)];
        let opcode = if at == 0 { first & !LAST } else { MORE };
        frame(opcode | if at + 1 == count { LAST } else { 0 }, part)
    };
    (0..count).map(part).collect()
}

/// Runs each case twice, its bytes sent at once and in pieces, and names those that fail.
async fn run(cases: Vec<Case>) {
    let app = App::sqlite().await;
    let authorization = format!("Bearer {}", app.client("alice").await.token);
    let mut failures = Vec::new();
    for case in cases {
        // Single bytes of a large message would take long.
        let piece = if case.sent.len() < 1_000 { 1 } else { 30_000 };
        for (how, at_once) in [("at once", usize::MAX), ("in pieces", piece)] {
            if let Err(failure) = play(&app, &authorization, &case, at_once).await {
                failures.push(format!("{}, sent {how}: {failure}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

async fn play(app: &App, authorization: &str, case: &Case, at_once: usize) -> Result<(), String> {
    let mut headers = RawSocket::opening(authorization);
    if case.is_compressing {
        headers.push(("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"));
    }
    let mut socket = RawSocket::handshake(&app.base, "GET", "/v1/ws", &headers).await;
    if socket.status != 101 || socket.header("sec-websocket-extensions").is_some() != case.is_compressing {
        return Err(format!("no such connection: {}", socket.status));
    }
    match socket.receive().await {
        Received::Message(hello) if hello["type"] == "hello" => (),
        other => return Err(format!("no hello but {other:?}")),
    }
    // The server may close before it has been sent everything.
    socket.send(&case.sent, at_once).await;
    match case.then {
        Then::GoesOn => drop(socket.send(&frame(TEXT, say("go on").as_bytes()), at_once).await),
        Then::Ends => socket.finish().await,
        Then::Closes(_) => (),
    }
    let mut answers = Vec::new();
    let last = loop {
        match socket.receive().await {
            Received::Ping => (),
            last @ (Received::Close(_) | Received::End | Received::Silence) => break last,
            last if matches!(case.then, Then::GoesOn) && last == answer("go on") => break last,
            answer => answers.push(answer),
        }
    };
    let is_expected = match (case.then, &last) {
        (Then::GoesOn, Received::Message(_)) | (Then::Ends, Received::End | Received::Close(Some(1000))) => {
            true
        }
        (Then::Closes(codes), Received::Close(code)) => codes.contains(code),
        _ => false,
    };
    if !is_expected || answers != case.answers {
        return Err(format!("{answers:?}, then {last:?}; expected {:?}, then {:?}", case.answers, case.then));
    }
    if let Received::Close(code) = last {
        // Whoever closed first, the server answers and ends. Only a client that was closed says no more.
        if code.is_some_and(|code| code >= 4000) {
            socket.finish().await;
        }
        match socket.receive().await {
            Received::End => (),
            other => return Err(format!("{other:?} after the close frame")),
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_may_come_in_fragments_and_control_frames_between() {
    let text = say("é€😀");
    let mut cases = Vec::new();
    for count in [1, 2, 3, text.len(), 500] {
        let sent = fragments(TEXT, text.as_bytes(), count).concat();
        cases.push(case(format!("{count} fragments"), sent, &[answer("é€😀")], Then::GoesOn));
    }
    for count in [2, 3, 20] {
        let sent = fragments(TEXT, text.as_bytes(), count).join(&frame(PING, b"between")[..]);
        let mut answers = vec![Received::Pong(b"between".to_vec()); count - 1];
        answers.push(answer("é€😀"));
        cases.push(case(format!("{count} fragments with pings between"), sent, &answers, Then::GoesOn));
    }
    let sent = fragments(TEXT, text.as_bytes(), 3).join(&frame(PONG, b"unasked")[..]);
    cases.push(case("fragments with pongs between", sent, &[answer("é€😀")], Then::GoesOn));
    let sent = [frame(TEXT_AND_MORE, b"{"), frame(CLOSE, &1000_u16.to_be_bytes())].concat();
    cases.push(case("a close between", sent, &[], Then::Closes(&[Some(1000)])));
    let sent = [frame(TEXT, say("a").as_bytes()), frame(TEXT, say("b").as_bytes())].concat();
    cases.push(case("two messages at once", sent, &[answer("a"), answer("b")], Then::GoesOn));
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        let sent = frame(PING, payload);
        let name = format!("a ping of {} bytes", payload.len());
        cases.push(case(name, sent, &[Received::Pong(payload.to_vec())], Then::GoesOn));
    }
    cases.push(case("a pong that nobody asked for", frame(PONG, &[0; 125]), &[], Then::GoesOn));
    run(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_breaks_the_protocol_closes_with_4201() {
    let mut cases = vec![
        ("no mask", vec![TEXT, 2, b'{', b'}']),
        ("an empty frame without a mask", vec![PING, 0]),
        ("RSV1 without agreement", frame(TEXT | RSV1, &deflate(say("a").as_bytes()))),
        ("RSV2", frame(TEXT | 0x20, b"{}")),
        ("RSV3", frame(TEXT | 0x10, b"{}")),
        ("RSV1 on a ping", frame(PING | RSV1, b"")),
        ("a fragmented ping", frame(0x09, b"")),
        ("a fragmented close", frame(0x08, b"")),
        ("a ping of 126 bytes", frame(PING, &[0; 126])),
        ("a continuation of nothing", frame(LAST, b"{}")),
        ("an open continuation of nothing", frame(MORE, b"{")),
        ("a message inside a message", [frame(TEXT_AND_MORE, b"{"), frame(TEXT, b"{}")].concat()),
        ("a length of 1 in 16 bits", [frame_header_with(TEXT, 1, 2), vec![0]].concat()),
        ("a length of 125 in 64 bits", [frame_header_with(TEXT, 125, 8), vec![0; 125]].concat()),
        ("a length of 65,535 in 64 bits", frame_header_with(TEXT, 0xffff, 8)),
        ("the top bit of a length", frame_header_with(BINARY, 1 << 63, 8)),
        ("text that is not UTF-8", frame(TEXT, b"\"\xc3\x28\"")),
        ("an overlong character", frame(TEXT, b"\xc0\xaf")),
        ("a surrogate", frame(TEXT, b"\xed\xa0\x80")),
        ("text that ends inside a character", frame(TEXT, b"\xe2\x82")),
        ("a bad character across fragments", fragments(TEXT, b"\xe2\x28\xa1", 3).concat()),
        ("a binary message to a socket of texts", frame(BINARY, b"{}")),
        ("a close of one byte", frame(CLOSE, &[3])),
        ("a close reason that is not UTF-8", frame(CLOSE, b"\x03\xe8\xc3\x28")),
    ]
    .into_iter()
    .map(|(name, sent)| case(name, sent, &[], PROTOCOL))
    .collect::<Vec<_>>();
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        cases.push(case(format!("opcode {opcode:#x}"), frame(LAST | opcode, b""), &[], PROTOCOL));
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        let sent = frame(CLOSE, &code.to_be_bytes());
        cases.push(case(format!("close code {code}"), sent, &[], PROTOCOL));
    }
    let sent = [frame(TEXT, say("a").as_bytes()), frame(0x83, b"")].concat();
    cases.push(case("an answer due before the fault", sent, &[answer("a")], PROTOCOL));
    run(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_limit_closes_with_4202() {
    let t = "x".repeat(LIMIT - say("").len());
    let (fits, over) = (say(&t), say(&format!("{t}x")));
    let with = |first, payload: &str, count| fragments(first, payload.as_bytes(), count).concat();
    run(vec![
        case("fits, in one frame", frame(TEXT, fits.as_bytes()), &[answer(&t)], Then::GoesOn),
        case("fits, in 40 fragments", with(TEXT, &fits, 40), &[answer(&t)], Then::GoesOn),
        case("over by one", frame(TEXT, over.as_bytes()), &[], TOO_LARGE),
        case("over by its header", frame_header(TEXT, LIMIT as u64 + 1), &[], TOO_LARGE),
        case("over by far by its header", frame_header(BINARY, (1 << 63) - 1), &[], TOO_LARGE),
        case("over by the sum of fragments", with(TEXT, &over, 40), &[], TOO_LARGE),
        case(
            "over by the header of a fragment",
            [frame(TEXT_AND_MORE, b"{"), frame_header(MORE, LIMIT as u64)].concat(),
            &[],
            TOO_LARGE,
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_frame_is_answered_and_the_connection_ends() {
    let close = |code: u16, reason: &str| frame(CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat());
    let mut cases = vec![case("no code", frame(CLOSE, b""), &[], Then::Closes(&[None, Some(1000)]))];
    for code in [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999] {
        let codes: &'static [Option<u16>] = Vec::leak(vec![Some(1000), Some(code)]);
        cases.push(case(format!("code {code}"), close(code, ""), &[], Then::Closes(codes)));
    }
    let normal = Then::Closes(&[Some(1000)]);
    cases.push(case("a reason", close(1000, "tschüß"), &[], normal));
    cases.push(case("a long reason", close(1000, &"x".repeat(123)), &[], normal));
    for late in
        [frame(TEXT, say("late").as_bytes()), frame(PING, b"late"), vec![0xff; 300], frame(CLOSE, b"")]
    {
        cases.push(case("data after the close", [close(1000, ""), late].concat(), &[], normal));
    }
    let said = frame(TEXT, say("a").as_bytes());
    cases.push(case("a message before", [said, close(1000, "")].concat(), &[answer("a")], normal));
    run(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_breaks_off_just_ends_the_connection() {
    let whole = frame(TEXT, &[b' '; 200]);
    let cut = |at: usize| case(format!("cut at {at}"), whole[..at].to_vec(), &[], Then::Ends);
    let mut cases: Vec<Case> = [0, 1, 3, 6, 8, 100, whole.len() - 1].map(cut).into();
    cases.push(case("cut between fragments", frame(TEXT_AND_MORE, b"{"), &[], Then::Ends));
    cases.push(case(
        "an answer due before the cut",
        frame(PING, b"a"),
        &[Received::Pong(b"a".into())],
        Then::Ends,
    ));
    run(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_are_read_once_agreed_to() {
    let (hello, long) = (say("hello"), "x".repeat(LIMIT - say("").len()));
    let small = deflate(hello.as_bytes());
    let bomb = deflate(&vec![b' '; 16 << 20]);
    let over = deflate(say(&format!("{long}x")).as_bytes());
    let said = &[answer("hello")];
    let mut with_ping = fragments(TEXT | RSV1, &small, 3);
    with_ping.insert(1, frame(PING, b"?"));
    // Whole bytes without compression in a last block, and the byte that follows one (RFC 7692 §7.2.3.5).
    let length = u8::try_from(hello.len()).unwrap();
    let stored = [&[1, length, 0, !length, 0xff], hello.as_bytes(), &[0]].concat();
    let cut = &small[..small.len() / 2];
    let again = [frame(TEXT | RSV1, &small), frame(RSV1 | LAST, &small)].concat();
    let on_continuation =
        [frame(TEXT_AND_MORE | RSV1, &small[..1]), frame(RSV1 | LAST, &small[1..])].concat();
    run(vec![
        compressing("one frame", frame(TEXT | RSV1, &small), said, Then::GoesOn),
        compressing("not compressed", frame(TEXT, hello.as_bytes()), said, Then::GoesOn),
        compressing("fragments", fragments(TEXT | RSV1, &small, 5).concat(), said, Then::GoesOn),
        compressing(
            "a ping between",
            with_ping.concat(),
            &[Received::Pong(b"?".into()), answer("hello")],
            Then::GoesOn,
        ),
        compressing("a last block", frame(TEXT | RSV1, &stored), said, Then::GoesOn),
        compressing(
            "as large as may be",
            frame(TEXT | RSV1, &deflate(say(&long).as_bytes())),
            &[answer(&long)],
            Then::GoesOn,
        ),
        compressing("over by one", frame(TEXT | RSV1, &over), &[], TOO_LARGE),
        compressing("a bomb", frame(TEXT | RSV1, &bomb), &[], TOO_LARGE),
        compressing("a bomb in fragments", fragments(TEXT | RSV1, &bomb, 9).concat(), &[], TOO_LARGE),
        compressing("no deflate data", frame(TEXT | RSV1, &[0xff; 20]), &[], PROTOCOL),
        compressing("deflate data cut short", frame(TEXT | RSV1, cut), &[], PROTOCOL),
        compressing("not UTF-8", frame(TEXT | RSV1, &deflate(b"\xff\xfe")), &[], PROTOCOL),
        compressing("RSV1 on a ping", frame(PING | RSV1, b""), &[], PROTOCOL),
        compressing("RSV1 on a continuation", on_continuation, &[], PROTOCOL),
        compressing("RSV1 on a continuation of nothing", again, said, PROTOCOL),
        compressing("RSV2", frame(TEXT | 0x20, b"{}"), &[], PROTOCOL),
        compressing("a close", frame(CLOSE, b"\x03\xe8"), &[], Then::Closes(&[Some(1000)])),
    ])
    .await;
}
