//! The checks that a log passes before it is taken in.
//!
//! Owns what is asked of it line by line: each op is valid, revisions have no hole, units are those of their actors and
//! open, and folds are those of a server. It never touches the store.

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::ImportError;
use crate::{
    clock::now_ms,
    limits,
    model::{Change, CheckedOp, Op, OpId, RawObject, Revision, UserId, compact},
    store::{ImportedLog, ImportedOp},
};

/// The mark that some editors write in front of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a log, one committed op a line in the order of their revisions.
#[derive(Debug)]
pub struct LogReader<R> {
    log: R,
    /// Lines that were read.
    lines: u64,
    line: Vec<u8>,
    checks: Checks,
}

impl<R: AsyncBufRead + Unpin> LogReader<R> {
    /// A reader at the start of a log.
    pub fn new(log: R) -> Self {
        Self { log, lines: 0, line: Vec::new(), checks: Checks::default() }
    }

    /// Reads the next op; `None` at the end. Lines of white space are passed over.
    ///
    /// # Errors
    /// [`ImportError::Line`] for one that breaks a rule, [`ImportError::Read`] when it cannot be read.
    pub async fn next(&mut self) -> Result<Option<ImportedOp>, ImportError> {
        loop {
            self.line.clear();
            let mut limited = (&mut self.log).take(limits::MAX_IMPORT_LINE_BYTES);
            if limited.read_until(b'\n', &mut self.line).await? == 0 {
                return Ok(None);
            }
            self.lines += 1;
            if self.lines == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.line.trim_ascii().is_empty() {
                let op = self.checks.read(&self.line);
                return op.map(Some).map_err(|rule| ImportError::Line(self.lines, rule));
            }
        }
    }

    /// The number of lines that were read.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The sum of the log so far.
    pub fn so_far(&self) -> &ImportedLog {
        &self.checks.log
    }
}

/// The fields that the server has added to an op.
#[derive(Deserialize)]
struct ServerFields {
    revision: Revision,
    actor: UserId,
    ts: i64,
}

/// The state of the log up to the last line, against which the next one is checked.
#[derive(Debug, Default)]
struct Checks {
    log: ImportedLog,
    /// The units that are open, and who began them.
    units: HashMap<OpId, UserId>,
    /// The same in the order in which they began.
    begun: VecDeque<(Revision, OpId)>,
}

impl Checks {
    /// Reads one line, which must follow on those before.
    fn read(&mut self, line: &[u8]) -> Result<ImportedOp, String> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not valid UTF-8")?.trim();
        if line.len() as u64 >= limits::MAX_IMPORT_LINE_BYTES {
            return Err("it is longer than an op can be".to_owned());
        }
        let parsed = serde_json::from_str::<ServerFields>(text)
            .and_then(|envelope| serde_json::from_str::<&RawValue>(text).map(|raw| (envelope, raw)));
        // It is one line as far as the parser knows.
        let fault = |error: serde_json::Error| error.to_string().replace("at line 1 column", "at column");
        let (ServerFields { revision, actor, ts }, raw) = parsed.map_err(fault)?;
        if ts.unsigned_abs() > limits::MAX_INTEGER {
            return Err("/ts is an integer of at most 2^53".to_owned());
        }
        if revision != self.log.head.next() {
            return Err(format!("revision {revision} does not follow on {}", self.log.head));
        }
        // No later op would have an earlier time, and what is undone stays undoable by the clock.
        if ts > now_ms() + limits::MAX_IMPORT_AHEAD_MS {
            return Err("/ts lies in the future".to_owned());
        }
        let body = compact(&without_envelope(raw))?;
        if body.len() > limits::MAX_OP_BYTES {
            return Err(format!("an op is at most {} bytes of compact JSON", limits::MAX_OP_BYTES));
        }
        let op = Op::parse(&body)
            .map_err(|fault| format!("{} {}", fault.pointer, fault.detail).trim_start().to_owned())?;
        self.check_author(&op, &actor)?;
        if let Change::Fold { floor } = op.change {
            self.fold(floor)?;
        } else {
            self.check_unit(&op, &actor)?;
        }
        self.log.head = revision;
        self.log.ts = self.log.ts.max(ts);
        self.log.bytes += body.len() as u64;
        Ok(ImportedOp { op: CheckedOp::new(&op, &body), revision, actor, ts })
    }

    /// Checks that an op that only the server writes bears its name, and that no other op does.
    fn check_author(&self, op: &Op<'_>, actor: &UserId) -> Result<(), String> {
        let is_fold = matches!(op.change, Change::Fold { .. });
        if is_fold && *actor != UserId::folder() {
            return Err(format!("/actor of a fold is {}", UserId::folder()));
        }
        if !is_fold && actor.is_reserved() {
            return Err("/actor is a name of the server".to_owned());
        }
        Ok(())
    }

    /// Closes the units up to `floor`, which lies above that of the fold before and below the fold itself.
    fn fold(&mut self, floor: Revision) -> Result<(), String> {
        if floor <= self.log.floor || floor > self.log.head {
            return Err(format!("/floor is not above {} and below the fold", self.log.floor));
        }
        self.log.floor = floor;
        while let Some((_, id)) = self.begun.pop_front_if(|(first, _)| *first <= floor) {
            self.units.remove(&id);
        }
        Ok(())
    }

    /// The rules by which the store takes a named unit, as far as a log tells them: what roles there were is not in it.
    fn check_unit(&mut self, op: &Op<'_>, actor: &UserId) -> Result<(), String> {
        let Some(unit) = op.unit else { return Ok(()) };
        if !op.is_undo_redo() && unit == op.op_id {
            self.units.insert(unit, actor.clone());
            self.begun.push_back((self.log.head.next(), unit));
            return Ok(());
        }
        match self.units.get(&unit) {
            None => Err("/unit is not in the log, or is closed".to_owned()),
            Some(owner) if owner != actor && !op.is_undo_redo() => {
                Err("/unit belongs to another actor".to_owned())
            }
            Some(_) => Ok(()),
        }
    }
}

