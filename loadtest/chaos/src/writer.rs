//! A user who draws: objects, strokes, undo and redo, now and then a request sent twice, one that has to be refused, or one
//! that is left alone when it has no answer and sent again once all is well.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use revcast_checker::{
    format::{CallName, Invoke},
    generate::random::Random,
    ids::OpId,
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

use crate::{
    hand::{Hand, Scene, may_be_sent_again},
    recorder::{End, sent},
};

/// The pause between two requests, in milliseconds.
const PAUSE_MS: (u64, u64) = (5, 60);
/// Objects of a writer that are changed and deleted again.
const OBJECTS: usize = 12;
/// Requests without an answer that are left for later, at most.
const LEFT: usize = 32;

/// A writer, and what it remembers.
struct Writer {
    hand: Hand,
    random: Random,
    name: String,
    /// Objects that it has made and not deleted.
    objects: Vec<String>,
    made: u64,
    /// The head, as it was told last, by drawing.
    heads: Vec<Option<u64>>,
    /// An op that was acknowledged, and in which drawing.
    acknowledged: Option<(usize, Value)>,
    /// Requests that were left without an answer, or refused after that, each with its drawing.
    left: Vec<(usize, Vec<Value>)>,
    /// Nothing that was acknowledged may be lost, so that an id stays taken.
    is_lossless: bool,
}

/// Draws until `stop`, and then until the last request has its answer, and each that was left without one.
///
/// # Errors
/// When the history cannot be written.
pub async fn write(
    scene: Arc<Scene>,
    nth: usize,
    seed: u64,
    is_lossless: bool,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let name = format!("writer{nth}");
    let hand = Hand::new(&scene, &name, &name, nth)?;
    let heads = vec![None; scene.drawings.len()];
    let mut writer = Writer {
        hand,
        random: Random::new(seed),
        name,
        objects: Vec::new(),
        made: 0,
        heads,
        acknowledged: None,
        left: Vec::new(),
        is_lossless,
    };
    while !*stop.borrow() {
        writer.act().await?;
        sleep(Duration::from_millis(writer.random.between(PAUSE_MS.0, PAUSE_MS.1))).await;
    }
    writer.ask_again().await?;
    writer.hand.recorder.finish()
}

impl Writer {
    async fn act(&mut self) -> anyhow::Result<()> {
        let which = self.random.index(self.heads.len());
        match self.random.between(0, 99) {
            0..12 => self.press(which, "undo").await,
            12..20 => self.press(which, "redo").await,
            20..24 => self.insist_on_head(which).await,
            24..27 if self.is_lossless => self.take_an_id(which).await,
            27..38 if self.left.len() < LEFT => self.draw_once(which).await,
            draw => {
                let ops = if draw < 50 { self.stroke() } else { self.change() };
                let twice = self.random.percent(10);
                let drawing = self.drawing(which);
                let end = self.hand.append(&drawing, &ops, twice).await?;
                self.learn(which, ops, end);
                Ok(())
            }
        }
    }

    fn drawing(&self, which: usize) -> String {
        self.hand.scene().drawings[which].clone()
    }

    /// A stroke in one request: one unit.
    fn stroke(&mut self) -> Vec<Value> {
        let (object, unit) = (self.new_object(), Uuid::now_v7().to_string());
        let points = json!([[self.random.between(0, 500), self.random.between(0, 500)], [1, 2.5]]);
        let begin = json!({"op_id": unit, "type": "stroke.begin", "object_id": object, "tool": "pen",
            "props": {"color": "#06c"}, "points": points});
        let append = json!({"op_id": Uuid::now_v7(), "unit": unit, "type": "stroke.append", "object_id": object,
            "index": 2, "points": [[9, 9]]});
        let end = json!({"op_id": Uuid::now_v7(), "unit": unit, "type": "stroke.end", "object_id": object, "count": 3});
        vec![begin, append, end]
    }

    /// A stroke that is sent once. Without an answer it is left, and nothing else is done to it meanwhile.
    async fn draw_once(&mut self, which: usize) -> anyhow::Result<()> {
        let (drawing, ops) = (self.drawing(which), self.stroke());
        self.objects.pop();
        let end = self.hand.append_once(&drawing, &ops).await?;
        if may_be_sent_again(&end) {
            self.left.push((which, ops));
        } else {
            self.learn(which, ops, Some(end));
        }
        Ok(())
    }

