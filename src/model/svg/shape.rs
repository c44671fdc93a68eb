//! Objects that are shapes: boxes, ellipses, lines, paths, fog, and what stands for the unknown.

use super::{
    Drawn,
    geometry::{Bounds, Vector},
    markup::{Element, push_number},
    path,
    props::{INK, Paint, Props},
};

/// Length of a side of a shape that has none, in the client's units.
const SIDE: f64 = 100.0;
/// Colour of fog without one.
const FOG_COLOUR: &str = "#0b0f19";
/// Opacity of fog where none is given.
const FOG_OPACITY: f64 = 0.85;
/// Colour of the outline of an object that cannot be drawn.
const PLACEHOLDER_COLOUR: &str = "#888888";
/// Dashes of that outline and the gaps between them, in the client's units.
const PLACEHOLDER_DASHES: &str = "6 4";

pub(super) fn rect(props: Props<'_>) -> Drawn {
    let frame = props.frame(SIDE);
    let mut element = box_element(frame);
    if let Some(rx) = props.positive(&["rx"]) {
        element = element.number("rx", rx);
    }
    Drawn::opaque(props.paint().on(element, frame))
}

pub(super) fn ellipse(props: Props<'_>) -> Drawn {
    let frame = props.frame(SIDE);
    let (centre, radii) = (frame.centre(), frame.sides() * 0.5);
    let element = Element::new("ellipse")
        .number("cx", centre.x)
        .number("cy", centre.y)
        .number("rx", radii.x)
        .number("ry", radii.y);
    Drawn::opaque(props.paint().on(element, frame))
}

/// A line from one end to the other, or through each of `points`. None if it goes nowhere.
pub(super) fn line(props: Props<'_>) -> Option<Drawn> {
    let shift = props.shift();
    let mut places = props.places("points");
    if places.len() < 2 {
        let coordinate = |name| props.number(&[name]).unwrap_or(0.0);
        let end = |x, y| Vector { x: coordinate(x), y: coordinate(y) };
        places = vec![end("x1", "y1"), end("x2", "y2")];
    }
    let bounds = Bounds::of_points(places.iter().map(|place| *place + shift))?;
    if bounds.sides() == Vector::ZERO {
        return None;
    }
    let element = match places[..] {
        [from, to] => Element::new("line")
            .number("x1", (from + shift).x)
            .number("y1", (from + shift).y)
            .number("x2", (to + shift).x)
            .number("y2", (to + shift).y),
        _ => Element::new("polyline").attribute("points", &point_list(&places, shift)),
    };
    let element = element.attribute("stroke-linecap", "round").attribute("stroke-linejoin", "round");
    let stroke = props.colour(&["stroke", "color"]).unwrap_or(INK);
    let paint = Paint { fill: "none", stroke, ..props.paint() };
    Some(Drawn::opaque(paint.on(element, bounds)))
}

/// None without path data that can be drawn.
pub(super) fn path(props: Props<'_>) -> Option<Drawn> {
    let path = path::read(props.text(&["d"])?, props.shift())?;
    let element = Element::new("path").attribute("d", &path.data);
    let element = element.attribute("stroke-linejoin", "round");
    Some(Drawn::opaque(props.paint().on(element, path.bounds)))
}

/// A dark box, or a polygon where there are `points` enough for one.
pub(super) fn fog(props: Props<'_>) -> Drawn {
    let places = props.places("points");
    let shift = props.shift();
    let polygon = Bounds::of_points(places.iter().map(|place| *place + shift)).filter(|_| places.len() > 2);
    let (element, bounds) = match polygon {
        Some(bounds) => (Element::new("polygon").attribute("points", &point_list(&places, shift)), bounds),
        None => (box_element(props.frame(SIDE)), props.frame(SIDE)),
    };
    let colour = props.colour(&["fill", "color"]).unwrap_or(FOG_COLOUR);
    Drawn { opacity: FOG_OPACITY, ..Drawn::opaque((element.attribute("fill", colour), bounds)) }
}

/// The placeholder for an object that cannot be drawn: it shows the place and the kind. None if the object does
/// not tell its place.
pub(super) fn placeholder(kind: &str, props: Props<'_>) -> Option<Drawn> {
    if !props.has_frame() {
        return None;
    }
    let frame = props.frame(SIDE);
    let element = box_element(frame)
        .attribute("fill", "none")
        .attribute("stroke", PLACEHOLDER_COLOUR)
        .attribute("stroke-dasharray", PLACEHOLDER_DASHES)
        .child(&Element::new("title").text(kind));
    Some(Drawn::opaque((element, frame.grown(0.5))))
}

/// A `rect` with the place and the sides of `frame`.
pub(super) fn box_element(frame: Bounds) -> Element {
    on_box(Element::new("rect"), frame)
}

/// `element` with the place and the sides of `frame`.
pub(super) fn on_box(element: Element, frame: Bounds) -> Element {
    let sides = frame.sides();
    element
        .number("x", frame.min.x)
        .number("y", frame.min.y)
        .number("width", sides.x)
        .number("height", sides.y)
}

/// `places`, moved, as they can stand in a `points` attribute.
fn point_list(places: &[Vector], shift: Vector) -> String {
    let mut list = String::new();
    for place in places {
        if !list.is_empty() {
            list.push(' ');
        }
        let place = *place + shift;
        push_number(&mut list, place.x);
        list.push(',');
        push_number(&mut list, place.y);
    }
    list
}
