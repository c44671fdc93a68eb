//! Path data of clients: read, and written anew.
//!
//! The client's text never goes into the picture: only what was understood of it does, with absolute
//! coordinates of a sane size. As SVG has it, data with a fault in it is drawn up to the fault.

use super::{
    geometry::{Bounds, Vector},
    markup::push_command,
    props::clamped,
};

/// One step of a path, with absolute coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Segment {
    Move(Vector),
    Line(Vector),
    /// Two control points, and the end.
    Cubic(Vector, Vector, Vector),
    /// A control point, and the end.
    Quadratic(Vector, Vector),
    Arc {
        radii: Vector,
        /// The rotation of the ellipse, in degrees.
        rotation: f64,
        is_large: bool,
        is_clockwise: bool,
        end: Vector,
    },
    Close,
}

/// The part of some path data that was understood.
#[derive(Debug)]
pub(super) struct Path {
    /// The data, as it can stand in a `d` attribute.
    pub(super) data: String,
    /// A box with all of the path in it: that of its points, control points and whole ellipses.
    pub(super) bounds: Bounds,
}

/// The path moved by `shift`; none if there is a character that path data never has, or nothing to draw.
pub(super) fn read(data: &str, shift: Vector) -> Option<Path> {
    let is_legal = |byte| is_command(byte) || is_separator(byte) || b"0123456789+-.eE".contains(&byte);
    if !data.bytes().all(is_legal) {
        return None;
    }
    let mut reader = Reader { rest: data.as_bytes(), at: shift, start: shift, control: None };
    let mut written = String::new();
    let mut bounds: Option<Bounds> = None;
    let mut command = None;
    let mut is_drawn = false;
    while let Some(segment) = reader.segment(&mut command, shift) {
        let from = reader.at;
        reader.go(segment);
        write(segment, &mut written);
        let reach = reach(from, segment);
        bounds = Some(bounds.map_or(reach, |bounds| bounds.with(reach)));
        is_drawn |= !matches!(segment, Segment::Move(_));
    }
    bounds.filter(|_| is_drawn).map(|bounds| Path { data: written, bounds })
}

fn is_command(byte: u8) -> bool {
    b"MmLlHhVvCcSsQqTtAaZz".contains(&byte)
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\x0c' | b',')
}

/// Where in the data reading is, and where in the plane.
struct Reader<'a> {
    rest: &'a [u8],
    /// The current point.
    at: Vector,
    /// Where the current subpath began.
    start: Vector,
    /// The last control point of the segment before, and whether that was a cubic one.
    control: Option<(Vector, bool)>,
}