    /// Sends again what was left, under the same ids. It may be in the log, or not; the answer has to say so.
    async fn ask_again(&mut self) -> anyhow::Result<()> {
        for (which, ops) in std::mem::take(&mut self.left) {
            let drawing = self.drawing(which);
            let end = self.hand.append(&drawing, &ops, false).await?;
            self.learn(which, ops, end);
        }
        Ok(())
    }

    /// One to four ops, each a unit of its own.
    fn change(&mut self) -> Vec<Value> {
        let count = self.random.between(1, 4);
        (0..count)
            .map(|_| {
                let op_id = Uuid::now_v7();
                if self.objects.len() > OBJECTS {
                    let object = self.objects.remove(0);
                    return json!({"op_id": op_id, "type": "object.delete", "object_ids": [object]});
                }
                let x = self.random.between(0, 1_000);
                match (self.objects.is_empty(), self.random.percent(50)) {
                    (false, true) => {
                        let object = &self.objects[self.random.index(self.objects.len())];
                        json!({"op_id": op_id, "type": "object.update", "object_id": object, "set": {"x": x}})
                    }
                    _ => {
                        let object = self.new_object();
                        json!({"op_id": op_id, "type": "object.create", "object_id": object, "kind": "rect",
                            "props": {"x": x}})
                    }
                }
            })
            .collect()
    }

    fn new_object(&mut self) -> String {
        self.made += 1;
        let object = format!("{}-{}", self.name, self.made);
        self.objects.push(object.clone());
        object
    }

    async fn press(&mut self, which: usize, what: &'static str) -> anyhow::Result<()> {
        let (drawing, op_id) = (self.drawing(which), Uuid::now_v7().to_string());
        let call = if what == "undo" { CallName::Undo } else { CallName::Redo };
        let asked = Invoke { op_id: OpId::parse(&op_id), ..Invoke::asking(call) };
        let (path, body) =
            (format!("/v1/drawings/{drawing}/{what}"), json!({"op_id": op_id, "scope": "mine"}));
        let end = self.hand.insist(&drawing, asked, Method::POST, &path, Some(&body)).await?;
        let is_expected = |code: &str| code == "nothing_to_undo" || code == "nothing_to_redo";
        self.expect(what, end.as_ref(), is_expected);
        Ok(())
    }

    /// A request that is met only where the log has not moved on.
    async fn insist_on_head(&mut self, which: usize) -> anyhow::Result<()> {
        let Some(head) = self.heads[which] else { return Ok(()) };
        let (drawing, ops) = (self.drawing(which), self.change());
        let asked =
            Invoke { ops: Some(sent(&ops)?), if_revision: Some(head), ..Invoke::asking(CallName::Append) };
        let (path, body) = (format!("/v1/drawings/{drawing}/ops"), json!({"ops": ops, "if_revision": head}));
        let unknown = self.hand.unknown();
        let end = self.hand.insist(&drawing, asked, Method::POST, &path, Some(&body)).await?;
        self.expect("a commit at a head", end.as_ref(), |code| code == "revision_conflict");
        if let Some(End::Refused { .. }) = end
            && self.hand.unknown() > unknown
            && self.left.len() < LEFT
        {
            self.left.push((which, ops));
        }
        Ok(())
    }

    /// Another op under the id of one that was acknowledged.
    async fn take_an_id(&mut self, which: usize) -> anyhow::Result<()> {
        let Some((which, op)) = self.acknowledged.take().filter(|(known, _)| *known == which) else {
            return Ok(());
        };
        let other = json!({"op_id": op["op_id"], "type": "custom.other", "data": {"not": "the same"}});
        let drawing = self.drawing(which);
        let end = self.hand.append(&drawing, &[other], false).await?;
        if let Some(End::Ok(body)) = &end {
            let complaints = &self.hand.scene().complaints;
            complaints.add(format!("another op was taken under the id of one that is there: {body}"));
        }
        self.expect("a commit under a taken id", end.as_ref(), |code| code == "op_id_conflict");
        Ok(())
    }

    fn learn(&mut self, which: usize, ops: Vec<Value>, end: Option<End>) {
        self.expect("a commit", end.as_ref(), |_| false);
        if let Some(End::Ok(body)) = end {
            self.heads[which] = body["latest_revision"].as_u64();
            self.acknowledged = ops.into_iter().next().map(|op| (which, op));
        }
    }

    /// Complains of a refusal that nothing explains.
    fn expect(&self, what: &str, end: Option<&End>, is_expected: impl Fn(&str) -> bool) {
        if let Some(End::Refused { status, code }) = end
            && !is_expected(code)
        {
            let complaints = &self.hand.scene().complaints;
            complaints.add(format!("{what} of {} is refused: {status} {code}", self.name));
        }
    }
}
