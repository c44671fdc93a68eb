//! The rendered view of a drawing: what is seen at one revision.
//!
//! Owns the shape of its JSON. It never computes a view, and gives no meaning to any prop.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ObjectId, Point};

/// The picture of a drawing at one revision.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct View {
    /// The properties that `canvas.set` has set, by key.
    #[serde(default)]
    pub canvas: Map<String, Value>,
    /// The visible objects in screen order: the first is the farthest back.
    #[serde(default)]
    pub objects: Vec<ViewObject>,
}

/// One visible object.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ViewObject {
    /// The id its client gave it.
    pub object_id: ObjectId,
    /// `stroke`, `rect` and so on, or any other name.
    pub kind: String,
    /// The fractional index that decides the order on screen; `objects` is in that order already.
    #[serde(default)]
    pub z: String,
    /// Its properties that have a value; JSON null is a value.
    #[serde(default)]
    pub props: Map<String, Value>,
    /// The tool that a stroke was drawn with; `None` for other kinds.
    #[serde(default)]
    pub tool: Option<String>,
    /// The samples of a stroke up to the first that is missing. Empty for other kinds.
    #[serde(default)]
    pub points: Vec<Point>,
    /// `true` for a stroke that was ended and of which nothing is missing. False for other kinds.
    #[serde(default)]
    pub complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_as_a_snapshot_has_it() {
        let json = r##"{"canvas": {"background": "#fff"}, "objects": [
            {"object_id": "r", "kind": "rect", "z": "a1", "props": {"x": 1, "y": null}},
            {"object_id": "s", "kind": "stroke", "z": "", "tool": "pen", "props": {},
             "points": [[1, 2], [3, 4, 0.5]], "complete": true}]}"##;
        let view: View = serde_json::from_str(json).unwrap();
        assert_eq!(view.canvas["background"], "#fff");
        let [rect, stroke] = &view.objects[..] else { panic!("{view:?}") };
        assert_eq!((rect.kind.as_str(), rect.z.as_str(), rect.props.len()), ("rect", "a1", 2));
        assert_eq!((rect.tool.as_deref(), rect.points.len(), rect.complete), (None, 0, false));
        assert_eq!(stroke.tool.as_deref(), Some("pen"));
        assert_eq!(
            stroke.points,
            [Point { x: 1.0, y: 2.0, pressure: None }, Point { x: 3.0, y: 4.0, pressure: Some(0.5) }]
        );
        assert!(stroke.complete);
    }

    #[test]
    fn an_id_that_no_client_can_have_made_is_refused() {
        let object = r#"{"object_id": "a\"b", "kind": "rect"}"#;
        assert!(serde_json::from_str::<ViewObject>(object).is_err());
        assert!(serde_json::from_str::<ViewObject>(&object.replace("\\\"", "")).is_ok());
    }
}
