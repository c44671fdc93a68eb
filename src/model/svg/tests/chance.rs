//! Views of random objects with random props, hostile ones among them.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::assert_sound;
use crate::model::{Point, View, ViewObject, svg};

/// Values that props may have, hostile ones among them.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-100.0..100.0_f64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[MLHVCSQTAZmlhvcsqtaz0-9eE., +-]{0,40}".prop_map(Value::from),
        "(M|m)([LHVCSQTAZlhvcsqtaz](-?[0-9]{1,3}[ ,.]){0,7}){0,6}".prop_map(Value::from),
        prop::sample::select(vec![
            "red",
            "#fff",
            "rgb(1,2,3)",
            "url(javascript:alert(1))",
            "\"/><script>alert(1)</script>",
            "]]>&lt;\u{0}\u{ffff}",
            "https://a.example/\"onload='x'",
            "data:image/png;base64,<>",
            "data:text/html,x",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(vec!["x", "y", "width", "height"]), inner, 0..4)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn any_map() -> impl Strategy<Value = Map<String, Value>> {
    const NAMES: &str = "x y width height w h rx fill stroke color strokeWidth size opacity rotation scaleX scaleY x1 y1 x2 \
        y2 points d text label fontSize href src background onload style";
    let names: Vec<_> = NAMES.split_ascii_whitespace().collect();
    prop::collection::btree_map(prop::sample::select(names), any_value(), 0..10)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn any_object() -> impl Strategy<Value = ViewObject> {
    const KINDS: &[&str] =
        &["stroke", "rect", "ellipse", "line", "path", "text", "image", "token", "fog", "<star>\u{1}"];
    let coordinate = prop_oneof![any::<f64>(), prop::num::f64::ANY, -50.0..50.0_f64];
    let point = (coordinate.clone(), coordinate, prop::option::of(prop::num::f64::ANY))
        .prop_map(|(x, y, pressure)| Point { x, y, pressure });
    let tool = prop::option::of(prop::sample::select(vec!["pen", "highlighter", "eraser", "\""]));
    (prop::sample::select(KINDS), any_map(), tool, prop::collection::vec(point, 0..20)).prop_map(
        |(kind, props, tool, points)| ViewObject {
            object_id: "a".parse().unwrap(),
            kind: kind.to_owned(),
            z: String::new(),
            props,
            tool: tool.map(str::to_owned),
            points,
            complete: false,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_view_has_one_sound_picture(
        canvas in any_map(),
        objects in prop::collection::vec(any_object(), 0..6),
    ) {
        let view = View { canvas, objects };
        let picture = svg(&view);
        assert_sound(&picture);
        prop_assert_eq!(picture, svg(&view.clone()));
    }
}
