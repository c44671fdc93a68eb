//! The outline of a line whose width changes: from discs along a way to one closed path.
//!
//! The outline follows the line at the distance of its radius, ahead on the left and back on the right.
//! Where the line turns more tightly than its own width, the two sides would cross and tear holes; there,
//! and at corners, each piece of the line keeps sides of its own, an arc joins them on the outer side, and on
//! the inner side they meet in the middle of the line. So no part of the path runs anticlockwise, and filled
//! by the rule `nonzero` it has no holes.

use super::{geometry::Vector, markup::push_command};

/// The share of the shorter of two neighbouring pieces that the inner side of a turn may take up.
const LARGEST_CUT: f64 = 0.5;
/// Cosine of the sharpest turn that is smoothed, 60°. A sharper one was meant as a corner, and the longer the
/// pieces are, the more of it smoothing would cut off.
const SHARPEST_SMOOTH_TURN: f64 = 0.5;

/// A disc that the line passes through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Its middle.
    pub(super) at: Vector,
    /// Half the width of the line there.
    pub(super) radius: f64,
}

/// A point of the outline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vertex {
    pub(super) at: Vector,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The outline bends smoothly about it.
    Smooth,
    /// The outline passes through it.
    Corner,
    /// A corner to which an arc of this radius leads, clockwise, half a turn at most.
    ArcEnd(f64),
}

/// The outline of the line through `samples`, clockwise. No two neighbours are at the same place, and
/// there are at least two, or else there is no outline.
pub(super) fn outline(samples: &[Sample]) -> Vec<Vertex> {
    let [first, .., last] = samples else { return Vec::new() };
    let ways: Vec<Vector> = samples.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let (Some(&first_way), Some(&last_way)) = (ways.first(), ways.last()) else { return Vec::new() };

    let mut left = vec![corner(first.at + side(first_way, first.radius))];
    // The right side is walked ahead too, and turned round at the end: so its arcs end at their beginning.
    let mut right = vec![arc_end(first.at - side(first_way, first.radius), first.radius)];
    right[0].kind = Kind::Corner;
    for (sample, ways) in samples[1..].iter().zip(ways.windows(2)) {
        join(*sample, ways[0], ways[1], &mut left, &mut right);
    }
    left.push(corner(last.at + side(last_way, last.radius)));
    right.push(arc_end(last.at - side(last_way, last.radius), last.radius));

    left.extend(right.into_iter().rev());
    // The cap at the beginning, which closes the outline.
    left.push(arc_end(left[0].at, first.radius));
    left
}

/// The outline as it can stand in a `d` attribute.
pub(super) fn path_data(outline: &[Vertex]) -> String {
    let Some(first) = outline.first() else { return String::new() };
    let mut out = String::new();
    push_command(&mut out, 'M', [first.at.x, first.at.y]);
    let mut at = first.at;
    for (nth, vertex) in outline.iter().enumerate().skip(1) {
        let mut end = vertex.at;
        match vertex.kind {
            Kind::ArcEnd(radius) => {
                push_command(&mut out, 'A', [radius, radius, 0.0, 0.0, 1.0, end.x, end.y]);
            }
            Kind::Corner if at == end => {}
            Kind::Corner => push_command(&mut out, 'L', [end.x, end.y]),
            Kind::Smooth => {
                let next = outline.get(nth + 1).unwrap_or(first);
                end = if next.kind == Kind::Smooth { end.middle(next.at) } else { next.at };
                push_command(&mut out, 'Q', [vertex.at.x, vertex.at.y, end.x, end.y]);
            }
        }
        at = end;
    }
    out.push('Z');
    out
}

/// Adds the vertices of both sides at the turn from one way into the next.
fn join(sample: Sample, from: Vector, into: Vector, left: &mut Vec<Vertex>, right: &mut Vec<Vertex>) {
    let Sample { at, radius } = sample;
    let (cos, sin) = (from.unit().dot(into.unit()), from.unit().cross(into.unit()));
    let half_turn = sin.abs().atan2(cos) / 2.0;
    let room = from.length().min(into.length()) * LARGEST_CUT;
    if cos >= SHARPEST_SMOOTH_TURN && radius * half_turn.tan() <= room {
        let side = side(from.unit() + into.unit(), radius);
        left.push(Vertex { at: at + side, kind: Kind::Smooth });
        right.push(Vertex { at: at - side, kind: Kind::Smooth });
        return;
    }
    let (before, after) = (side(from, radius), side(into, radius));
    if sin > 0.0 {
        left.extend([corner(at + before), arc_end(at + after, radius)]);
        right.extend([corner(at - before), corner(at), corner(at - after)]);
    } else {
        left.extend([corner(at + before), corner(at), corner(at + after)]);
        right.extend([arc_end(at - before, radius), corner(at - after)]);
    }
}

