//! The picture: what is seen of a canvas, in canonical JSON, and its hash.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{
    Canvas, STROKE,
    chains::Chains,
    object::{Json, Object, ScreenOrder},
    units::Liveness,
};
use crate::model::{
    ObjectId,
    canonical::{Key, compare_utf16, write_string},
};

/// Size of a piece in which a text is handed over, in bytes; the object that crosses it still belongs to it.
const PIECE_BYTES: usize = 32 * 1024;
/// Bytes that most objects take in JSON, besides their points and props: to begin with.
const TYPICAL_OBJECT_BYTES: usize = 128;

/// Has `write` write to a text that is handed over whenever it has become a piece of its own.
pub(super) fn in_pieces(
    take: &mut dyn FnMut(&str),
    write: impl FnOnce(&mut String, &mut dyn FnMut(&mut String)),
) {
    let mut out = String::with_capacity(2 * PIECE_BYTES);
    write(&mut out, &mut |out| {
        if out.len() >= PIECE_BYTES {
            take(out);
            out.clear();
        }
    });
    take(&out);
}

/// The SHA-256 of a canonical view, as lower-case hexadecimal digits.
#[must_use]
pub fn state_hash(view: &str) -> String {
    Sha256::digest(view.as_bytes()).iter().fold(String::with_capacity(64), |mut hash, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hash, "{byte:02x}");
        hash
    })
}

impl Canvas {
    /// The rendered view `{"canvas":{…},"objects":[…]}` in canonical JSON (RFC 8785): objects in screen order.
    #[must_use]
    pub fn view(&self) -> String {
        let mut out = String::with_capacity(self.objects.len() * TYPICAL_OBJECT_BYTES + 64);
        self.render(&mut out, &mut |_| ());
        out
    }

    /// The same, handed over piece by piece, so that it is never in memory as a whole.
    pub fn write_view(&self, take: &mut dyn FnMut(&str)) {
        in_pieces(take, |out, full| self.render(out, full));
    }

    /// Writes the view to `out`, which `full` may empty between two objects.
    fn render(&self, out: &mut String, full: &mut dyn FnMut(&mut String)) {
        let liveness = self.units.liveness();
        out.push_str(r#"{"canvas":"#);
        write_props(out, &self.props, liveness);
        out.push_str(r#","objects":["#);
        for (nth, seen) in self.seen(liveness).into_iter().enumerate() {
            if nth > 0 {
                out.push(',');
            }
            seen.write(out, liveness);
            full(out);
        }
        out.push_str("]}");
    }

    /// The objects that are seen, in screen order.
    pub(super) fn seen<'a>(&'a self, liveness: Liveness<'_>) -> Vec<Seen<'a>> {
        let cleared = self.cleared(liveness);
        let place = |(id, object): (&'a ObjectId, &'a Object)| {
            Some(Seen { place: object.place(liveness, cleared)?, id, object })
        };
        let mut seen: Vec<_> = self.objects.iter().filter_map(place).collect();
        seen.sort_unstable_by(|a, b| {
            compare_utf16(a.place.z, b.place.z).then(a.place.created.cmp(&b.place.created))
        });
        seen
    }

    /// The revision of the newest live `canvas.clear`; 0 without one.
    pub(super) fn cleared(&self, liveness: Liveness<'_>) -> u64 {
        self.clear.top(liveness).map_or(0, |clear| clear.revision)
    }
}

/// An object that is seen.
pub(super) struct Seen<'a> {
    pub place: ScreenOrder<'a>,
    pub id: &'a ObjectId,
    pub object: &'a Object,
}

impl Seen<'_> {
    /// Writes it as a member of `objects`. Its keys stand in the order of their letters.
    pub(super) fn write(&self, out: &mut String, liveness: Liveness<'_>) {
        let Self { place, id, object } = self;
        let kind = object.kind.top(liveness).map_or("", |kind| &*kind.value);
        let is_stroke = kind == STROKE;
        out.push('{');
        let joined = if is_stroke { joined(object, liveness) } else { Vec::new() };
        if is_stroke {
            let is_complete = object.is_complete(joined.len(), liveness);
            out.push_str(if is_complete { r#""complete":true,"# } else { r#""complete":false,"# });
        }
        out.push_str(r#""kind":"#);
        write_string(out, kind);
        out.push_str(r#","object_id":"#);
        write_string(out, id.as_str());
        if is_stroke {
            write_points(out, &joined);
        }
        out.push_str(r#","props":"#);
        write_props(out, &object.props, liveness);
        if is_stroke && let Some(tool) = object.tool.top(liveness) {
            out.push_str(r#","tool":"#);
            write_string(out, &tool.value);
        }
        out.push_str(r#","z":"#);
        write_string(out, place.z);
        out.push('}');
    }
}

/// The points of a stroke up to the first missing index.
pub(super) fn joined<'a>(object: &'a Object, liveness: Liveness<'_>) -> Vec<&'a str> {
    let present = object.points.iter().map_while(|(index, chain)| Some((index, chain.top(liveness)?)));
    (0..)
        .zip(present)
        .map_while(|(next, (index, points))| (*index == next).then_some(&*points.value))
        .collect()
}

fn write_points(out: &mut String, joined: &[&str]) {
    out.push_str(r#","points":["#);
    for (nth, points) in joined.iter().filter(|points| !points.is_empty()).enumerate() {
        if nth > 0 {
            out.push(',');
        }
        out.push_str(points);
    }
    out.push(']');
}

/// Writes the properties that have a value. They are sorted, and their values canonical already.
fn write_props(out: &mut String, props: &Chains<Key, Json>, liveness: Liveness<'_>) {
    out.push('{');
    let start = out.len();
    for (key, chain) in props.iter() {
        let Some(value) = chain.top(liveness).and_then(|write| write.value.as_deref()) else { continue };
        if out.len() > start {
            out.push(',');
        }
        write_string(out, &key.0);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}
