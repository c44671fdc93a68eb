//! Pen strokes and the ops that draw them.
//!
//! Real ones are the stroke medians of the npm package `hanzi-writer-data`; where that is not
//! installed, made-up ones have the same form and about the same size.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use uuid::Uuid;

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

/// The ops of one stroke: begin, appends, end, one undo unit.
pub fn ops(stroke: &[[i64; 2]]) -> Vec<Value> {
    let (unit, object) = (Uuid::now_v7().to_string(), Uuid::now_v7().to_string());
    let mut chunks = stroke.chunks(POINTS_AN_APPEND);
    let first = chunks.next().unwrap_or_default();
    let mut ops = vec![json!({
        "op_id": unit, "type": "stroke.begin", "object_id": object, "tool": "pen", "props": {"color": "#1a1a2e"}, "points": first,
    })];
    for (points, index) in chunks.zip(1..) {
        ops.push(json!({
            "op_id": Uuid::now_v7(), "unit": unit, "type": "stroke.append", "object_id": object, "index": index, "points": points,
        }));
    }
    let count = ops.len() - 1;
    ops.push(json!({"op_id": Uuid::now_v7(), "unit": unit, "type": "stroke.end", "object_id": object, "count": count}));
    ops
}

/// How many ops one stroke takes.
pub fn count_ops(stroke: &[[i64; 2]]) -> usize {
    2 + stroke.chunks(POINTS_AN_APPEND).skip(1).count()
}
