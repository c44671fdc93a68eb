//! Whole pictures: what each kind becomes, and what hostile views cannot do.

mod chance;

use roxmltree::{Document, Node};
use serde_json::{Value, json};

use super::*;

const NAMESPACE: &str = "http://www.w3.org/2000/svg";

/// The picture of one object, or of the canvas alone.
fn picture(canvas: &Value, objects: &Value) -> String {
    svg(&serde_json::from_value(json!({"canvas": canvas, "objects": objects})).unwrap())
}

fn drawn_as(kind: &str, props: &Value) -> String {
    picture(&json!({}), &json!([{"object_id": "a", "kind": kind, "props": props}]))
}

fn stroke_as(tool: &str, props: &Value, points: &Value) -> String {
    let object = json!({"object_id": "a", "kind": "stroke", "tool": tool, "props": props, "points": points});
    picture(&json!({"background": "#abc"}), &json!([object]))
}

/// Checks the picture, and calls `check` with the element of the object `a`, if it is drawn.
fn with_object<T>(svg: &str, check: impl FnOnce(Option<Node<'_, '_>>) -> T) -> T {
    let document = assert_sound(svg);
    check(document.descendants().find(|node| node.attribute("data-object-id") == Some("a")))
}

/// The attribute of the object `a`.
fn attribute(svg: &str, name: &str) -> Option<String> {
    with_object(svg, |node| node.expect(svg).attribute(name).map(str::to_owned))
}

fn view_box(svg: &str) -> String {
    assert_sound(svg).root_element().attribute("viewBox").unwrap().to_owned()
}

/// Checks the rules for every picture: well-formed, of known elements and attributes, with plain numbers.
fn assert_sound(svg: &str) -> Document<'_> {
    const ELEMENTS: &str = "svg rect ellipse circle line polyline polygon path text tspan image g title";
    const TEXTS: &str =
        "data-object-id font-family text-anchor paint-order space stroke-linecap stroke-linejoin";
    let document = Document::parse(svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
    assert!(document.root_element().has_tag_name((NAMESPACE, "svg")), "{svg}");
    for node in document.descendants().filter(Node::is_element) {
        assert!(ELEMENTS.split(' ').any(|name| node.has_tag_name((NAMESPACE, name))), "{node:?}");
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            match name {
                "d" | "points" | "transform" => {
                    value
                        .split(|c: char| c.is_ascii_alphabetic() || " ,()".contains(c))
                        .for_each(assert_short);
                }
                "fill" | "stroke" => assert_eq!(colour::parse(value), Some(value), "{svg}"),
                "href" => assert!(value.starts_with("http") || value.starts_with("data:image/"), "{svg}"),
                name if TEXTS.split(' ').any(|text| text == name) => {}
                _ => {
                    assert!(!name.starts_with("on") && name != "style", "{svg}");
                    value.split(' ').for_each(assert_short);
                }
            }
        }
    }
    document
}

/// A number with two decimals at most, or nothing.
fn assert_short(number: &str) {
    let Some((whole, fraction)) = number.split_once('.').or((!number.is_empty()).then_some((number, "0")))
    else {
        return;
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    assert!(number != "-0" && (1..=9).contains(&digits.len()) && fraction.len() <= 2, "{number}");
    assert!(digits.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()), "{number}");
}

#[test]
fn an_empty_view_is_a_picture() {
    assert_eq!(
        svg(&View::default()),
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" width="100" height="100"/>"#
    );
}

#[test]
fn a_canvas_is_as_large_as_it_was_set_to() {
    for canvas in [
        json!({"width": 640, "height": 480}),
        json!({"size": [640, 480]}),
        json!({"size": {"width": 640, "height": 480}}),
        json!({"width": "1", "size": [640, 480]}),
    ] {
        assert_eq!(view_box(&picture(&canvas, &json!([]))), "0 0 640 480");
    }
    for canvas in [
        json!({"width": 640}),
        json!({"width": 640, "height": -1}),
        json!({"size": [0, 480]}),
        json!({"size": [1e-9, 480]}),
        json!({"size": "large"}),
    ] {
        assert_eq!(view_box(&picture(&canvas, &json!([]))), "0 0 100 100");
    }
}

