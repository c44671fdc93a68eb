//! From the lines of a drawing to its history: requests meet their answers, messages their readers, ops their logs.
//!
//! Owns what a line must bear. A line that contradicts a promise is no concern of this file; one that contradicts the
//! format is.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    clock::Place,
    format::{
        Answered, CallName, EntryLine, Frame, Invoke, LogLine, PictureLine, Refused, SeenOp, SentOp,
        Unanswered,
    },
    history::{
        Asked, Call, Entry, EntryKind, EpochId, History, Log, Message, Outcome, Picture, Position, Reader,
        Request, Said, Seen, Sent, Trunk,
    },
    ids::{Digest, OpId},
    input::{BadInput, Input, LineAt, LineKind},
};

/// Reads the history of one drawing.
///
/// # Errors
/// A line that is not as documented.
pub(crate) fn assemble(input: &Input, drawing: usize) -> Result<History, BadInput> {
    let mut work = Assembly::new(input);
    let mut buffer = Vec::new();
    for at in input.lines(drawing) {
        work.take(at, &mut buffer)?;
    }
    Ok(work.history)
}

struct Assembly<'a> {
    input: &'a Input,
    history: History,
    epochs: HashMap<String, EpochId>,
    users: HashMap<String, u32>,
    /// The users of clients, by the number of the client.
    user_of_client: Vec<u32>,
    /// Requests by client and number.
    calls: HashMap<(u32, u64), usize>,
    readers: HashMap<(u32, String), usize>,
    logs: HashMap<EpochId, usize>,
}

impl<'a> Assembly<'a> {
    fn new(input: &'a Input) -> Self {
        let mut this = Self {
            input,
            history: History::default(),
            epochs: HashMap::new(),
            users: HashMap::new(),
            user_of_client: Vec::new(),
            calls: HashMap::new(),
            readers: HashMap::new(),
            logs: HashMap::new(),
        };
        for client in &input.clients {
            let user = this.user(client.user.clone());
            this.user_of_client.push(user);
        }
        this
    }

    fn take(&mut self, at: &LineAt, buffer: &mut Vec<u8>) -> Result<(), BadInput> {
        let (input, place) = (self.input, at.place);
        let taken = match at.kind {
            LineKind::Invoke => self.invoke(place, input.read(at, buffer)?),
            LineKind::Ok => self.ok(place, input.read(at, buffer)?),
            LineKind::Fail => {
                let Refused { id, status, .. } = input.read(at, buffer)?;
                if (400..500).contains(&status) {
                    self.end(place, id, Outcome::Refused)
                } else {
                    Err("the status of `fail` is 4xx: of others nobody knows what they have done".to_owned())
                }
            }
            LineKind::Info => {
                let Unanswered { id, .. } = input.read(at, buffer)?;
                self.end(place, id, Outcome::Unknown)
            }
            LineKind::Live => self.live(place, input.read(at, buffer)?),
            LineKind::Picture => self.picture(place, input.read(at, buffer)?),
            LineKind::Log => self.log(place, input.read(at, buffer)?),
            LineKind::Entry => self.entry(place, input.read(at, buffer)?),
        };
        taken.map_err(|message| input.object(place, message))
    }

    // --- Requests -----------------------------------------------------------------------------------

    fn invoke(&mut self, sent: Place, line: Invoke) -> Result<(), String> {
        let epoch = line.epoch.map(|epoch| self.epoch(epoch)).transpose()?;
        let request = match line.call {
            CallName::Create => Request::Create,
            CallName::Role => {
                let user = line.user.ok_or("`role` has no `user`")?;
                Request::Role { user: self.user(user), role: line.role }
            }
            CallName::Append => {
                let ops = line.ops.ok_or("`append` has no `ops`")?;
                Request::Append(ops.iter().map(sent_op).collect::<Result<_, _>>()?)
            }
            CallName::Undo => Request::Toggle { undoes: true, op_id: line.op_id },
            CallName::Redo => Request::Toggle { undoes: false, op_id: line.op_id },
            CallName::Page => Request::Page(Asked { epoch, revision: line.after, until: line.until }),
            CallName::Snapshot => Request::Snapshot(Asked { epoch, revision: line.at, until: None }),
        };
        let user = self.user_of_client[sent.client as usize];
        let number = self.history.calls.len();
        if self.calls.insert((sent.client, line.id), number).is_some() {
            return Err(format!("the request {} of this client has begun already", line.id));
        }
        self.history.calls.push(Call { sent, ended: None, user, request, outcome: Outcome::Unknown });
        Ok(())
    }

