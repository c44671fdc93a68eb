//! Writes the history of one client, line by line, as docs/history-format.md says.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::Instant,
};

use anyhow::Context;
use revcast_checker::{
    format::{
        Answered, ClientLine, Frame, FrameType, Invoke, Line, Placed, Refused, Role, SeenOp, SentOp, Tag,
        Unanswered,
    },
    ids::{Digest, OpId},
};
use serde_json::Value;

/// The clock that all clients share.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since it began.
    #[must_use]
    pub fn now(self) -> i64 {
        i64::try_from(self.0.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }
}

/// The file of one client.
#[derive(Debug)]
pub struct Recorder {
    client: String,
    clock: Clock,
    file: BufWriter<File>,
    last_id: u64,
}

impl Recorder {
    /// Begins a file in a folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn start(folder: &Path, client: &str, user: &str, clock: Clock) -> anyhow::Result<Self> {
        let path = folder.join(format!("{client}.ndjson"));
        let file = File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut this = Self { client: client.to_owned(), clock, file: BufWriter::new(file), last_id: 0 };
        this.write(&Line::Client(ClientLine {
            client: client.to_owned(),
            user: user.to_owned(),
            offset: Some(0),
            error: Some(0),
            tag: Tag,
        }))?;
        Ok(this)
    }

    /// Notes that a request is about to be sent, and returns its number.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn invoke(&mut self, drawing: &str, request: Invoke) -> anyhow::Result<u64> {
        self.last_id += 1;
        let id = self.last_id;
        let (client, t, drawing) = (self.client.clone(), self.clock.now(), drawing.to_owned());
        self.write(&Line::Invoke(Invoke { client, t, drawing, id, ..request }))?;
        Ok(id)
    }

    /// Notes what came of it.
    ///
    /// # Errors
    /// When the file cannot be written, or the answer is not as documented.
    pub fn end(&mut self, drawing: &str, id: u64, end: &End) -> anyhow::Result<()> {
        let (client, t, drawing) = (self.client.clone(), self.clock.now(), drawing.to_owned());
        let line = match end {
            End::Ok(body) => Line::Ok(answered(body, client, t, drawing, id)?),
            End::Refused { status, code } => Line::Fail(Refused {
                client,
                t,
                drawing,
                id,
                status: *status,
                code: Some(code.clone()),
                tag: Tag,
            }),
            End::Unknown(reason) => {
                Line::Info(Unanswered { client, t, drawing, id, reason: Some(reason.clone()), tag: Tag })
            }
        };
        self.write(&line)
    }

    /// Notes what a live reader says, or is told.
    ///
    /// # Errors
    /// When the file cannot be written, or the message is not as documented.
    pub fn live(
        &mut self,
        drawing: &str,
        reader: &str,
        r#type: FrameType,
        body: &Value,
    ) -> anyhow::Result<()> {
        let number = |name: &str| body[name].as_u64();
        let line = Frame {
            client: self.client.clone(),
            t: self.clock.now(),
            drawing: drawing.to_owned(),
            reader: reader.to_owned(),
            r#type,
            after: number("after"),
            epoch: text(body, "epoch"),
            previous_epoch: text(body, "previous_epoch"),
            base: number("base"),
            revision: number("revision"),
            ops: (r#type == FrameType::Ops).then(|| seen(&body["ops"])).transpose()?,
            role: serde_json::from_value::<Option<Role>>(body["role"].clone())?,
            reason: text(body, "reason"),
            tag: Tag,
        };
        self.write(&Line::Live(line))
    }

    /// Writes any line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")?;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        Ok(self.file.flush()?)
    }
}

/// The outcome of a request.
#[derive(Clone, Debug)]
pub enum End {
    /// A 2xx, with its body.
    Ok(Value),
    /// A 4xx.
    Refused {
        /// The status.
        status: u16,
        /// The code of the problem.
        code: String,
    },
    /// Nobody knows: no answer, or a 5xx.
    Unknown(String),
}

/// Ops as they are sent.
///
/// # Errors
/// When one has no id.
pub fn sent(ops: &[Value]) -> anyhow::Result<Vec<SentOp>> {
    let sent = |op: &Value| {
        let (op_id, hash) = id_and_hash(op)?;
        Ok(SentOp { op_id, hash: Some(hash), body: None })
    };
    ops.iter().map(sent).collect()
}

/// Ops as they are read.
fn seen(ops: &Value) -> anyhow::Result<Vec<SeenOp>> {
    let seen = |op: &Value| {
        let (op_id, hash) = id_and_hash(op)?;
        let revision = op["revision"].as_u64().context("an op without a revision came")?;
        Ok(SeenOp { revision, op_id, hash: Some(hash), body: None })
    };
    ops.as_array().context("`ops` is no array")?.iter().map(seen).collect()
}

fn id_and_hash(op: &Value) -> anyhow::Result<(OpId, Digest)> {
    let id = op["op_id"].as_str().and_then(OpId::parse).with_context(|| format!("an op has no id: {op}"))?;
    Ok((id, Digest::of_body(op).with_context(|| format!("an op has no digest: {op}"))?))
}

fn text(body: &Value, name: &str) -> Option<String> {
    body[name].as_str().map(str::to_owned)
}

fn answered(body: &Value, client: String, t: i64, drawing: String, id: u64) -> anyhow::Result<Answered> {
    let number = |name: &str| body[name].as_u64();
    let results: Option<Vec<Placed>> =
        body.get("results").map(|results| serde_json::from_value(results.clone())).transpose()?;
    Ok(Answered {
        client,
        t,
        drawing,
        id,
        epoch: text(body, "epoch"),
        previous_epoch: text(body, "previous_epoch"),
        base: number("base"),
        latest_revision: number("latest_revision"),
        results,
        unit: body["unit"].as_str().and_then(OpId::parse),
        from: number("from"),
        to: number("to"),
        complete: body["complete"].as_bool(),
        ops: body.get("ops").map(seen).transpose()?,
        revision: number("revision"),
        hash: body["state_hash"].as_str().and_then(Digest::parse),
        tag: Tag,
    })
}
