//! A swarm of one against a server that follows a script.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use flate2::{Compress, Compression, FlushCompress};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Encoding, Outcome, Plan, Swarm,
    frame::{BINARY, PING, TEXT, unmasked},
};

/// Serves one connection up to `subscribed` at revision 4, and then as the script says.
fn server(plan: &Plan, script: impl FnOnce(&mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (protocol, deflate, encoding) = (plan.encoding.subprotocol(), plan.deflate, plan.encoding);
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend_from_slice(&byte);
        }
        let extensions = match deflate {
            true => "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
            false => "",
        };
        write!(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: {protocol}\r\n{extensions}\r\n"
        )
        .unwrap();
        stream.write_all(&frame(&json!({"type": "hello"}), encoding, deflate)).unwrap();
        read_frame(&mut stream);
        let subscribed = json!({"type": "subscribed", "revision": 4});
        stream.write_all(&frame(&subscribed, encoding, deflate)).unwrap();
        script(&mut stream);
        // Open until the reader has gone.
        let _ = stream.read(&mut [0; 64]);
    });
    address
}

/// Reads one short masked frame; returns its opcode.
fn read_frame(stream: &mut TcpStream) -> u8 {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut length = usize::from(head[1] & 0x7f);
    if length == 126 {
        let mut long = [0; 2];
        stream.read_exact(&mut long).unwrap();
        length = usize::from(u16::from_be_bytes(long));
    }
    stream.read_exact(&mut vec![0; length + 4]).unwrap();
    head[0] & 0x0f
}

fn frame(message: &Value, encoding: Encoding, deflate: bool) -> Vec<u8> {
    let (opcode, plain) = match encoding {
        Encoding::Msgpack => (BINARY, rmp_serde::to_vec_named(message).unwrap()),
        _ => (TEXT, message.to_string().into_bytes()),
    };
    if !deflate {
        return unmasked(opcode, &plain);
    }
    let mut deflated = Vec::with_capacity(plain.len() + 64);
    let mut compress = Compress::new(Compression::fast(), false);
    compress.compress_vec(&plain, &mut deflated, FlushCompress::Sync).unwrap();
    let mut frame = unmasked(opcode, deflated.strip_suffix(&[0, 0, 0xff, 0xff]).unwrap());
    frame[0] |= 0x40;
    frame
}

fn ops(revisions: &[u64]) -> Value {
    let ops: Vec<_> = revisions.iter().map(|r| json!({"revision": r, "type": "custom.bench"})).collect();
    json!({"type": "ops", "drawing_id": "d", "revision": revisions.last(), "ops": ops})
}

fn plan() -> Plan {
    Plan::new(Vec::new(), &["token".to_owned()], &[Uuid::nil()], 1)
}

async fn run(plan: Plan, script: impl FnOnce(&mut TcpStream) + Send + 'static) -> Outcome {
    let address = server(&plan, script);
    let mut swarm = Swarm::start(Plan { addresses: vec![address], ..plan }).unwrap();
    assert_eq!(swarm.ready().await.unwrap().subscribed, 1);
    swarm.finish(vec![7]).await.unwrap()
}

#[tokio::test]
async fn a_reader_counts_what_it_gets_in_every_encoding() {
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        for deflate in [false, true] {
            let outcome = run(Plan { encoding, deflate, ..plan() }, move |stream| {
                for message in [json!({"type": "presence"}), ops(&[5]), ops(&[6, 7])] {
                    stream.write_all(&frame(&message, encoding, deflate)).unwrap();
                }
            });
            let outcome = outcome.await;
            outcome.started.check().unwrap();
            assert_eq!((outcome.frames, outcome.ops, outcome.presence_frames), (2, 3, 1));
            assert_eq!(outcome.started.deflated, usize::from(deflate));
            assert!(outcome.complete_ms.is_some());
        }
    }
}

#[tokio::test]
async fn a_ping_is_answered_and_a_frame_may_come_in_two_parts() {
    let outcome = run(plan(), |stream| {
        let frame = frame(&ops(&[5, 6, 7]), Encoding::Json, false);
        let (first, second) = frame.split_at(40);
        stream.write_all(&[&unmasked(PING, b"p"), first].concat()).unwrap();
        // The answer says that the first part has been read.
        assert_eq!(read_frame(stream), 10);
        stream.write_all(second).unwrap();
    });
    let outcome = outcome.await;
    outcome.started.check().unwrap();
    assert_eq!((outcome.frames, outcome.ops), (1, 3));
}

#[tokio::test]
async fn holes_repeats_resets_and_closes_are_failures() {
    let text = |message: Value| frame(&message, Encoding::Json, false);
    let reset = json!({"type": "reset", "reason": "lagged", "revision": 9});
    for (bytes, expected) in [
        (text(ops(&[6])), "revision 6 came after 4"),
        (text(ops(&[4])), "revision 4 came after 4"),
        (text(reset), "reset: lagged"),
        (unmasked(8, &[15, 161, b's', b'l', b'o', b'w']), "closed with 4001 slow"),
    ] {
        let outcome = run(plan(), move |stream| stream.write_all(&bytes).unwrap()).await;
        assert_eq!(outcome.started.failed, 1, "{expected}");
        assert!(outcome.started.failures[0].ends_with(expected), "{:?}", outcome.started.failures);
    }
}

#[tokio::test]
async fn what_a_slow_reader_missed_is_counted_and_its_return_is_waited_for() {
    let text = |message: Value| frame(&message, Encoding::Json, false);
    let outcome = run(Plan { rejoins: true, ..plan() }, move |stream| {
        let reset = json!({"type": "reset", "reason": "lagged", "revision": 6});
        stream.write_all(&[text(ops(&[5])), text(reset)].concat()).unwrap();
        // It asks for what comes from the head on.
        read_frame(stream);
        stream.write_all(&text(json!({"type": "subscribed", "revision": 6}))).unwrap();
        stream.write_all(&text(ops(&[7]))).unwrap();
    });
    let outcome = outcome.await;
    outcome.started.check().unwrap();
    assert_eq!((outcome.ops, outcome.rejoined), (2, 1));
    assert_eq!(outcome.skipped, 1);
    assert!(outcome.complete_ms.is_some());
}