    fn ok(&mut self, place: Place, line: Answered) -> Result<(), String> {
        let number = self.begun(place, line.id)?;
        let trunk = self.trunk(line.previous_epoch, line.base)?;
        let epoch = line.epoch.map(|epoch| self.epoch(epoch)).transpose()?;
        let needed = |name: &'static str| move || format!("the answer has no `{name}`");
        let outcome = match &self.history.calls[number].request {
            Request::Create | Request::Role { .. } => Outcome::Done,
            Request::Append(_) | Request::Toggle { .. } => Outcome::Committed {
                epoch: epoch.ok_or_else(needed("epoch"))?,
                latest: line.latest_revision.ok_or_else(needed("latest_revision"))?,
                results: line.results.ok_or_else(needed("results"))?,
                unit: line.unit,
            },
            Request::Page(_) => Outcome::Page {
                epoch: epoch.ok_or_else(needed("epoch"))?,
                trunk,
                from: line.from.ok_or_else(needed("from"))?,
                to: line.to.ok_or_else(needed("to"))?,
                latest: line.latest_revision.ok_or_else(needed("latest_revision"))?,
                complete: line.complete.ok_or_else(needed("complete"))?,
                ops: seen_ops(line.ops.ok_or_else(needed("ops"))?)?,
            },
            Request::Snapshot(_) => {
                let epoch = epoch.ok_or_else(needed("epoch"))?;
                let position = Position { epoch, revision: line.revision.ok_or_else(needed("revision"))? };
                let hash = line.hash.ok_or_else(needed("hash"))?;
                let by = "the server's snapshot".to_owned();
                self.history.pictures.push(Picture { at: place, position, hash, by, objects: None });
                Outcome::Snapshot { position, trunk }
            }
        };
        if let Some(epoch) = epoch {
            let tells = matches!(outcome, Outcome::Page { .. } | Outcome::Snapshot { .. });
            self.history.said.push(Said { at: place, epoch, trunk, tells });
        }
        self.end(place, line.id, outcome)
    }

    fn end(&mut self, place: Place, id: u64, outcome: Outcome) -> Result<(), String> {
        let number = self.begun(place, id)?;
        let call = &mut self.history.calls[number];
        call.ended = Some(place);
        call.outcome = outcome;
        Ok(())
    }

    fn begun(&self, place: Place, id: u64) -> Result<usize, String> {
        let number = *self
            .calls
            .get(&(place.client, id))
            .ok_or_else(|| format!("no `invoke` of this client and drawing has the id {id}"))?;
        match self.history.calls[number].ended {
            Some(_) => Err(format!("the request {id} of this client has ended already")),
            None => Ok(number),
        }
    }

    // --- Readers, pictures, logs --------------------------------------------------------------------

    fn live(&mut self, at: Place, line: Frame) -> Result<(), String> {
        let trunk = self.trunk(line.previous_epoch, line.base)?;
        let epoch = line.epoch.map(|epoch| self.epoch(epoch)).transpose()?;
        use crate::format::FrameType::{Head, Ops, Reset, Subscribe, Subscribed};
        if matches!(line.r#type, Subscribed | Head | Reset) && (epoch.is_none() || line.revision.is_none()) {
            return Err("the message has no `epoch` or no `revision`".to_owned());
        }
        if line.r#type == Ops && line.ops.as_ref().is_none_or(Vec::is_empty) {
            return Err("`ops` has no ops".to_owned());
        }
        if let (Some(epoch), false) = (epoch, line.r#type == Subscribe) {
            self.history.said.push(Said { at, epoch, trunk, tells: true });
        }
        let revision = if line.r#type == Subscribe { line.after } else { line.revision };
        let ops = seen_ops(line.ops.unwrap_or_default())?;
        let message = Message { at, kind: line.r#type, epoch, trunk, revision, role: line.role, ops };
        let user = self.user_of_client[at.client as usize];
        let readers = &mut self.history.readers;
        let number = *self.readers.entry((at.client, line.reader)).or_insert_with_key(|(_, name)| {
            readers.push(Reader { name: name.clone(), user, frames: Vec::new() });
            readers.len() - 1
        });
        readers[number].frames.push(message);
        Ok(())
    }

    fn picture(&mut self, at: Place, line: PictureLine) -> Result<(), String> {
        let epoch = self.epoch(line.epoch)?;
        let position = Position { epoch, revision: line.revision };
        let by = format!("{} by the reducer {}", line.via, line.reducer);
        self.history.said.push(Said { at, epoch, trunk: None, tells: false });
        self.history.pictures.push(Picture { at, position, hash: line.hash, by, objects: line.objects });
        Ok(())
    }