#[test]
fn the_background_fills_what_is_seen() {
    let svg = picture(
        &json!({"background": "navy"}),
        &json!([{"object_id": "a", "kind": "rect", "props": {"x": 100, "y": 50, "fill": "red"}}]),
    );
    assert!(svg.contains(r#"<rect x="84" y="34" width="132" height="132" fill="navy"/>"#), "{svg}");
    let svg = picture(&json!({"background": "url(https://a.example)"}), &json!([]));
    assert!(!svg.contains("url"), "{svg}");
}

#[test]
fn without_a_size_all_that_is_drawn_is_seen() {
    let boxes = |rotation: i32| {
        json!([
            {"object_id": "a", "kind": "rect", "props": {"x": -10, "y": 0, "w": 10, "h": 10, "fill": "red"}},
            {"object_id": "b", "kind": "line", "props":
                {"x1": 0, "y1": 40, "x2": 100, "y2": 40, "strokeWidth": 4, "rotation": rotation}},
        ])
    };
    assert_eq!(view_box(&picture(&json!({}), &boxes(0))), "-26 -16 144 74");
    assert_eq!(view_box(&picture(&json!({}), &boxes(90))), "-26 -28 94 136");
}

#[test]
fn objects_stand_in_the_order_of_the_view_with_their_ids() {
    let objects = json!([
        {"object_id": "b", "kind": "rect"},
        {"object_id": "a", "kind": "path", "props": {}},
        {"object_id": "c", "kind": "ellipse"},
    ]);
    let svg = picture(&json!({}), &objects);
    let document = assert_sound(&svg);
    let ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("data-object-id")).collect();
    assert_eq!(ids, ["b", "c"]);
}

#[test]
fn each_shape_is_drawn_by_its_props() {
    let framed = |more: Value| {
        let mut props = json!({"x": 1, "y": 2, "width": 30, "height": 40});
        props.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        props
    };
    let corner = json!({"x": 10, "y": 10, "w": -4, "h": -6, "color": "#123"});
    let line = json!({"x1": 1, "y1": 2, "x2": 3, "y2": 4.567, "x": 10, "fill": "red"});
    let polyline = json!({"points": [[1, 2], [3, 4], {"x": 5, "y": 6}]});
    let polygon = json!({"points": [[0, 0], [9, 0], [0, 9]], "opacity": 1});
    let rows = [
        ("rect", framed(json!({"rx": 5, "fill": "red"})), "rect {frame} rx='5' fill='red' {id}/"),
        (
            "rect",
            corner,
            "rect x='6' y='4' width='4' height='6' fill='none' stroke='#123' stroke-width='2' {id}/",
        ),
        (
            "rect",
            framed(json!({"fill": "red", "rotation": -45})),
            "rect {frame} fill='red' {id} transform='rotate(315 16 22)'/",
        ),
        (
            "ellipse",
            framed(json!({"fill": "red", "opacity": 0.5})),
            "ellipse cx='16' cy='22' rx='15' ry='20' fill='red' {id} opacity='0.5'/",
        ),
        ("line", line, "line x1='11' y1='2' x2='13' y2='4.57'"),
        ("line", polyline, "polyline points='1,2 3,4 5,6'"),
        ("path", json!({"d": "m0 0h5v5z", "fill": "red"}), "path d='M0 0L5 0L5 5Z'"),
        ("fog", framed(json!({})), "rect {frame} fill='#0b0f19' {id} opacity='0.85'/"),
        ("fog", polygon, "polygon points='0,0 9,0 0,9' fill='#0b0f19' {id}/"),
        ("token", json!({"size": 20, "color": "red"}), "circle cx='10' cy='10' r='10' fill='red'"),
        (
            "image",
            framed(json!({"src": "https://a.example/?a=1&b=2"})),
            "image {frame} href='https://a.example/?a=1&amp;b=2' {id}/",
        ),
    ];
    for (kind, props, expected) in rows {
        let svg = drawn_as(kind, &props);
        assert_sound(&svg);
        let expected = expected
            .replace("{frame}", "x='1' y='2' width='30' height='40'")
            .replace("{id}", "data-object-id='a'")
            .replace('\'', "\"");
        assert!(svg.contains(&format!("<{expected}")), "{svg}");
    }
}

#[test]
fn what_has_nothing_to_draw_is_left_out() {
    let rows = [
        ("line", json!({})),
        ("line", json!({"points": [[1, 2], "x"]})),
        ("path", json!({"d": "M0 0\"/><script/>"})),
        ("path", json!({"d": 7})),
        ("text", json!({"text": " \n "})),
        ("image", json!({"href": "javascript:alert(1)"})),
        ("stroke", json!({"x": 1, "y": 2, "width": 3, "height": 4})),
        ("star", json!({"x": 1, "y": 2, "width": 3})),
    ];
    for (kind, props) in rows {
        let svg = drawn_as(kind, &props);
        assert!(with_object(&svg, |node| node.is_none()), "{svg}");
    }
}

#[test]
fn text_has_a_line_for_each_of_its_lines() {
    let svg =
        drawn_as("text", &json!({"text": "a <b>\n\n  &c", "x": 5, "y": 10, "fontSize": 20, "color": "red"}));
    with_object(&svg, |node| {
        let node = node.unwrap();
        let lines: Vec<_> =
            node.children().map(|line| (line.text().unwrap_or(""), line.attribute("y").unwrap())).collect();
        assert_eq!(lines, [("a <b>", "29"), ("", "54"), ("  &c", "79")]);
        assert_eq!(node.attribute("fill"), Some("red"));
    });
}

#[test]
fn a_token_bears_its_label_and_its_letters_fit() {
    let font_size = |label: &str| {
        let svg = drawn_as("token", &json!({"label": label}));
        with_object(&svg, |node| {
            let text = node.and_then(|node| node.last_element_child()).unwrap();
            assert_eq!(text.text(), Some(label));
            text.attribute("font-size").unwrap().parse::<f64>().unwrap()
        })
    };
    assert!(font_size("A&<") > font_size("A longer name"));
}

#[test]
fn an_unknown_kind_is_a_dashed_box_with_its_name() {
    let frame = json!({"x": 1, "y": 2, "w": 30, "h": 40});
    let svg = drawn_as("</title><script>", &frame);
    with_object(&svg, |node| {
        let node = node.unwrap();
        assert!(node.attribute("stroke-dasharray").is_some());
        assert_eq!(node.first_element_child().and_then(|title| title.text()), Some("</title><script>"));
    });
    let mut props = frame;
    props["href"] = json!("data:image/svg+xml,<svg/>");
    assert!(attribute(&drawn_as("image", &props), "stroke-dasharray").is_some());
}

#[test]
fn each_tool_has_its_ink() {
    let points = json!([[0, 0], [50, 0], [90, 20]]);
    let look = |tool, props| {
        let svg = stroke_as(tool, &props, &points);
        (attribute(&svg, "fill").unwrap(), attribute(&svg, "opacity"))
    };
    let is = |fill: &str, opacity: Option<&str>| (fill.to_owned(), opacity.map(str::to_owned));
    assert_eq!(look("pen", json!({"color": "red"})), is("red", None));
    assert_eq!(look("pen", json!({"color": "url(#a)", "stroke": "#123456"})), is("#123456", None));
    assert_eq!(look("crayon", json!({})), is(props::INK, None));
    assert_eq!(look("highlighter", json!({"color": "yellow"})), is("yellow", Some("0.4")));
    assert_eq!(look("highlighter", json!({"opacity": 0.6})), is(props::INK, Some("0.6")));
    assert_eq!(look("eraser", json!({"color": "red"})), is("#abc", None));
}

#[test]
fn a_stroke_at_one_place_is_a_dot() {
    for points in [json!([[3, 4]]), json!([[3, 4], [3, 4]])] {
        let svg = stroke_as("pen", &json!({"size": 8, "x": 10}), &points);
        assert!(svg.contains(r#"<circle cx="13" cy="4" r="4""#), "{svg}");
    }
}

#[test]
fn the_points_of_a_stroke_are_spread_and_then_moved_and_its_line_is_as_broad_as_before() {
    let props = json!({"size": 4, "scaleX": 2, "scaleY": 0.5, "x": 7, "y": 1});
    let scaled = stroke_as("pen", &props, &json!([[0, 0], [10, 20], [30, 0]]));
    let drawn = stroke_as("pen", &json!({"size": 4}), &json!([[7, 1], [27, 11], [67, 1]]));
    assert_eq!(scaled, drawn);
    for no_factor in [json!(0), json!(-2), json!("2"), json!(null)] {
        let props = json!({"scaleX": no_factor, "scaleY": no_factor});
        assert_eq!(
            stroke_as("pen", &props, &json!([[0, 0], [10, 20]])),
            stroke_as("pen", &json!({}), &json!([[0, 0], [10, 20]]))
        );
    }
}

#[test]
fn a_stroke_is_one_closed_path_with_its_width_in_view() {
    let svg = stroke_as("eraser", &json!({"width": 10}), &json!([[0, 0], [100, 0]]));
    assert_eq!(attribute(&svg, "d").unwrap(), "M0 -5L100 -5A5 5 0 0 1 100 5L0 5A5 5 0 0 1 0 -5Z");
    assert_eq!(view_box(&svg), "-21 -21 142 42");
}
