//! Objects that say something: text, tokens and images.

use super::{
    Drawn,
    geometry::{Bounds, Vector},
    markup::Element,
    props::{INK, Props, real},
    shape::{on_box, placeholder},
    text_room::TextRoom,
};

/// The font of all text; a name from a client could make a viewer look for it elsewhere.
const FONT: &str = "sans-serif";
/// Size of text without one, in the client's units.
const FONT_SIZE: f64 = 16.0;
/// The distance from one line to the next, in font sizes.
const LINE_HEIGHT: f64 = 1.25;
/// The distance from the top of a line to the foot of its letters, in font sizes.
const ASCENT: f64 = 0.95;
/// The distance from the middle of a letter to its foot, in font sizes.
const HALF_CAPITAL: f64 = 0.35;

/// Length of a side of an image or a token without one, in the client's units.
const SIDE: f64 = 100.0;
const TOKEN_SIDE: f64 = 50.0;
/// Colours of a token: its face and its rim, where none are given, and its label.
const TOKEN_FILL: &str = "#4a6fa5";
const TOKEN_LABEL: &str = "#ffffff";
/// The largest letters of a token, in radii.
const TOKEN_FONT: f64 = 0.9;
/// The share of its diameter that the label of a token may take.
const TOKEN_LABEL_WIDTH: f64 = 0.85;
/// The dark rim of the letters of a token, in font sizes: they are read on any face.
const TOKEN_LABEL_RIM: f64 = 0.12;

/// Beginnings of the references that an image may have, in lower case.
const IMAGE_REFERENCES: [&str; 6] =
    ["http://", "https://", "data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp"];

/// Text from `x`, `y`, its upper left corner, downwards. None without a text.
pub(super) fn text(props: Props<'_>) -> Option<Drawn> {
    let text = props.text(&["text"]).filter(|text| !text.trim().is_empty())?;
    let size = props.positive(&["fontSize"]).unwrap_or(FONT_SIZE);
    let at = props.shift();
    let mut element = Element::new("text")
        .attribute("font-family", FONT)
        .number("font-size", size)
        .attribute("fill", props.colour(&["color", "fill"]).unwrap_or(INK))
        .attribute("xml:space", "preserve");
    let (mut advance, mut usual) = (0.0_f64, 0.0_f64);
    let mut lines = 0;
    let mut seen = Bounds::of_point(at);
    for line in text.lines() {
        // Each line has a place of its own: what is relative to an empty line is lost with it.
        let foot = at.y + size * (ASCENT + LINE_HEIGHT * real(lines));
        let span = Element::new("tspan").number("x", at.x).number("y", foot).text(line);
        element = element.child(&span);
        let room = TextRoom::of(line);
        seen = seen.with(room.bounds(Vector { x: at.x, y: foot }, size));
        (advance, usual) = (advance.max(room.advance), usual.max(room.usual));
        lines += 1;
    }
    let page = |width| Bounds::of_box(at, Vector { x: width, y: real(lines) * LINE_HEIGHT } * size);
    Some(Drawn { element, bounds: seen.with(page(advance)), centre: page(usual).centre(), opacity: 1.0 })
}

/// A disc in the middle of its box, with its label on it.
pub(super) fn token(props: Props<'_>) -> Drawn {
    let frame = props.frame(props.positive(&["size"]).unwrap_or(TOKEN_SIDE));
    let (centre, sides) = (frame.centre(), frame.sides());
    let radius = sides.x.min(sides.y) / 2.0;
    let paint = props.paint();
    let disc = Element::new("circle")
        .number("cx", centre.x)
        .number("cy", centre.y)
        .number("r", radius)
        .attribute("fill", props.colour(&["fill", "color"]).unwrap_or(TOKEN_FILL))
        .attribute("stroke", props.colour(&["stroke"]).unwrap_or(INK))
        .number("stroke-width", paint.width);
    let mut token = Element::new("g").child(&disc);
    let mut seen = Bounds::of_point(centre).grown(radius + paint.width / 2.0);
    if let Some(label) = props.text(&["label", "name", "text"]).filter(|label| !label.trim().is_empty()) {
        let (label, bounds) = token_label(label.trim(), centre, radius);
        token = token.child(&label);
        seen = seen.with(bounds);
    }
    Drawn { element: token, bounds: seen, centre, opacity: 1.0 }
}