    fn log(&mut self, at: Place, line: LogLine) -> Result<(), String> {
        let trunk = self.trunk(line.previous_epoch, line.base)?;
        let epoch = self.epoch(line.epoch)?;
        if self.logs.insert(epoch, self.history.logs.len()).is_some() {
            return Err("there is a line `log` of this drawing and epoch already".to_owned());
        }
        self.history.said.push(Said { at, epoch, trunk, tells: true });
        let lossless = line.lossless.unwrap_or(false);
        self.history.logs.push(Log { at, epoch, head: line.head, lossless, entries: Vec::new() });
        Ok(())
    }

    fn entry(&mut self, at: Place, line: EntryLine) -> Result<(), String> {
        let epoch = self.epoch(line.epoch)?;
        let number = *self.logs.get(&epoch).ok_or("no line `log` of this drawing and epoch comes before")?;
        let actor = self.user(line.actor);
        let (digest, kind, unit) = match (line.hash, line.body) {
            (Some(digest), None) => {
                let objects = line.object_ids.unwrap_or_default();
                (digest, kind_of(line.r#type.as_deref().unwrap_or_default(), objects, line.floor), line.unit)
            }
            (None, Some(body)) => {
                let digest = Digest::of_body(&body).ok_or("the body is no object")?;
                let text = |name: &str| body.get(name).and_then(Value::as_str);
                let floor = body.get("floor").and_then(Value::as_u64);
                let kind = kind_of(text("type").unwrap_or_default(), objects_of(&body), floor);
                (digest, kind, text("unit").and_then(OpId::parse))
            }
            _ => return Err("an op has either `hash` or `body`".to_owned()),
        };
        let unit = unit.unwrap_or(line.op_id);
        let entry = Entry { at, revision: line.revision, op_id: line.op_id, digest, actor, unit, kind };
        self.history.logs[number].entries.push(entry);
        Ok(())
    }

    // --- Names --------------------------------------------------------------------------------------

    fn epoch(&mut self, name: String) -> Result<EpochId, String> {
        if let Some(&number) = self.epochs.get(&name) {
            return Ok(number);
        }
        let number = EpochId::try_from(self.history.epochs.len()).map_err(|_| "there are too many epochs")?;
        self.history.epochs.push(name.clone());
        self.epochs.insert(name, number);
        Ok(number)
    }

    fn trunk(&mut self, previous: Option<String>, base: Option<u64>) -> Result<Option<Trunk>, String> {
        match (previous, base) {
            (Some(previous), Some(base)) => Ok(Some(Trunk { epoch: self.epoch(previous)?, base })),
            (None, None) => Ok(None),
            _ => Err("`previous_epoch` and `base` come together".to_owned()),
        }
    }

    fn user(&mut self, name: String) -> u32 {
        let users = &mut self.history.users;
        *self.users.entry(name).or_insert_with_key(|name| {
            users.push(name.clone());
            u32::try_from(users.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

fn sent_op(op: &SentOp) -> Result<Sent, String> {
    Ok(Sent { op_id: op.op_id, digest: digest(op.hash, op.body.as_ref())? })
}

fn seen_ops(ops: Vec<SeenOp>) -> Result<Vec<Seen>, String> {
    let seen = |op: SeenOp| {
        let digest = digest(op.hash, op.body.as_ref())?;
        Ok(Seen { revision: op.revision, op_id: op.op_id, digest })
    };
    ops.into_iter().map(seen).collect()
}

fn digest(hash: Option<Digest>, body: Option<&Value>) -> Result<Digest, String> {
    match (hash, body) {
        (Some(digest), None) => Ok(digest),
        (None, Some(body)) => Digest::of_body(body).ok_or_else(|| "the body is no object".to_owned()),
        _ => Err("an op has either `hash` or `body`".to_owned()),
    }
}

fn objects_of(body: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match (body.get("object_id"), body.get("object_ids").and_then(Value::as_array)) {
        (_, Some(many)) => many.iter().filter_map(text).collect(),
        (Some(one), None) => text(one).into_iter().collect(),
        (None, None) => Vec::new(),
    }
}

fn kind_of(name: &str, mut objects: Vec<String>, floor: Option<u64>) -> EntryKind {
    match (name, floor) {
        ("undo", _) => EntryKind::Undo,
        ("redo", _) => EntryKind::Redo,
        ("fold", Some(floor)) => EntryKind::Fold(floor),
        ("canvas.clear", _) => EntryKind::Clear,
        ("object.delete", _) => EntryKind::Delete(objects.into_boxed_slice()),
        ("object.create" | "stroke.begin", _) => {
            objects.pop().map_or(EntryKind::Other, |object| EntryKind::Create(object.into_boxed_str()))
        }
        _ => EntryKind::Other,
    }
}
