//! Objects that say something: text, tokens and images.

use super::{
    Drawn,
    geometry::{Bounds, Vector},
    markup::Element,
    props::{INK, Props, real},
    shape::{on_box, placeholder},
};

/// The font of all text; a name from a client could make a viewer look for it elsewhere.
const FONT: &str = "sans-serif";
/// Size of text without one, in the client's units.
const FONT_SIZE: f64 = 16.0;
/// From one line to the next, in font sizes.
const LINE_HEIGHT: f64 = 1.25;
/// From the top of a line to the foot of its letters, in font sizes.
const ASCENT: f64 = 0.95;
/// From the middle of a letter to its foot, in font sizes.
const HALF_CAPITAL: f64 = 0.35;
/// What a letter takes, in font sizes. A guess on the broad side: fonts are the viewer's.
const LETTER_WIDTH: f64 = 0.62;

/// Length of a side of an image or a token without one, in the client's units.
const SIDE: f64 = 100.0;
const TOKEN_SIDE: f64 = 50.0;
/// Colours of a token: its face and its rim, where none are given, and its label.
const TOKEN_FILL: &str = "#4a6fa5";
const TOKEN_LABEL: &str = "#ffffff";
/// The largest letters of a token, in radii.
const TOKEN_FONT: f64 = 0.9;
/// How much of its diameter the label of a token may take.
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
    let (mut letters, mut lines) = (0, 0);
    for line in text.lines() {
        // Each line has a place of its own: what is relative to an empty line is lost with it.
        let foot = at.y + size * (ASCENT + LINE_HEIGHT * real(lines));
        let span = Element::new("tspan").number("x", at.x).number("y", foot).text(line);
        element = element.child(&span);
        letters = letters.max(line.chars().count());
        lines += 1;
    }
    let sides = Vector { x: real(letters) * LETTER_WIDTH, y: real(lines) * LINE_HEIGHT } * size;
    Some(Drawn::opaque((element, Bounds::of_box(at, sides))))
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
    if let Some(label) = props.text(&["label", "name", "text"]).filter(|label| !label.trim().is_empty()) {
        token = token.child(&token_label(label.trim(), centre, radius));
    }
    let disc = Bounds::of_point(centre).grown(radius + paint.width / 2.0);
    Drawn::opaque((token, disc))
}

/// The label in the middle of its token, small enough to fit in.
fn token_label(label: &str, centre: Vector, radius: f64) -> Element {
    let fitting = 2.0 * TOKEN_LABEL_WIDTH / (real(label.chars().count()) * LETTER_WIDTH);
    let size = radius * fitting.min(TOKEN_FONT);
    Element::new("text")
        .number("x", centre.x)
        .number("y", centre.y + size * HALF_CAPITAL)
        .attribute("font-family", FONT)
        .number("font-size", size)
        .attribute("text-anchor", "middle")
        .attribute("fill", TOKEN_LABEL)
        .attribute("stroke", INK)
        .number("stroke-width", size * TOKEN_LABEL_RIM)
        .attribute("stroke-linejoin", "round")
        .attribute("paint-order", "stroke")
        .text(label)
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

/// Whether `href` is something to fetch over HTTP, or a raster image in itself. Not so an SVG image,
/// which could have references of its own.
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
