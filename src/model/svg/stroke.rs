//! Strokes: from the samples of a pen to ink.
//!
//! Owns what a tool looks like, and how samples are smoothed and weighed.

use super::{
    Drawn, ViewObject,
    geometry::{Bounds, Vector},
    markup::Element,
    outline::{Sample, outline, path_data},
    props::{INK, Props, clamped},
};
use crate::model::Point;

/// Width of a line at half pressure, in the client's units, where no size is given.
const PEN_SIZE: f64 = 4.0;
/// The size of the highlighter and of the eraser, as [`PEN_SIZE`].
const BROAD_SIZE: f64 = 16.0;
/// The thinnest line, in the client's units.
const MIN_SIZE: f64 = 0.1;
/// Opacity of the highlighter where none is given.
const HIGHLIGHTER_OPACITY: f64 = 0.4;

/// The share of its size that the width of a pen's line loses at no pressure, and gains at full pressure.
const THINNING: f64 = 0.5;
/// Pressure at the beginning of a line that has none, from 0 to 1.
const START_PRESSURE: f64 = 0.5;
/// The rate at which a made-up pressure follows the speed of the pen; 1 is at once.
const PRESSURE_RATE: f64 = 0.275;
/// The distance by which the ink trails behind the pen, in sizes: anything shorter is smoothed away.
const TRAIL: f64 = 0.4;
/// Least distance between two samples of an outline, in sizes.
const SPACING: f64 = 0.25;

/// The pen that a line is drawn with.
#[derive(Clone, Copy, Debug)]
struct Pen {
    /// The width at half pressure, in the client's units.
    size: f64,
    /// See [`THINNING`]; 0 where the width is the same everywhere.
    thinning: f64,
}

/// The stroke; `paper` is the colour behind it. None if it has no points.
pub(super) fn draw<'a>(object: &'a ViewObject, props: Props<'a>, paper: &'a str) -> Option<Drawn> {
    let tool = object.tool.as_deref().unwrap_or_default();
    let is_broad = matches!(tool, "highlighter" | "eraser");
    let size = props.positive(&["size", "width", "strokeWidth"]);
    let size = size.unwrap_or(if is_broad { BROAD_SIZE } else { PEN_SIZE });
    let pen = Pen { size: size.max(MIN_SIZE), thinning: if is_broad { 0.0 } else { THINNING } };
    let colour = match tool {
        "eraser" => paper,
        _ => props.colour(&["color", "stroke"]).unwrap_or(INK),
    };

    let (scale, shift) = (props.scale(), props.shift());
    let place = |point: &Point| {
        // A point beyond all bounds once it is spread is clamped there.
        let at = Vector { x: clamped(point.x)?, y: clamped(point.y)? };
        let seen = Vector { x: at.x * scale.x, y: at.y * scale.y } + shift;
        Some(Vector { x: clamped(seen.x)?, y: clamped(seen.y)? })
    };
    let samples = pen.samples(&object.points, place);
    let bounds = samples.iter().map(|sample| Bounds::of_point(sample.at).grown(sample.radius));
    let bounds = bounds.reduce(Bounds::with)?;
    let element = match &samples[..] {
        [dot] => Element::new("circle").number("cx", dot.at.x).number("cy", dot.at.y).number("r", dot.radius),
        _ => Element::new("path").attribute("d", &path_data(&outline(&samples))),
    };
    Some(Drawn {
        element: element.attribute("fill", colour),
        bounds,
        centre: bounds.centre(),
        opacity: if tool == "highlighter" { HIGHLIGHTER_OPACITY } else { 1.0 },
    })
}

impl Pen {
    /// The samples that the points, seen at these places, become: smoothed, weighed, and apart from each other.
    /// One sample is a dot.
    fn samples(self, points: &[Point], place: impl Fn(&Point) -> Option<Vector>) -> Vec<Sample> {
        let mut points = points.iter().filter_map(|point| {
            Some((place(point)?, point.pressure.filter(|pressure| pressure.is_finite())))
        });
        let Some((mut pen_at, first_pressure)) = points.next() else { return Vec::new() };
        let mut ink_at = pen_at;
        let mut pressure = first_pressure.map_or(START_PRESSURE, |given| given.clamp(0.0, 1.0));
        let mut samples = vec![Sample { at: pen_at, radius: self.radius(pressure) }];

        for (place, given) in points {
            let step = (place - pen_at).length() / self.size;
            pen_at = place;
            // By the way and not by the count of samples: a fast device is not smoothed more than a slow one,
            // and corners of a line with few points stay where they are.
            ink_at += (pen_at - ink_at) * (1.0 - (-step / TRAIL).exp());
            pressure = match given {
                Some(given) => (pressure + given.clamp(0.0, 1.0)) / 2.0,
                // A device that has told a pressure once means it until it tells another.
                None if first_pressure.is_some() => pressure,
                None => simulated(pressure, step),
            };
            self.take(&mut samples, Sample { at: ink_at, radius: self.radius(pressure) });
        }
        self.end(&mut samples, Sample { at: pen_at, radius: self.radius(pressure) });
        samples
    }

