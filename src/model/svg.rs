//! The picture of a view, as SVG.
//!
//! Owns what props mean to somebody who looks: the server itself gives them no meaning. Everything
//! in a view is its clients': what comes out is well-formed, refers to nothing but images, and runs
//! nothing, whatever goes in.

mod colour;
mod geometry;
mod label;
mod markup;
mod outline;
mod path;
mod props;
mod shape;
mod stroke;
#[cfg(test)]
mod tests;
mod text_room;

use serde_json::Value;

use self::{
    geometry::{Bounds, Vector},
    markup::{Element, push_number},
    props::{Props, pair},
    shape::box_element,
};
use super::{View, ViewObject};

/// The colour that an eraser draws in on a canvas without a background.
const PAPER: &str = "#ffffff";
/// Room around what is drawn on a canvas without a size, in the client's units.
const MARGIN: f64 = 16.0;
/// Length of a side of an empty picture of a canvas without a size, in the client's units.
const EMPTY_SIDE: f64 = 100.0;

/// The smallest canvas that is not written as one of no size, in the client's units.
const SMALLEST_SIDE: f64 = 0.01;

/// One object as it is drawn, before what all kinds have in common.
#[derive(Debug)]
struct Drawn {
    element: Element,
    /// A box with all of it in it, before it is rotated.
    bounds: Bounds,
    /// The point that it is rotated about.
    centre: Vector,
    /// Its opacity where its props have none, from 0 to 1.
    opacity: f64,
}

impl Drawn {
    fn opaque((element, bounds): (Element, Bounds)) -> Self {
        Self { element, bounds, centre: bounds.centre(), opacity: 1.0 }
    }
}

/// The picture of a view: a standalone SVG document, the same for the same view.
///
#[doc = include_str!("svg/props.md")]
#[must_use]
pub fn svg(view: &View) -> String {
    let canvas = Props(&view.canvas);
    let background = canvas.colour(&["background"]);
    let paper = background.filter(|colour| !colour::is_unseen(colour)).unwrap_or(PAPER);

    let mut extent: Option<Bounds> = None;
    let mut objects = Vec::with_capacity(view.objects.len());
    for object in &view.objects {
        if let Some((element, bounds)) = finished(object, paper) {
            extent = Some(extent.map_or(bounds, |extent| extent.with(bounds)));
            objects.push(element);
        }
    }

    let seen = canvas_size(canvas).map(|sides| Bounds::of_box(Vector::ZERO, sides));
    let seen = seen.unwrap_or_else(|| with_margin(extent));
    let mut root = root(seen);
    if let Some(background) = background {
        root = root.line(&box_element(seen).attribute("fill", background));
    }
    for object in &objects {
        root = root.line(object);
    }
    let mut out = String::new();
    root.write(&mut out);
    out
}

/// The object with what all kinds have in common, and the box that it is seen in.
fn finished(object: &ViewObject, paper: &str) -> Option<(Element, Bounds)> {
    let props = Props(&object.props);
    let Drawn { element, bounds, centre, opacity } = drawn(object, props, paper)?;
    let mut element = element.attribute("data-object-id", object.object_id.as_str());
    let opacity = props.opacity().unwrap_or(opacity);
    if opacity < 1.0 {
        element = element.number("opacity", opacity);
    }
    let rotation = props.rotation();
    if rotation > 0.0 {
        element = element.attribute("transform", &rotation_about(rotation, centre));
    }
    Some((element, bounds.turned(rotation, centre)))
}

/// The object as its kind is drawn; none if there is nothing of it to draw.
fn drawn(object: &ViewObject, props: Props<'_>, paper: &str) -> Option<Drawn> {
    match object.kind.as_str() {
        "stroke" => stroke::draw(object, props, paper),
        "rect" => Some(shape::rect(props)),
        "ellipse" => Some(shape::ellipse(props)),
        "line" => shape::line(props),
        "path" => shape::path(props),
        "text" => label::text(props),
        "image" => label::image(props),
        "token" => Some(label::token(props)),
        "fog" => Some(shape::fog(props)),
        kind => shape::placeholder(kind, props),
    }
}

fn rotation_about(degrees: f64, centre: Vector) -> String {
    let mut transform = "rotate(".to_owned();
    push_number(&mut transform, degrees);
    for coordinate in [centre.x, centre.y] {
        transform.push(' ');
        push_number(&mut transform, coordinate);
    }
    transform.push(')');
    transform
}

/// Width and height that the canvas was set to; none unless both are positive, as they are written.
fn canvas_size(canvas: Props<'_>) -> Option<Vector> {
    let sides = match (canvas.number(&["width"]), canvas.number(&["height"])) {
        (Some(x), Some(y)) => Some(Vector { x, y }),
        _ => canvas.value("size").and_then(|size: &Value| pair(size, ["width", "height"])),
    };
    sides.filter(|sides| sides.x.min(sides.y) >= SMALLEST_SIDE)
}

/// The part that is seen of a canvas without a size; in whole units, which are short to write.
fn with_margin(extent: Option<Bounds>) -> Bounds {
    let Some(extent) = extent else {
        return Bounds::of_box(Vector::ZERO, Vector { x: EMPTY_SIDE, y: EMPTY_SIDE });
    };
    let Bounds { min, max } = extent.grown(MARGIN);
    Bounds {
        min: Vector { x: min.x.floor(), y: min.y.floor() },
        max: Vector { x: max.x.ceil(), y: max.y.ceil() },
    }
}

/// The `svg` element that shows `seen`.
fn root(seen: Bounds) -> Element {
    let mut view_box = String::new();
    let sides = seen.sides();
    for (nth, number) in [seen.min.x, seen.min.y, sides.x, sides.y].into_iter().enumerate() {
        if nth > 0 {
            view_box.push(' ');
        }
        push_number(&mut view_box, number);
    }
    Element::new("svg")
        .attribute("xmlns", "http://www.w3.org/2000/svg")
        .attribute("viewBox", &view_box)
        .number("width", sides.x)
        .number("height", sides.y)
}
