//! Texts that are ops, and texts that are not.

use super::*;
use crate::limits;

const ID: &str = "0198f0a0-7d2c-7aaa-8bbb-0123456789ab";

fn fault(fields: &str) -> Option<Fault> {
    Op::parse(&format!(r#"{{"op_id":"{ID}",{fields}}}"#)).err()
}

#[test]
fn a_unit_is_the_op_itself_by_default() {
    let json = format!(r#"{{"type":"canvas.clear","op_id":"{ID}"}}"#);
    let op = Op::parse(&json).unwrap();
    assert_eq!(op.unit, Some(op.op_id));
    assert!(fault(r#""type":"undo""#).is_some_and(|f| f.pointer == "/unit"));
}

#[test]
fn a_fold_has_a_floor_and_no_unit() {
    let json = format!(r#"{{"type":"fold","op_id":"{ID}","floor":7}}"#);
    let op = Op::parse(&json).unwrap();
    assert!(matches!(op.change, Change::Fold { floor: Revision(7) }));
    assert!(op.unit.is_none() && op.is_server_only() && !op.change.draws());
    for (fields, pointer) in [
        (r#""type":"fold""#.to_owned(), "/floor"),
        (r#""type":"fold","floor":0"#.to_owned(), "/floor"),
        (r#""type":"fold","floor":9007199254740993"#.to_owned(), "/floor"),
        (r#""type":"fold","floor":-1"#.to_owned(), ""),
        (format!(r#""type":"fold","floor":1,"unit":"{ID}""#), "/unit"),
        (r#""type":"canvas.clear","floor":1"#.to_owned(), "/floor"),
    ] {
        assert_eq!(fault(&fields).expect(&fields).pointer, pointer, "{fields}");
    }
}

#[test]
fn fields_are_required_known_of_their_type_and_never_null() {
    let rows = [
        (r#""type":"object.create","object_id":"a","props":{}"#, "/kind"),
        (r#""type":"stroke.end","object_id":"a","count":1,"index":1"#, "/index"),
        (r#""type":"canvas.clear","tool":"pen"""#, ""),
        (r#""type":"canvas.clear","colour":1"#, ""),
        (r#""type":"canvas.clear","type":"canvas.clear""#, ""),
        (r#""type":"object.update","object_id":"a","z":null"#, ""),
        (r#""type":"object.update","object_id":"a","set":[]"#, ""),
        (r#""type":"object.update","object_id":"a","set":{"x":1,"x":2}"#, ""),
        (r#""type":"object.update","object_id":"a","set":{"x":1},"unset":["x"]"#, "/unset"),
        (r#""type":"object.create","object_id":"a b","kind":"rect","props":{}"#, ""),
        (r#""type":"stroke.append","object_id":"a","index":0,"points":[]"#, "/index"),
        (r#""type":"stroke.append","object_id":"a","index":-1,"points":[]"#, ""),
        (r#""type":"stroke.append","object_id":"a","index":1.5,"points":[]"#, ""),
        (r#""type":"stroke.append","object_id":"a","index":1,"points":[[1]]"#, ""),
        (r#""type":"stroke.append","object_id":"a","index":1,"points":[[1,2,3,4]]"#, ""),
        (r#""type":"stroke.append","object_id":"a","index":1,"points":[["1",2]]"#, ""),
        (r#""type":"custom.","data":1"#, "/type"),
        (r#""type":"custom.a b","data":1"#, "/type"),
        (r#""type":"custom.a","data":{"x":1,"x":1}"#, "/data"),
        (r#""type":"draw""#, "/type"),
    ];
    for (fields, pointer) in rows {
        assert_eq!(fault(fields).expect(fields).pointer, pointer, "{fields}");
    }
}

#[test]
fn every_limit_of_an_op_holds_and_breaks_at_one_more() {
    let points = |n: usize| vec!["[0,0]"; n].join(",");
    let stroke = |n| format!(r#""type":"stroke.append","object_id":"a","index":1,"points":[{}]"#, points(n));
    let kind =
        |n| format!(r#""type":"object.create","object_id":"a","kind":"{}","props":{{}}"#, "k".repeat(n));
    let z = |n| format!(r#""type":"object.update","object_id":"a","z":"{}""#, "z".repeat(n));
    let meta = |n: usize| format!(r#""type":"canvas.clear","meta":{{"a":"{}"}}"#, "m".repeat(n - 8));
    let client = |n| format!(r#""type":"canvas.clear","client_id":"{}""#, "c".repeat(n));
    let custom = |n| format!(r#""type":"custom.{}","data":0"#, "n".repeat(n));
    let delete =
        |n: usize| format!(r#""type":"object.delete","object_ids":[{}]"#, vec![r#""a""#; n].join(","));
    let rows: [(&dyn Fn(usize) -> String, usize); 7] = [
        (&delete, limits::MAX_OBJECT_IDS_PER_OP),
        (&stroke, limits::MAX_POINTS_PER_OP),
        (&kind, limits::MAX_NAME_CHARS),
        (&z, limits::MAX_Z_CHARS),
        (&meta, limits::MAX_META_BYTES),
        (&client, limits::MAX_CLIENT_ID_CHARS),
        (&custom, limits::MAX_NAME_CHARS),
    ];
    for (fields, limit) in rows {
        assert_eq!(fault(&fields(limit)), None);
        assert!(fault(&fields(limit + 1)).is_some(), "{}", fields(8));
    }
}
