//! The work of a writer: gestures of pen data, one after the other, and the requests they are sent in.

use std::{collections::VecDeque, sync::Arc};

use loadtest::pen::{self, Stroke};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::scenario::Mix;

/// Objects of one's own that are remembered, to be changed or erased.
const REMEMBERED: usize = 64;
/// Colors that a stroke is given.
const COLORS: [&str; 5] = ["#1a1a2e", "#e63946", "#2a9d8f", "#f4a261", "#264653"];

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// `POST …/ops`.
    Ops(Vec<Value>),
    /// `POST …/undo`, under this id.
    Undo(Uuid),
}

impl Wish {
    /// The number of ops that it commits.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Ops(ops) => ops.len(),
            Self::Undo(_) => 1,
        }
    }
}

/// A gesture that a writer makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gesture {
    Draw,
    Change,
    Erase,
    Undo,
}

/// The hand of one writer.
#[derive(Debug)]
pub(crate) struct Hand {
    strokes: Arc<[Stroke]>,
    mix: Mix,
    /// The ops of the gesture under way that are still to be sent.
    pending: VecDeque<Value>,
    /// Strokes that are there, the newest last.
    objects: VecDeque<String>,
    /// True if there is a unit to undo.
    has_drawn: bool,
    is_undo_next: bool,
    state: u64,
}

impl Hand {
    /// The nth hand; each draws something else.
    pub(crate) fn new(strokes: Arc<[Stroke]>, mix: Mix, nth: usize) -> Self {
        let state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(nth as u64 + 1) | 1;
        let (pending, objects) = (VecDeque::new(), VecDeque::new());
        Self { strokes, mix, pending, objects, has_drawn: false, is_undo_next: false, state }
    }

    /// The next request, of so many ops. An undo goes alone, after what was drawn before it.
    pub(crate) fn next(&mut self, ops: usize) -> Wish {
        let mut taken = Vec::with_capacity(ops);
        loop {
            while taken.len() < ops {
                let Some(op) = self.pending.pop_front() else { break };
                taken.push(op);
            }
            if taken.len() == ops || (self.is_undo_next && !taken.is_empty()) {
                return Wish::Ops(taken);
            }
            if std::mem::take(&mut self.is_undo_next) {
                self.has_drawn = false;
                return Wish::Undo(Uuid::now_v7());
            }
            self.begin();
        }
    }

    /// Begins the next gesture.
    fn begin(&mut self) {
        match self.choose() {
            Gesture::Change if !self.objects.is_empty() => {
                let place = self.below(self.objects.len());
                let color = COLORS[self.below(COLORS.len())];
                let (op_id, object) = (Uuid::now_v7(), &self.objects[place]);
                self.pending.push_back(json!({
                    "op_id": op_id, "type": "object.update", "object_id": object, "set": {"color": color},
                }));
                self.has_drawn = true;
            }
            Gesture::Erase if !self.objects.is_empty() => {
                let place = self.below(self.objects.len());
                if let Some(object) = self.objects.remove(place) {
                    let op_id = Uuid::now_v7();
                    self.pending
                        .push_back(json!({"op_id": op_id, "type": "object.delete", "object_ids": [object]}));
                    self.has_drawn = true;
                }
            }
            Gesture::Undo if self.has_drawn => self.is_undo_next = true,
            _ => {
                let stroke = self.below(self.strokes.len());
                let ops = pen::ops(&self.strokes[stroke]);
                if let Some(object) = ops.first().and_then(|op| op["object_id"].as_str()) {
                    self.objects.push_back(object.to_owned());
                }
                if self.objects.len() > REMEMBERED {
                    self.objects.pop_front();
                }
                self.pending.extend(ops);
                self.has_drawn = true;
            }
        }
    }

    fn choose(&mut self) -> Gesture {
        let shares = [
            (self.mix.draw, Gesture::Draw),
            (self.mix.change, Gesture::Change),
            (self.mix.erase, Gesture::Erase),
            (self.mix.undo, Gesture::Undo),
        ];
        let total = usize::try_from(self.mix.total()).unwrap_or(usize::MAX);
        let mut left = self.below(total);
        for (share, gesture) in shares {
            let share = share as usize;
            if left < share {
                return gesture;
            }
            left -= share;
        }
        Gesture::Draw
    }

    /// Xorshift: the same load each time.
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap_or(0) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(mix: Mix, ops: usize, count: usize) -> Vec<Wish> {
        let mut hand = Hand::new(pen::made_up(20).into(), mix, 3);
        (0..count).map(|_| hand.next(ops)).collect()
    }

    #[test]
    fn an_undo_comes_between_gestures_and_nothing_is_left_out() {
        let mix = Mix { draw: 10, change: 3, erase: 2, undo: 5 };
        for ops in [1, 4, 50] {
            let wishes = wishes(mix, ops, 2_000);
            let mut open = None;
            let (mut undos, mut count) = (0, [0; 3]);
            for wish in &wishes {
                let Wish::Ops(ops) = wish else {
                    assert_eq!(open, None, "an undo within a stroke");
                    undos += 1;
                    continue;
                };
                for op in ops {
                    match op["type"].as_str().unwrap() {
                        "stroke.begin" => {
                            assert_eq!(open, None);
                            open = Some((op["object_id"].clone(), 1));
                        }
                        "stroke.append" => {
                            let (object, index) = open.clone().unwrap();
                            assert_eq!((&op["object_id"], op["index"].as_u64()), (&object, Some(index)));
                            open = Some((object, index + 1));
                        }
                        "stroke.end" => {
                            let (object, count) = open.take().unwrap();
                            assert_eq!((&op["object_id"], op["count"].as_u64()), (&object, Some(count - 1)));
                        }
                        "object.update" => count[0] += 1,
                        "object.delete" => count[1] += 1,
                        other => panic!("{other}"),
                    }
                }
                count[2] += ops.len();
            }
            assert!(undos > 10 && count[0] > 10 && count[1] > 10, "{undos} {count:?}");
            assert!(wishes.iter().all(|wish| (1..=ops).contains(&wish.len())));
        }
    }

    #[test]
    fn without_other_shares_all_are_strokes_and_requests_are_full() {
        let mix = Mix { draw: 1, change: 0, erase: 0, undo: 0 };
        assert!(wishes(mix, 7, 500).iter().all(|wish| matches!(wish, Wish::Ops(ops) if ops.len() == 7)));
    }
}