/// The label in the middle of its token, small enough to fit in, and a box with all of it in it.
fn token_label(label: &str, centre: Vector, radius: f64) -> (Element, Bounds) {
    let room = TextRoom::of(label);
    let fitting = if room.advance > 0.0 { 2.0 * TOKEN_LABEL_WIDTH / room.advance } else { TOKEN_FONT };
    let size = radius * fitting.min(TOKEN_FONT);
    let foot = centre.y + size * HALF_CAPITAL;
    let bounds = room.bounds(Vector { x: centre.x - size * room.advance / 2.0, y: foot }, size);
    let element = Element::new("text")
        .number("x", centre.x)
        .number("y", foot)
        .attribute("font-family", FONT)
        .number("font-size", size)
        .attribute("text-anchor", "middle")
        .attribute("fill", TOKEN_LABEL)
        .attribute("stroke", INK)
        .number("stroke-width", size * TOKEN_LABEL_RIM)
        .attribute("stroke-linejoin", "round")
        .attribute("paint-order", "stroke")
        .text(label);
    (element, bounds.grown(size * TOKEN_LABEL_RIM / 2.0))
}

impl TextRoom {
    /// A box with all of the line in it that starts at `foot`, on the foot of its letters.
    fn bounds(self, foot: Vector, size: f64) -> Bounds {
        let corner = Vector { x: foot.x - size * self.side, y: foot.y - size * (ASCENT + self.above) };
        let height = self.above + LINE_HEIGHT + self.below;
        Bounds::of_box(corner, Vector { x: self.advance + 2.0 * self.side, y: height } * size)
    }
}

/// An image in its box, or the placeholder of one whose reference is not allowed.
pub(super) fn image(props: Props<'_>) -> Option<Drawn> {
    let Some(href) = props.text(&["href", "src"]).filter(|href| is_image_reference(href)) else {
        return placeholder("image", props);
    };
    let frame = props.frame(SIDE);
    let element = on_box(Element::new("image"), frame).attribute("href", href);
    Some(Drawn::opaque((element, frame)))
}

/// Returns `true` if `href` is something to fetch over HTTP, or a raster image in itself. An SVG image is
/// refused: it could have references of its own.
fn is_image_reference(href: &str) -> bool {
    let is_plain = href.chars().all(|c| !c.is_control() && !c.is_whitespace());
    is_plain
        && IMAGE_REFERENCES.iter().any(|start| {
            let begins = href.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
            // The type ends here, so that it is none that only begins alike.
            begins
                && (!start.starts_with("data:")
                    || matches!(href.as_bytes().get(start.len()), Some(b';' | b',')))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_fetched_over_http_or_is_a_raster_image_in_itself() {
        for href in [
            "http://a.example/x.png",
            "HTTPS://a.example/x?y=1&z=2",
            "data:image/png;base64,AAAA",
            "data:image/jpeg;base64,AAAA",
            "data:image/gif,AAAA",
            "data:image/webp;base64,AAAA",
        ] {
            assert!(is_image_reference(href), "{href}");
        }
        for href in [
            "",
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            " https://a.example/",
            "https://a.example/\u{0}",
            "//a.example/x.png",
            "/x.png",
            "file:///etc/passwd",
            "data:text/html,<script>",
            "data:image/svg+xml,<svg/>",
            "data:image/pngx,AAAA",
            "data:image/png",
            "blob:https://a.example/1",
        ] {
            assert!(!is_image_reference(href), "{href}");
        }
    }
}
