//! Vectors and boxes of the plane, in the client's units, y downwards.
//!
//! Everything here is finite as long as what comes in is finite and of a sane size, which is what
//! `props` sees to.

use std::ops::{Add, AddAssign, Mul, Sub};

/// A place, or a way from one place to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vector {
    /// The distance to the right.
    pub(super) x: f64,
    /// The distance downwards.
    pub(super) y: f64,
}

/// An upright rectangle; no side is negative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    /// The upper left corner.
    pub(super) min: Vector,
    /// The lower right corner.
    pub(super) max: Vector,
}

impl Vector {
    pub(super) const ZERO: Self = Self { x: 0.0, y: 0.0 };

    pub(super) fn length(self) -> f64 {
        self.x.hypot(self.y)
    }

    /// The vector of length 1 in the same direction; to the right where there is none.
    pub(super) fn unit(self) -> Self {
        let length = self.length();
        if length > 0.0 { self * (1.0 / length) } else { Self { x: 1.0, y: 0.0 } }
    }

    /// A quarter turn to the left of somebody who looks along the vector.
    pub(super) fn left(self) -> Self {
        Self { x: self.y, y: -self.x }
    }

    pub(super) fn dot(self, other: Self) -> f64 {
        self.x * other.x + self.y * other.y
    }

    /// Positive where `other` points to the right of this vector.
    pub(super) fn cross(self, other: Self) -> f64 {
        self.x * other.y - self.y * other.x
    }

    pub(super) fn middle(self, other: Self) -> Self {
        (self + other) * 0.5
    }

    pub(super) fn rotated(self, degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self { x: self.x * cos - self.y * sin, y: self.x * sin + self.y * cos }
    }
}

impl Add for Vector {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y }
    }
}

impl AddAssign for Vector {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Vector {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y }
    }
}

impl Mul<f64> for Vector {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self { x: self.x * factor, y: self.y * factor }
    }
}

impl Bounds {
    /// The box with `at` as one corner, whatever the signs of its sides.
    pub(super) fn of_box(at: Vector, sides: Vector) -> Self {
        Self::of_point(at).with(Self::of_point(at + sides))
    }

    pub(super) fn of_point(at: Vector) -> Self {
        Self { min: at, max: at }
    }

    /// The smallest box with all of `points` in it; none without points.
    pub(super) fn of_points(points: impl IntoIterator<Item = Vector>) -> Option<Self> {
        points.into_iter().map(Self::of_point).reduce(Self::with)
    }

    /// The smallest box with both in it.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            min: Vector { x: self.min.x.min(other.min.x), y: self.min.y.min(other.min.y) },
            max: Vector { x: self.max.x.max(other.max.x), y: self.max.y.max(other.max.y) },
        }
    }

    /// The box with `by` more on each side; `by` is not negative.
    pub(super) fn grown(self, by: f64) -> Self {
        let by = Vector { x: by, y: by };
        Self { min: self.min - by, max: self.max + by }
    }

    /// The smallest box with this one in it once that is turned about `centre`.
    pub(super) fn turned(self, degrees: f64, centre: Vector) -> Self {
        let turn = |x, y| Self::of_point(centre + (Vector { x, y } - centre).rotated(degrees));
        turn(self.min.x, self.min.y)
            .with(turn(self.max.x, self.min.y))
            .with(turn(self.max.x, self.max.y))
            .with(turn(self.min.x, self.max.y))
    }

    pub(super) fn centre(self) -> Vector {
        self.min.middle(self.max)
    }

    /// Width and height.
    pub(super) fn sides(self) -> Vector {
        self.max - self.min
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_the_same_from_whichever_corner_it_was_drawn() {
        let drawn = |x, y, width, height| Bounds::of_box(Vector { x, y }, Vector { x: width, y: height });
        assert_eq!(drawn(10.0, 20.0, -10.0, -20.0), drawn(0.0, 0.0, 10.0, 20.0));
    }

    #[test]
    fn a_turned_box_keeps_its_centre_and_swaps_its_sides_at_a_right_angle() {
        let bounds = Bounds::of_box(Vector::ZERO, Vector { x: 4.0, y: 2.0 });
        let turned = bounds.turned(90.0, bounds.centre());
        assert!((turned.centre() - bounds.centre()).length() < 1e-9);
        assert!((turned.sides() - Vector { x: 2.0, y: 4.0 }).length() < 1e-9);
    }
}