    fn radius(self, pressure: f64) -> f64 {
        self.size / 2.0 * (1.0 + self.thinning * (2.0 * pressure - 1.0))
    }

    /// Appends `sample` if it is far enough from the last; else the last becomes as broad as it.
    fn take(self, samples: &mut Vec<Sample>, sample: Sample) {
        match samples.last_mut() {
            Some(last) if !self.is_apart(*last, sample) => last.radius = last.radius.max(sample.radius),
            _ => samples.push(sample),
        }
    }

    /// Lets the line end where the pen was lifted, and not where the ink had come to.
    fn end(self, samples: &mut Vec<Sample>, end: Sample) {
        while samples.len() > 1 && samples.last().is_some_and(|last| !self.is_apart(*last, end)) {
            samples.pop();
        }
        self.take(samples, end);
    }

    fn is_apart(self, a: Sample, b: Sample) -> bool {
        (b.at - a.at).length() >= self.size * SPACING
    }
}

/// The pressure after a step of this many sizes: a fast pen is a light one.
fn simulated(pressure: f64, step: f64) -> f64 {
    let speed = step.min(1.0);
    pressure + (1.0 - speed - pressure) * speed * PRESSURE_RATE
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEN: Pen = Pen { size: 10.0, thinning: THINNING };

    fn points(points: &[(f64, f64, Option<f64>)]) -> Vec<Point> {
        points.iter().map(|&(x, y, pressure)| Point { x, y, pressure }).collect()
    }

    fn line(pressure: Option<f64>, step: f64) -> Vec<Point> {
        (0..40).map(|nth| Point { x: f64::from(nth) * step, y: 0.0, pressure }).collect()
    }

    fn as_it_is(point: &Point) -> Option<Vector> {
        Some(Vector { x: clamped(point.x)?, y: clamped(point.y)? })
    }

    fn last_radius(pen: Pen, points: &[Point]) -> f64 {
        pen.samples(points, as_it_is).last().unwrap().radius
    }

    #[test]
    fn width_follows_pressure_around_the_size() {
        for (pressure, radius) in [(0.0, 2.5), (0.5, 5.0), (1.0, 7.5), (9.0, 7.5), (-1.0, 2.5)] {
            let given = last_radius(PEN, &line(Some(pressure), 3.0));
            assert!((given - radius).abs() < 1e-9, "{pressure}: {given}");
        }
    }

    #[test]
    fn without_pressure_a_fast_line_is_thinner_than_a_slow_one() {
        let (fast, slow) = (last_radius(PEN, &line(None, 20.0)), last_radius(PEN, &line(None, 1.0)));
        assert!(fast < 3.0 && slow > 5.0, "{fast} {slow}");
        let even = Pen { thinning: 0.0, ..PEN };
        assert!((last_radius(even, &line(None, 20.0)) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn points_at_one_place_are_one_dot_as_broad_as_the_hardest_press() {
        let rows = [
            points(&[(1.0, 2.0, None)]),
            points(&[(1.0, 2.0, None), (1.0, 2.0, None)]),
            points(&[(1.0, 2.0, None), (1.0, 2.1, None), (1.0, 2.0, None)]),
        ];
        for row in rows {
            let samples = PEN.samples(&row, as_it_is);
            assert_eq!(samples.len(), 1, "{row:?}");
            assert!((samples[0].radius - 5.0).abs() < 0.1, "{samples:?}");
        }
        let pressed = points(&[(0.0, 0.0, Some(0.0)), (0.0, 0.0, Some(1.0)), (0.0, 0.0, Some(0.0))]);
        assert!((last_radius(PEN, &pressed) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn a_line_begins_and_ends_where_the_pen_did() {
        let row = points(&[(0.0, 0.0, None), (7.0, 1.0, None), (9.0, 30.0, None), (8.0, 31.0, None)]);
        let samples = PEN.samples(&row, |point| Some(as_it_is(point)? + Vector { x: 100.0, y: 0.0 }));
        assert_eq!(samples.first().unwrap().at, Vector { x: 100.0, y: 0.0 });
        assert_eq!(samples.last().unwrap().at, Vector { x: 108.0, y: 31.0 });
        assert!(samples.windows(2).all(|pair| PEN.is_apart(pair[0], pair[1])), "{samples:?}");
    }

    #[test]
    fn corners_of_a_line_with_few_points_stay_where_they_are() {
        let row = points(&[(0.0, 0.0, None), (100.0, 0.0, None), (100.0, 100.0, None)]);
        let samples = PEN.samples(&row, as_it_is);
        assert!((samples[1].at - Vector { x: 100.0, y: 0.0 }).length() < 1e-6, "{samples:?}");
    }

    #[test]
    fn points_that_are_nowhere_are_left_out() {
        let row = points(&[(f64::NAN, 0.0, None), (0.0, f64::INFINITY, None), (1.0, 1.0, Some(f64::NAN))]);
        assert_eq!(PEN.samples(&row, as_it_is).len(), 1);
        assert!(PEN.samples(&row[..2], as_it_is).is_empty());
    }
}