impl Reader<'_> {
    /// The next segment; none at the end of the data or at a fault in it. `command` is the letter of the
    /// segment before, which is not repeated in between.
    fn segment(&mut self, command: &mut Option<u8>, shift: Vector) -> Option<Segment> {
        self.skip_separators();
        let next = *self.rest.first()?;
        let letter = if is_command(next) {
            self.rest = &self.rest[1..];
            next
        } else {
            // A move without a letter of its own is followed by lines, and a close by nothing.
            match (*command)? {
                b'M' => b'L',
                b'm' => b'l',
                b'Z' | b'z' => return None,
                letter => letter,
            }
        };
        let is_first = command.replace(letter).is_none();
        if is_first && !letter.eq_ignore_ascii_case(&b'm') {
            return None;
        }
        // Relative coordinates start from the current point, which has been moved already.
        let base = if letter.is_ascii_lowercase() { self.at } else { shift };
        Some(match letter.to_ascii_uppercase() {
            b'M' => Segment::Move(self.place(base)?),
            b'L' => Segment::Line(self.place(base)?),
            b'H' => Segment::Line(Vector { x: clamped(base.x + self.number()?)?, ..self.at }),
            b'V' => Segment::Line(Vector { y: clamped(base.y + self.number()?)?, ..self.at }),
            b'C' => Segment::Cubic(self.place(base)?, self.place(base)?, self.place(base)?),
            b'S' => Segment::Cubic(self.reflected(true), self.place(base)?, self.place(base)?),
            b'Q' => Segment::Quadratic(self.place(base)?, self.place(base)?),
            b'T' => Segment::Quadratic(self.reflected(false), self.place(base)?),
            b'A' => Segment::Arc {
                radii: Vector { x: self.number()?.abs(), y: self.number()?.abs() },
                rotation: self.number()? % 360.0,
                is_large: self.flag()?,
                is_clockwise: self.flag()?,
                end: self.place(base)?,
            },
            _ => Segment::Close,
        })
    }

    /// Makes the end of `segment` the current point.
    fn go(&mut self, segment: Segment) {
        self.control = match segment {
            Segment::Cubic(_, control, _) => Some((control, true)),
            Segment::Quadratic(control, _) => Some((control, false)),
            _ => None,
        };
        self.at = match segment {
            Segment::Move(end) => {
                self.start = end;
                end
            }
            Segment::Line(end)
            | Segment::Cubic(_, _, end)
            | Segment::Quadratic(_, end)
            | Segment::Arc { end, .. } => end,
            Segment::Close => self.start,
        };
    }

    /// The control point that goes on smoothly from a segment of the same sort.
    fn reflected(&self, is_cubic: bool) -> Vector {
        match self.control {
            Some((control, was_cubic)) if was_cubic == is_cubic => {
                let reflected = self.at * 2.0 - control;
                let coordinate = |number| clamped(number).unwrap_or(0.0);
                Vector { x: coordinate(reflected.x), y: coordinate(reflected.y) }
            }
            _ => self.at,
        }
    }

    fn place(&mut self, base: Vector) -> Option<Vector> {
        Some(Vector { x: clamped(base.x + self.number()?)?, y: clamped(base.y + self.number()?)? })
    }

    fn flag(&mut self) -> Option<bool> {
        self.skip_separators();
        let (flag, rest) = self.rest.split_first()?;
        self.rest = rest;
        match flag {
            b'0' => Some(false),
            b'1' => Some(true),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<f64> {
        self.skip_separators();
        let end = number_end(self.rest);
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        clamped(std::str::from_utf8(number).ok()?.parse().ok()?)
    }

    fn skip_separators(&mut self) {
        let end = self.rest.iter().take_while(|byte| is_separator(**byte)).count();
        self.rest = &self.rest[end..];
    }
}

/// The length of the number that `bytes` begin with: sign, digits, fraction, exponent. A second sign
/// or point begins the next number.
fn number_end(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_any = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    let mut end = usize::from(is_any(0, b"+-"));
    end += digits(end);
    if is_any(end, b".") {
        end += 1;
        end += digits(end);
    }
    if is_any(end, b"eE") {
        let exponent = end + 1 + usize::from(is_any(end + 1, b"+-"));
        let length = bytes.get(exponent..).map_or(0, |_| digits(exponent));
        if length > 0 {
            end = exponent + length;
        }
    }
    end
}

fn write(segment: Segment, out: &mut String) {
    match segment {
        Segment::Move(to) => push_command(out, 'M', [to.x, to.y]),
        Segment::Line(to) => push_command(out, 'L', [to.x, to.y]),
        Segment::Cubic(a, b, to) => push_command(out, 'C', [a.x, a.y, b.x, b.y, to.x, to.y]),
        Segment::Quadratic(a, to) => push_command(out, 'Q', [a.x, a.y, to.x, to.y]),
        Segment::Arc { radii, rotation, is_large, is_clockwise, end } => {
            let flag = |is_set: bool| f64::from(u8::from(is_set));
            let numbers = [radii.x, radii.y, rotation, flag(is_large), flag(is_clockwise), end.x, end.y];
            push_command(out, 'A', numbers);
        }
        Segment::Close => out.push('Z'),
    }
}

/// A box with all of a segment in it.
fn reach(from: Vector, segment: Segment) -> Bounds {
    let point = Bounds::of_point;
    match segment {
        Segment::Move(end) => point(end),
        Segment::Line(end) => point(from).with(point(end)),
        Segment::Quadratic(a, end) => point(from).with(point(a)).with(point(end)),
        Segment::Cubic(a, b, end) => point(from).with(point(a)).with(point(b)).with(point(end)),
        Segment::Arc { radii, rotation, is_large, is_clockwise, end } => {
            let ellipse = ellipse(from, radii, rotation, is_large != is_clockwise, end);
            point(from).with(point(end)).with(ellipse.unwrap_or(point(end)))
        }
        Segment::Close => point(from),
    }
}

/// The box of the whole ellipse that an arc is a part of, by SVG 2, B.2.4 and B.2.5; none where the arc
/// is a line.
fn ellipse(from: Vector, radii: Vector, rotation: f64, is_left: bool, end: Vector) -> Option<Bounds> {
    if radii.x <= 0.0 || radii.y <= 0.0 || from == end {
        return None;
    }
    // These are in the frame of the ellipse, scaled to a circle of radius 1.
    let half = ((from - end) * 0.5).rotated(-rotation);
    let half = Vector { x: half.x / radii.x, y: half.y / radii.y };
    let reach = half.length();
    // Radii too small to get from one end to the other are made large enough.
    let radii = radii * reach.max(1.0);
    let half = half * (1.0 / reach.max(1.0));
    let far = (1.0 / half.dot(half) - 1.0).max(0.0).sqrt();
    let centre = half.left() * if is_left { far } else { -far };
    let centre = Vector { x: centre.x * radii.x, y: centre.y * radii.y }.rotated(rotation);
    let centre = from.middle(end) + centre;
    let (sin, cos) = rotation.to_radians().sin_cos();
    let sides = Vector { x: (radii.x * cos).hypot(radii.y * sin), y: (radii.x * sin).hypot(radii.y * cos) };
    let ellipse = Bounds::of_box(centre - sides, sides * 2.0);
    [ellipse.min.x, ellipse.min.y, ellipse.max.x, ellipse.max.y]
        .iter()
        .all(|number| number.is_finite())
        .then_some(ellipse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &str) -> Option<String> {
        read(text, Vector::ZERO).map(|path| path.data)
    }

    #[test]
    fn each_command_is_written_with_absolute_coordinates() {
        let rows = [
            ("M1,2L3,4", "M1 2L3 4"),
            ("m1-2 3 4", "M1 -2L4 2"),
            ("M0 0 1 1 2 2z", "M0 0L1 1L2 2Z"),
            ("M1 1h2v3H0V0", "M1 1L3 1L3 4L0 4L0 0"),
            ("M0 0C1 1 2 2 3 0S5 5 6 0", "M0 0C1 1 2 2 3 0C4 -2 5 5 6 0"),
            ("M0 0q1 1 2 0t2 0", "M0 0Q1 1 2 0Q3 -1 4 0"),
            ("M0 0t2 0", "M0 0Q0 0 2 0"),
            ("M0 0a5 6 30 1110.5.5", "M0 0A5 6 30 1 1 10.5 0.5"),
            ("M1 1l1 0zl0 1", "M1 1L2 1ZL1 2"),
            ("M.5.5 1e1-1E-1", "M0.5 0.5L10 -0.1"),
        ];
        for (text, expected) in rows {
            assert_eq!(data(text).as_deref(), Some(expected), "{text}");
        }
        let moved = read("M1 1h2l1 1", Vector { x: 10.0, y: 20.0 }).unwrap();
        assert_eq!(moved.data, "M11 21L13 21L14 22");
    }

    #[test]
    fn a_fault_ends_the_path_and_other_characters_refuse_it() {
        for text in
            ["M0 0L1 1L2", "M0 0L1 1L2 x".trim_end_matches('x'), "M0 0L1 1--", "M0 0L1 1A1 1 0 2 0 1 1"]
        {
            assert_eq!(data(text).as_deref(), Some("M0 0L1 1"), "{text}");
        }
        for text in ["", "M0 0", "L1 1", "10 10", "M0 0L1 1\"", "M0 0L1 1<x>", "M0 0 L1 url(a)", "M0 0Lé"] {
            assert_eq!(data(text), None, "{text}");
        }
        assert_eq!(data("M0 0L1e999 1"), None);
        assert_eq!(data("M0 0L1e300 -1e300").as_deref(), Some("M0 0L10000000 -10000000"));
        assert_eq!(data("M0 0ze5").as_deref(), Some("M0 0Z"));
        assert_eq!(data("M0 0L1 1e").as_deref(), Some("M0 0L1 1"));
    }

    #[test]
    fn the_box_of_arcs_is_that_of_their_ellipse() {
        let bounds = read("M0 50A50 50 0 1 1 100 50A50 50 0 1 1 0 50Z", Vector::ZERO).unwrap().bounds;
        assert!((bounds.min - Vector::ZERO).length() < 1e-6, "{bounds:?}");
        assert!((bounds.max - Vector { x: 100.0, y: 100.0 }).length() < 1e-6, "{bounds:?}");
        // From the left end to the lower end of a circle about 10, 10, the short way and the long way.
        let circle = Bounds::of_box(Vector::ZERO, Vector { x: 20.0, y: 20.0 });
        for flags in ["0 0", "1 0", "0 1", "1 1"] {
            let bounds = read(&format!("M0 10A10 10 0 {flags} 10 20"), Vector::ZERO).unwrap().bounds;
            let is_same = (bounds.min - circle.min).length() + (bounds.max - circle.max).length() < 1e-6;
            assert_eq!(is_same, matches!(flags, "0 0" | "1 1"), "{flags}: {bounds:?}");
        }
    }
}