/// The way from the middle of a line that goes `way` to its left side.
fn side(way: Vector, radius: f64) -> Vector {
    way.unit().left() * radius
}

fn corner(at: Vector) -> Vertex {
    Vertex { at, kind: Kind::Corner }
}

fn arc_end(at: Vector, radius: f64) -> Vertex {
    Vertex { at, kind: Kind::ArcEnd(radius) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(points: &[(f64, f64)], radius: f64) -> Vec<Sample> {
        points.iter().map(|&(x, y)| Sample { at: Vector { x, y }, radius }).collect()
    }

    /// The number of times that the outline goes round `place`, arcs taken for their chords.
    fn winding(outline: &[Vertex], place: Vector) -> i32 {
        let ends = outline.iter().zip(outline.iter().cycle().skip(1));
        ends.map(|(a, b)| {
            let is_right = (b.at - a.at).cross(place - a.at) > 0.0;
            match (a.at.y <= place.y, b.at.y <= place.y) {
                (true, false) if is_right => 1,
                (false, true) if !is_right => -1,
                _ => 0,
            }
        })
        .sum()
    }

    #[test]
    fn a_straight_line_has_two_sides_and_two_round_caps() {
        let data = path_data(&outline(&samples(&[(0.0, 0.0), (10.0, 0.0)], 2.0)));
        assert_eq!(data, "M0 -2L10 -2A2 2 0 0 1 10 2L0 2A2 2 0 0 1 0 -2Z");
    }

    #[test]
    fn a_gentle_bend_is_smooth_and_a_sharp_one_has_a_round_corner() {
        let gentle = path_data(&outline(&samples(&[(0.0, 0.0), (10.0, 0.0), (20.0, 2.0)], 1.0)));
        assert_eq!((gentle.matches('Q').count(), gentle.matches('A').count()), (2, 2), "{gentle}");
        for (x, y) in [(10.0, -10.0), (10.0, 10.0), (0.0, 0.0)] {
            let sharp = path_data(&outline(&samples(&[(0.0, 0.0), (10.0, 0.0), (x, y)], 1.0)));
            assert_eq!((sharp.matches('Q').count(), sharp.matches('A').count()), (0, 3), "{sharp}");
        }
    }

    #[test]
    fn there_is_no_outline_of_less_than_two_discs() {
        assert!(path_data(&outline(&[])).is_empty());
        assert!(path_data(&outline(&samples(&[(0.0, 0.0)], 1.0))).is_empty());
    }

    #[test]
    fn a_loop_tighter_than_the_pen_has_no_hole() {
        let mut points = vec![(-60.0, 4.0)];
        points.extend((0..24).map(|nth| {
            let (sin, cos) = (f64::from(nth) * 15.0 - 90.0_f64).to_radians().sin_cos();
            (4.0 * cos, -4.0 * sin)
        }));
        points.push((60.0, 4.0));
        let outline = outline(&samples(&points, 20.0));
        for x in -15..=15 {
            for y in -10..=10 {
                let place = Vector { x: f64::from(x) + 0.1, y: f64::from(y) + 0.1 };
                assert!(winding(&outline, place) > 0, "{place:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_outline_is_finite_and_encloses_the_line(
            steps in prop::collection::vec((-20.0..20.0_f64, -20.0..20.0_f64), 1..40),
            radius in 0.5..30.0_f64,
        ) {
            let mut at = Vector::ZERO;
            let mut samples = vec![Sample { at, radius }];
            for (x, y) in steps {
                // Apart as the samples of a stroke are.
                at += Vector { x, y } + Vector { x, y }.unit() * (radius / 2.0);
                samples.push(Sample { at, radius });
            }
            let outline = outline(&samples);
            prop_assert!(outline.iter().all(|vertex| vertex.at.x.is_finite() && vertex.at.y.is_finite()));
            for pair in samples.windows(2) {
                let place = pair[0].at.middle(pair[1].at) + Vector { x: 1e-3, y: 1.7e-3 };
                prop_assert!(winding(&outline, place) > 0, "{:?}", place);
            }
        }
    }
}
