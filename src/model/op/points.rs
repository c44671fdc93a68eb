//! The points of a stroke, as an op bears them.
//!
//! Owns their form, and how many there may be.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::limits;

/// One sample of a stroke.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Horizontal position, in the client's units.
    pub x: f64,
    /// Vertical position, in the client's units.
    pub y: f64,
    /// Pressure, where the device tells it.
    pub pressure: Option<f64>,
}

/// The points of one op, as they stand in its JSON.
#[derive(Debug, Default)]
pub(super) struct Points(pub(super) Vec<Point>);

impl<'de> Deserialize<'de> for Points {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PointsVisitor;
        impl<'de> de::Visitor<'de> for PointsVisitor {
            type Value = Points;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of points")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Points, A::Error> {
                let mut points = Vec::new();
                while let Some(point) = items.next_element::<Point>()? {
                    if points.len() == limits::MAX_POINTS_PER_OP {
                        let rule = format!("an op holds at most {} points", limits::MAX_POINTS_PER_OP);
                        return Err(de::Error::custom(rule));
                    }
                    points.push(point);
                }
                Ok(Points(points))
            }
        }
        deserializer.deserialize_seq(PointsVisitor)
    }
}

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PointVisitor;
        impl<'de> de::Visitor<'de> for PointVisitor {
            type Value = Point;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a point [x,y] or [x,y,pressure]")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Point, A::Error> {
                let short = |len| de::Error::invalid_length(len, &self);
                let x = items.next_element()?.ok_or_else(|| short(0))?;
                let y = items.next_element()?.ok_or_else(|| short(1))?;
                let pressure = items.next_element()?;
                if items.next_element::<de::IgnoredAny>()?.is_some() {
                    return Err(short(4));
                }
                Ok(Point { x, y, pressure })
            }
        }
        deserializer.deserialize_seq(PointVisitor)
    }
}