/// The op as its client sent it.
fn without_envelope(line: &RawValue) -> String {
    let mut out = String::from("{");
    RawObject(line).for_each(|key, value| {
        if !matches!(key, "revision" | "actor" | "ts") {
            let comma = if out.len() > 1 { "," } else { "" };
            // A string always serializes.
            out.push_str(&format!("{comma}{}:{value}", serde_json::to_string(key).unwrap_or_default()));
        }
    });
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> String {
        format!("00000000-0000-7000-8000-0000000000{n:02x}")
    }

    fn line(revision: u64, actor: &str, op: u8, rest: &str) -> String {
        format!(r#"{{"revision":{revision},"actor":"{actor}","ts":5,"op_id":"{}",{rest}}}"#, id(op))
    }

    const CLEAR: &str = r#""type":"canvas.clear""#;

    fn fault(lines: &[String]) -> Option<String> {
        let mut checks = Checks::default();
        lines.iter().find_map(|line| checks.read(line.as_bytes()).err())
    }

    #[test]
    fn the_op_is_what_came_without_the_envelope() {
        let mut checks = Checks::default();
        let line = format!(
            r#" {{"op_id":"{}", "ts":7,"type":"custom.a","data":{{"x":1.50,"ts":2}} ,"actor":"a\"b","revision":1}} "#,
            id(1)
        );
        let op = checks.read(line.as_bytes()).unwrap();
        let body = format!(r#"{{"op_id":"{}","type":"custom.a","data":{{"x":1.50,"ts":2}}}}"#, id(1));
        assert_eq!((&*op.op.body, op.actor.as_str(), op.ts, op.revision), (&*body, "a\"b", 7, Revision(1)));
    }

    #[test]
    fn ids_are_taken_in_in_lower_case() {
        let mut checks = Checks::default();
        let begun = line(1, "a", 0xab, CLEAR);
        let undone = line(2, "a", 0xcd, &format!(r#""type":"undo","unit":"{}""#, id(0xab)));
        for line in [begun, undone] {
            let lower = checks.read(line.replace(&id(0xab), &id(0xab).to_uppercase()).as_bytes()).unwrap();
            assert!(!lower.op.body.bytes().any(|byte| byte.is_ascii_uppercase()), "{}", lower.op.body);
        }
    }

    #[test]
    fn a_log_has_no_hole_and_begins_at_its_beginning() {
        assert_eq!(fault(&[line(1, "a", 1, CLEAR), line(2, "a", 2, CLEAR)]), None);
        assert!(fault(&[line(2, "a", 1, CLEAR)]).unwrap().contains("does not follow"));
        assert!(
            fault(&[line(1, "a", 1, CLEAR), line(3, "a", 2, CLEAR)]).unwrap().contains("does not follow")
        );
        assert!(
            fault(&[line(1, "a", 1, CLEAR), line(1, "a", 1, CLEAR)]).unwrap().contains("does not follow")
        );
    }

    #[test]
    fn ops_are_as_valid_as_those_that_are_posted() {
        for rest in
            [r#""type":"draw""#, r#""type":"canvas.clear","x":1"#, r#""type":"custom.a","data":1e999"#]
        {
            assert!(fault(&[line(1, "a", 1, rest)]).is_some(), "{rest}");
        }
        for text in ["", "[]", "{}", "null", "not JSON", r#"{"revision":1}"#] {
            assert!(Checks::default().read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Checks::default().read(&[0xff, b'\n']).is_err());
    }

    #[test]
    fn units_are_those_of_their_actors_and_open() {
        let joining = |unit: u8| format!(r#""type":"canvas.clear","unit":"{}""#, id(unit));
        let undoing = |unit: u8| format!(r#""type":"undo","unit":"{}""#, id(unit));
        let begun = line(1, "a", 1, CLEAR);
        assert_eq!(fault(&[begun.clone(), line(2, "a", 2, &joining(1)), line(3, "b", 3, &undoing(1))]), None);
        assert!(fault(&[begun.clone(), line(2, "b", 2, &joining(1))]).unwrap().contains("another actor"));
        assert!(fault(&[begun.clone(), line(2, "a", 2, &undoing(9))]).unwrap().contains("not in the log"));
        let fold = line(3, "revcast:fold", 3, r#""type":"fold","floor":1"#);
        let open = [begun.clone(), line(2, "a", 2, &undoing(1)), fold];
        assert_eq!(fault(&open), None);
        assert!(fault(&[&open[..], &[line(4, "a", 4, &undoing(1))]].concat()).unwrap().contains("closed"));
    }

    #[test]
    fn folds_are_those_of_a_server_and_rise() {
        let fold = |revision: u64, actor, floor: u64| {
            let op = u8::try_from(revision).unwrap();
            line(revision, actor, op, &format!(r#""type":"fold","floor":{floor}"#))
        };
        let log =
            |rest: &[String]| fault(&[&[line(1, "a", 1, CLEAR), line(2, "a", 2, CLEAR)], rest].concat());
        assert_eq!(log(&[fold(3, "revcast:fold", 1), fold(4, "revcast:fold", 3)]), None);
        for floor in [3, 4, 9] {
            assert!(log(&[fold(3, "revcast:fold", floor)]).unwrap().contains("/floor"), "{floor}");
        }
        for floor in [1, 2] {
            let folds = [fold(3, "revcast:fold", 2), fold(4, "revcast:fold", floor)];
            assert!(log(&folds).unwrap().contains("/floor"), "{floor}");
        }
        assert!(log(&[fold(3, "a", 1)]).unwrap().contains("/actor"));
        assert!(log(&[fold(3, "revcast:lesson", 1)]).unwrap().contains("/actor"));
        assert!(log(&[line(3, "revcast:fold", 3, CLEAR)]).unwrap().contains("/actor"));
        let undone = line(4, "a", 4, &format!(r#""type":"undo","unit":"{}""#, id(3)));
        assert!(log(&[fold(3, "revcast:fold", 1), undone]).unwrap().contains("not in the log"));
    }

    #[test]
    fn what_is_told_of_the_whole_log_is_told_of_its_ops() {
        let mut checks = Checks::default();
        let late = line(1, "a", 1, CLEAR).replace(r#""ts":5"#, r#""ts":9"#);
        for line in [late, line(2, "a", 2, CLEAR), line(3, "revcast:fold", 3, r#""type":"fold","floor":2"#)] {
            checks.read(line.as_bytes()).unwrap();
        }
        let ImportedLog { head, floor, ts, bytes } = checks.log;
        assert_eq!((head, floor, ts), (Revision(3), Revision(2), 9));
        assert!((150..300).contains(&bytes), "{bytes}");
        let future = now_ms() + 2 * 86_400_000;
        let line = line(4, "a", 4, CLEAR).replace(r#""ts":5"#, &format!(r#""ts":{future}"#));
        assert!(checks.read(line.as_bytes()).unwrap_err().contains("future"));
    }
}
