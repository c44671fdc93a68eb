//! The state of a live reader, message by message.
//!
//! Owns where a reader asked to begin, and the position it has. Pure; faults are told to the checks as notes, and the
//! reader goes on as if it had been right, so that one fault is one finding.

use crate::{
    clock::Place,
    format::FrameType,
    history::{Asked, Message, Position, Reader, Seen, Trunk},
};

/// A remark on a message that checks want to know of.
#[derive(Debug)]
pub(crate) enum Note<'a> {
    /// It was asked for one position and told another: both, and the lineage that came with it.
    Began(Place, Asked, Position, Option<Trunk>),
    /// An op was told, and this is where it stands.
    Op(Place, Position, &'a Seen),
    /// It is out of order.
    Disorder(Place, String),
    /// The epoch has changed: rightly, or with the words that speak against it.
    Epoch(Place, Option<String>),
    /// It came in order.
    InOrder,
}

#[derive(Default)]
struct State {
    asked: Option<Asked>,
    position: Option<Position>,
    is_closed: bool,
}

/// Goes through the messages of a reader.
pub(crate) fn follow<'a>(reader: &'a Reader, tell: &mut impl FnMut(Note<'a>)) {
    let mut state = State::default();
    for message in &reader.frames {
        state.take(message, tell);
    }
}

impl State {
    fn take<'a>(&mut self, message: &'a Message, tell: &mut impl FnMut(Note<'a>)) {
        let at = message.at;
        if self.is_closed && message.kind != FrameType::Subscribe {
            tell(Note::Disorder(at, format!("{:?} comes after the connection has ended", message.kind)));
        }
        match message.kind {
            FrameType::Subscribe => {
                self.is_closed = false;
                self.asked = Some(Asked { epoch: message.epoch, revision: message.revision, until: None });
            }
            FrameType::Subscribed => self.begin(message, tell),
            FrameType::Ops => self.ops(message, tell),
            FrameType::Head => self.head(message, tell),
            FrameType::Reset => {
                let is_followed = self.asked.is_some() || self.position.is_some();
                tell(if is_followed { Note::InOrder } else { not_followed(message) });
                (self.asked, self.position) = (None, None);
            }
            FrameType::Role if message.role.is_none() => (self.asked, self.position) = (None, None),
            FrameType::Role => {}
            FrameType::Closed => *self = Self { is_closed: true, ..Self::default() },
        }
    }

    fn begin<'a>(&mut self, message: &'a Message, tell: &mut impl FnMut(Note<'a>)) {
        let Some(position) = position_of(message) else { return };
        let asked = self.asked.take();
        self.position = Some(position);
        let Some(asked) = asked else { return tell(not_followed(message)) };
        tell(Note::Began(message.at, asked, position, message.trunk));
        match asked.revision.filter(|&after| after != position.revision) {
            None => tell(Note::InOrder),
            Some(after) => tell(Note::Disorder(
                message.at,
                format!("asked to go on after {after}, it goes on after {}", position.revision),
            )),
        }
    }

    fn ops<'a>(&mut self, message: &'a Message, tell: &mut impl FnMut(Note<'a>)) {
        let Some(mut position) = self.position else { return tell(not_followed(message)) };
        let mut disorder = None;
        for op in &message.ops {
            let wanted = position.revision + 1;
            if op.revision != wanted {
                let what =
                    if op.revision < wanted { "comes again or late" } else { "leaves out what is before" };
                disorder.get_or_insert_with(|| {
                    format!("after revision {} comes {}, which {what}", position.revision, op.revision)
                });
            }
            // A repeat does not move the reader back.
            position.revision = position.revision.max(op.revision);
            tell(Note::Op(message.at, Position { epoch: position.epoch, revision: op.revision }, op));
        }
        self.position = Some(position);
        tell(disorder.map_or(Note::InOrder, |text| Note::Disorder(message.at, text)));
    }

    fn head<'a>(&mut self, message: &'a Message, tell: &mut impl FnMut(Note<'a>)) {
        let (Some(told), Some(mut position)) = (position_of(message), self.position) else {
            return tell(not_followed(message));
        };
        if told.epoch != position.epoch {
            let objection = match message.trunk {
                Some(trunk) if trunk.epoch != position.epoch => {
                    Some("the new epoch goes on with another one than that of the reader".to_owned())
                }
                Some(trunk) if position.revision > trunk.base => Some(format!(
                    "the reader has revision {}, and the new epoch goes on from {}: it had to be reset",
                    position.revision, trunk.base
                )),
                Some(_) => None,
                None => Some("the epoch has changed without a word on how it goes on".to_owned()),
            };
            tell(Note::Epoch(message.at, objection));
            position.epoch = told.epoch;
        }
        self.position = Some(position);
        if told.revision > position.revision {
            let has = position.revision;
            let text =
                format!("the head says that nothing is missing up to {}, but {has} came last", told.revision);
            self.position = Some(Position { revision: told.revision, ..position });
            return tell(Note::Disorder(message.at, text));
        }
        tell(Note::InOrder);
    }
}

fn position_of(message: &Message) -> Option<Position> {
    Some(Position { epoch: message.epoch?, revision: message.revision? })
}

fn not_followed(message: &Message) -> Note<'static> {
    Note::Disorder(
        message.at,
        format!("{:?} comes to a reader that does not follow the drawing", message.kind),
    )
}
