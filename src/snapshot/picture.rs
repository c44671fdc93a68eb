//! The answer to who asks for a canvas: its view, its hash and its registers as JSON, made once and shared.

use std::{
    io::{self, Read},
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{
    deflated::{Deflated, Deflater, Inflating, TextPart, gzip},
    memory::Share,
};
use crate::{
    clock::now_ms,
    model::{Branch, Canvas, Revision, View, svg},
};

/// Pieces in which the text of a compressed answer is made.
const ANSWER_PIECE_BYTES: usize = 64 * 1024;

/// The part of a canvas that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// The view and the registers: to go on from with ops.
    Whole,
    /// The view: to look at.
    ViewOnly,
}

/// A canvas at one revision, as it is told. Its parts are compressed, and shared by all who ask for it.
#[derive(Debug)]
pub struct Picture {
    /// The epoch of the revision, and how the log goes on from the one before.
    pub branch: Branch,
    /// The revision.
    pub revision: Revision,
    /// The SHA-256 of the view.
    pub state_hash: String,
    /// The rendered view in canonical JSON.
    view: Deflated,
    /// Unless it is there to look at only.
    registers: Option<Deflated>,
    /// The same as SVG, for as long as it is being sent to somebody; locked while it is drawn, so that those who wait share
    /// it.
    pub(super) drawing: Mutex<Weak<SvgPicture>>,
    /// When somebody last asked for it, in milliseconds since 1970.
    asked_at: AtomicI64,
    /// The memory it takes, which is given back once nobody has it any more.
    _share: Share,
}

impl Picture {
    /// Renders a canvas, in the memory of `share`.
    #[must_use]
    pub fn new(branch: Branch, canvas: &Canvas, extent: Extent, mut share: Share) -> Self {
        let (mut view, mut hash) = (Deflater::new(), Sha256::new());
        canvas.write_view(&mut |piece| {
            hash.update(piece);
            view.write(piece);
        });
        let view = view.finish();
        let registers = (extent == Extent::Whole).then(|| {
            let mut registers = Deflater::new();
            canvas.write_registers(&mut |piece| registers.write(piece));
            registers.finish()
        });
        share.shrink_to(weight(&view, registers.as_ref()));
        Self {
            branch,
            revision: canvas.revision(),
            state_hash: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            view,
            registers,
            drawing: Mutex::default(),
            asked_at: AtomicI64::new(now_ms()),
            _share: share,
        }
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        weight(&self.view, self.registers.as_ref())
    }

    /// The view, in canonical JSON.
    ///
    /// # Errors
    /// When it cannot be inflated, which is a defect of ours.
    pub fn view(&self) -> io::Result<String> {
        let mut text = String::with_capacity(usize::try_from(self.view.len()).unwrap_or(0));
        self.view.text().read_to_string(&mut text)?;
        Ok(text)
    }

    /// About how many bytes it takes to draw it: the objects, and the text that they become.
    pub(super) fn drawing_weight(&self) -> u64 {
        2 * self.view.len()
    }

    /// Draws it as SVG, in the memory of `share`.
    ///
    /// # Errors
    /// When the view cannot be read back, which is a defect of ours.
    pub(super) fn draw(&self, mut share: Share) -> io::Result<SvgPicture> {
        let view: View = serde_json::from_str(&self.view()?)?;
        let mut drawn = Deflater::new();
        drawn.write(&svg(&view));
        let svg = drawn.finish();
        share.shrink_to(svg.weight());
        Ok(SvgPicture { svg, _share: share })
    }

