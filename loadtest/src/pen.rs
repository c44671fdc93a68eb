//! Pen strokes and the ops that draw them.
//!
//! Real ones are the stroke medians of the npm package `hanzi-writer-data`; where that is not
//! installed, made-up ones have the same form and about the same size.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use uuid::Uuid;

/// The folder in which `make demo` puts real ones.
const DATA: &str = "target/pen/node_modules/hanzi-writer-data";
/// The number of strokes that are made up where there are no real ones.
const MADE_UP: usize = 200;
/// Characters to draw; each has one to twenty strokes.
const CHARACTERS: &str = "永和春秋龍鳳書畫學問天地山水風雲花鳥魚馬";
/// Points in one append: a pen at 60 Hz gives about five in 80 ms.
const POINTS_AN_APPEND: usize = 5;

/// The points of a stroke, on a grid of whole numbers.
pub type Stroke = Vec<[i64; 2]>;

/// The medians of all strokes of the characters.
pub fn load(folder: &Path) -> anyhow::Result<Vec<Stroke>> {
    let mut strokes = Vec::new();
    for (nth, character) in CHARACTERS.chars().enumerate() {
        let file = folder.join(format!("{character}.json"));
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let data: Value = serde_json::from_str(&text)?;
        let medians: Vec<Stroke> = serde_json::from_value(data["medians"].clone())?;
        // Five in a row, on cells of 1,024; the data's y axis points up.
        let (x0, y0) = (i64::try_from(nth % 5)? * 1_024, i64::try_from(nth / 5)? * 1_024);
        strokes.extend(
            medians
                .into_iter()
                .map(|stroke| stroke.into_iter().map(|[x, y]| [x0 + x, y0 + 900 - y]).collect()),
        );
    }
    Ok(strokes)
}

/// Made-up strokes: a pen that goes on in its direction, more or less. The same ones each time.
pub fn made_up(count: usize) -> Vec<Stroke> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    // Xorshift: reproducible, and chance enough for a pen.
    let mut random = move |below: i64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i64::try_from(state >> 33).unwrap_or(0) % below
    };
    (0..count)
        .map(|_| {
            let (mut x, mut y) = (random(5_120), random(4_096));
            let (mut dx, mut dy) = (random(121) - 60, random(121) - 60);
            let length = 4 + random(16);
            (0..length)
                .map(|_| {
                    (dx, dy) = (dx + random(41) - 20, dy + random(41) - 20);
                    (x, y) = (x + dx, y + dy);
                    [x, y]
                })
                .collect()
        })
        .collect()
}

/// The strokes of `make demo` if that has fetched them, otherwise made-up ones; and what they are.
pub fn load_or_make_up() -> (Vec<Stroke>, &'static str) {
    match load(Path::new(DATA)) {
        Ok(strokes) => (strokes, "stroke medians of hanzi-writer-data"),
        Err(_) => (made_up(MADE_UP), "made-up strokes, since make demo has fetched no real ones"),
    }
}

/// A stroke as a pen draws it that is read so often on its way: `count` points, as many on each part.
pub fn sampled(stroke: &[[i64; 2]], count: u8) -> Stroke {
    let (parts, steps) = (stroke.len().saturating_sub(1), usize::from(count.max(2)) - 1);
    let point = |step: usize| {
        let (part, beyond) = (step * parts / steps, step * parts % steps);
        let ([x0, y0], [x1, y1]) = (stroke[part], stroke[(part + 1).min(parts)]);
        let between = |a: i64, b: i64| a + (b - a) * beyond as i64 / steps as i64;
        [between(x0, x1), between(y0, y1)]
    };
    (0..=steps).map(point).collect()
}

/// The ops of one stroke: begin, appends, end, one undo unit.
pub fn ops(stroke: &[[i64; 2]]) -> Vec<Value> {
    ops_with_ids(stroke, Uuid::now_v7)
}

/// The same with ids of another making.
pub fn ops_with_ids(stroke: &[[i64; 2]], mut id: impl FnMut() -> Uuid) -> Vec<Value> {
    let (unit, object) = (id().to_string(), id().to_string());
    let mut chunks = stroke.chunks(POINTS_AN_APPEND);
    let first = chunks.next().unwrap_or_default();
    let mut ops = vec![json!({
        "op_id": unit, "type": "stroke.begin", "object_id": object, "tool": "pen", "props": {"color": "#1a1a2e"}, "points": first,
    })];
    for (points, index) in chunks.zip(1..) {
        ops.push(json!({
            "op_id": id(), "unit": unit, "type": "stroke.append", "object_id": object, "index": index, "points": points,
        }));
    }
    let count = ops.len() - 1;
    ops.push(json!({"op_id": id(), "unit": unit, "type": "stroke.end", "object_id": object, "count": count}));
    ops
}

/// The number of ops that one stroke takes.
pub fn count_ops(stroke: &[[i64; 2]]) -> usize {
    2 + stroke.chunks(POINTS_AN_APPEND).skip(1).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampled_stroke_goes_where_the_stroke_goes() {
        let stroke = [[0, 0], [10, 0], [10, 40]];
        assert_eq!(sampled(&stroke, 5), [[0, 0], [5, 0], [10, 0], [10, 20], [10, 40]]);
        assert_eq!(sampled(&stroke, 2), [[0, 0], [10, 40]]);
        assert_eq!(sampled(&stroke[..1], 3), [[0, 0]; 3]);
    }
}