    /// The JSON `{epoch, revision, state_hash, view, registers}`, with `previous_epoch` and `base` where there are any.
    #[must_use]
    pub fn answer(self: &Arc<Self>, extent: Extent) -> PictureText {
        let Self { branch, revision, state_hash, view, registers, .. } = &**self;
        let text = |text: &'static [u8]| TextPart::Text(Bytes::from_static(text));
        let epoch = branch.json_fields();
        let head = format!(r#"{{{epoch},"revision":{revision},"state_hash":"{state_hash}","view":"#);
        let mut parts = vec![TextPart::Text(head.into()), TextPart::Deflated(view.clone())];
        if let Some(registers) = registers.as_ref().filter(|_| extent == Extent::Whole) {
            parts.extend([text(br#","registers":"#), TextPart::Deflated(registers.clone())]);
        }
        parts.push(text(b"}"));
        PictureText { held: self.clone(), parts }
    }

    /// The view alone.
    #[must_use]
    pub fn view_answer(self: &Arc<Self>) -> PictureText {
        PictureText { held: self.clone(), parts: vec![TextPart::Deflated(self.view.clone())] }
    }

    /// Remembers that somebody has asked for it.
    pub(super) fn touch(&self) {
        self.asked_at.store(now_ms(), Ordering::Relaxed);
    }

    /// Returns `true` if nobody has asked for it since then, in milliseconds since 1970.
    pub(super) fn is_idle_since(&self, then: i64) -> bool {
        self.asked_at.load(Ordering::Relaxed) < then
    }
}

fn weight(view: &Deflated, registers: Option<&Deflated>) -> u64 {
    size_of::<Picture>() as u64 + view.weight() + registers.map_or(0, Deflated::weight)
}

/// A picture as SVG.
#[derive(Debug)]
pub struct SvgPicture {
    svg: Deflated,
    /// The memory it takes.
    _share: Share,
}

impl SvgPicture {
    /// The SVG.
    #[must_use]
    pub fn answer(self: &Arc<Self>) -> PictureText {
        PictureText { held: self.clone(), parts: vec![TextPart::Deflated(self.svg.clone())] }
    }
}

/// A thing that stays in memory until an answer has been sent.
trait HeldMemory: std::fmt::Debug + Send + Sync {}

impl HeldMemory for Picture {}
impl HeldMemory for SvgPicture {}

/// Text that is told of a picture, which stays in memory meanwhile.
#[derive(Debug)]
pub struct PictureText {
    held: Arc<dyn HeldMemory>,
    parts: Vec<TextPart>,
}

/// Keeps the parts of an answer in memory.
#[derive(Debug)]
pub struct Holding(#[allow(dead_code, reason = "held, not read")] Arc<dyn HeldMemory>);

impl PictureText {
    /// The gzipped bytes, in their parts, and what keeps them in memory.
    #[must_use]
    pub fn gzip(self) -> (Vec<Bytes>, Holding) {
        (gzip(&self.parts), Holding(self.held))
    }

    /// The text, piece by piece, and its length.
    #[must_use]
    pub fn text(self) -> (InflatedText, u64) {
        let lengths = self.parts.iter().map(|part| match part {
            TextPart::Text(text) => text.len() as u64,
            TextPart::Deflated(part) => part.len(),
        });
        let len = lengths.sum();
        (InflatedText { _held: self.held, parts: self.parts.into_iter(), inflating: None }, len)
    }
}

/// The text of an answer, inflated piece by piece.
#[derive(Debug)]
pub struct InflatedText {
    _held: Arc<dyn HeldMemory>,
    parts: std::vec::IntoIter<TextPart>,
    inflating: Option<Inflating>,
}

impl Iterator for InflatedText {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(inflating) = &mut self.inflating {
                let mut piece = Vec::with_capacity(ANSWER_PIECE_BYTES);
                match inflating.take(ANSWER_PIECE_BYTES as u64).read_to_end(&mut piece) {
                    Ok(0) => self.inflating = None,
                    outcome => return Some(outcome.map(|_| piece.into())),
                }
            }
            match self.parts.next()? {
                TextPart::Text(text) => return Some(Ok(text)),
                TextPart::Deflated(part) => self.inflating = Some(part.text()),
            }
        }
    }
}
