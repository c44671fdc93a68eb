//! The result as one HTML file, without a script or anything from elsewhere.

use std::fmt::Write;

use anyhow::anyhow;
use loadtest::swarm::{Latency, as_f64};
use plotters::{
    prelude::{
        ChartBuilder, Color, IntoDrawingArea, IntoFont, LineSeries, PathElement, RGBColor, SVGBackend,
        SeriesLabelPosition, WHITE,
    },
    style::BLACK,
};

use crate::{
    result::{Row, RunResult},
    table,
};

/// Size of a chart, in pixels.
const SIZE: (u32, u32) = (960, 300);
/// Colors that the color-blind tell apart, in the order of their use (Okabe and Ito).
const COLORS: [RGBColor; 3] = [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115)];
/// Widths of the lines, so that color is not all that tells them apart.
const WIDTHS: [u32; 3] = [2, 2, 1];

/// A line of a chart.
struct Line {
    name: &'static str,
    values: Vec<(f64, f64)>,
}

/// The page.
pub(crate) fn html(result: &RunResult) -> anyhow::Result<String> {
    let rows = &result.seconds;
    let line = |name, value: fn(&Row) -> f64| Line {
        name,
        values: rows.iter().map(|row| (second(row), value(row))).collect(),
    };
    let times = |of: fn(&Row) -> Latency| {
        let line = |name, value: fn(&Latency) -> f64| Line {
            name,
            values: rows.iter().map(|row| (second(row), value(&of(row)))).collect(),
        };
        chart("ms", &[line("p50", |t| t.p50), line("p99", |t| t.p99), line("longest", |t| t.max)])
    };
    let (delivery, answer) = (times(|row| row.delivery)?, times(|row| row.answer)?);
    let committed = chart("ops/s", &[line("acknowledged", |row| as_f64(row.acknowledged))])?;
    let delivered = chart("ops/s", &[line("delivered", |row| as_f64(row.delivered))])?;
    let bytes = chart(
        "MB/s",
        &[
            line("ops", |row| as_f64(row.bytes) / 1e6),
            line("presence", |row| as_f64(row.presence_bytes) / 1e6),
        ],
    )?;
    let mut page = String::new();
    let (name, verdict) = (escaped(&result.scenario.name), if result.is_ok() { "ok" } else { "FAIL" });
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name}: {verdict}</title>\n<style>{STYLE}</style>\n<main>\n<h1>{name}</h1>\n<p>{}</p>\n\
         <p>Began {}; {}; {}.</p>\n",
        escaped(&table::load(result)),
        escaped(&result.began),
        escaped(&result.nodes.join(", ")),
        escaped(&result.pen_data),
    )?;
    checks(&mut page, result)?;
    summary(&mut page, result)?;
    for (title, svg) in [
        ("From when an op was due to its arrival at a reader", delivery),
        ("From when a request was due to its answer", answer),
        ("Ops acknowledged", committed),
        ("Ops delivered, at all readers together", delivered),
        ("Bytes delivered", bytes),
    ] {
        // The figures are in the table below, for those who cannot see a chart.
        writeln!(
            page,
            "<figure><figcaption>{title}</figcaption><div aria-hidden=\"true\">{svg}</div></figure>"
        )?;
    }
    seconds(&mut page, rows)?;
    let scenario = toml::to_string(&result.scenario)?;
    write!(page, "<h2>Scenario</h2>\n<pre tabindex=\"0\">{}</pre>\n</main>\n</html>\n", escaped(&scenario))?;
    Ok(page)
}

fn checks(page: &mut String, result: &RunResult) -> std::fmt::Result {
    page.push_str("<h2>Checks</h2>\n<div class=\"wide\" tabindex=\"0\"><table>\n<tr><th scope=\"col\">Verdict<th scope=\"col\">Promise<th scope=\"col\">Seen</tr>\n");
    for check in &result.checks {
        let (class, word) = if check.ok { ("ok", "ok") } else { ("fail", "FAIL") };
        let (name, detail) = (escaped(&check.name), escaped(&check.detail));
        writeln!(page, "<tr><td class=\"{class}\">{word}<td>{name}<td>{detail}</tr>")?;
    }
    page.push_str("</table></div>\n");
    Ok(())
}

fn summary(page: &mut String, result: &RunResult) -> std::fmt::Result {
    page.push_str("<h2>Times</h2>\n<div class=\"wide\" tabindex=\"0\"><table>\n<tr><th scope=\"col\">In ms");
    for name in ["count", "p50", "p90", "p99", "p99.9", "longest"] {
        write!(page, "<th scope=\"col\">{name}")?;
    }
    page.push_str("</tr>\n");
    for (name, times) in [("Request due → answer", &result.answer), ("Op due → reader", &result.delivery)]
    {
        write!(page, "<tr><th scope=\"row\">{name}<td>{}", times.count)?;
        for value in [times.p50, times.p90, times.p99, times.p999, times.max] {
            write!(page, "<td>{value:.2}")?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
    let totals = &result.totals;
    writeln!(
        page,
        "<p>{:.0} ops/s acknowledged, {:.0} ops/s delivered; {:.2} MB/s of ops, {:.2} MB/s of presence. {} of {} requests \
         went out more than 100 ms late; {} were sent again.</p>",
        totals.ops_per_second,
        totals.deliveries_per_second,
        totals.bytes_per_second / 1e6,
        totals.presence_bytes_per_second / 1e6,
        totals.late,
        totals.requests,
        result.hindrances.values().sum::<u64>(),
    )?;
    if result.is_started {
        let cores = &result.cores;
        writeln!(
            page,
            "<p>Cores: server {:.2}, database {:.2}, writers {:.2}. Memory of a node: {:.0} MiB.</p>",
            cores.server,
            cores.database,
            cores.client,
            as_f64(cores.server_rss) / 1024.0
        )?;
    }
    Ok(())
}

fn seconds(page: &mut String, rows: &[Row]) -> std::fmt::Result {
    page.push_str(
        "<details><summary>By the second</summary>\n<div class=\"wide\" tabindex=\"0\"><table>\n<tr>",
    );
    for name in [
        "Second",
        "Acknowledged",
        "Answer p50",
        "p99",
        "longest",
        "Delivered",
        "Bytes",
        "Bytes of presence",
        "Delivery p50",
        "p99",
        "longest",
    ] {
        write!(page, "<th scope=\"col\">{name}")?;
    }
    page.push_str("</tr>\n");
    for row in rows {
        let Row { second, acknowledged, answer, delivered, bytes, presence_bytes, delivery } = row;
        writeln!(
            page,
            "<tr><td>{second}<td>{acknowledged}<td>{:.2}<td>{:.2}<td>{:.2}<td>{delivered}<td>{bytes}<td>{presence_bytes}<td>{:.2}<td>{:.2}<td>{:.2}</tr>",
            answer.p50, answer.p99, answer.max, delivery.p50, delivery.p99, delivery.max
        )?;
    }
    page.push_str("</table></div></details>\n");
    Ok(())
}

/// A chart over the seconds of the run.
fn chart(unit: &str, lines: &[Line]) -> anyhow::Result<String> {
    let values = || lines.iter().flat_map(|line| &line.values);
    let last = values().map(|(second, _)| *second).fold(1.0, f64::max);
    let highest = values().map(|(_, value)| *value).fold(0.0, f64::max);
    // Several lines have a legend above them.
    let room = if lines.len() > 1 { 1.35 } else { 1.1 };
    let top = if highest > 0.0 { highest * room } else { 1.0 };
    let mut svg = String::new();
    draw(&mut svg, unit, lines, last, top).map_err(|error| anyhow!("a chart cannot be drawn: {error}"))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    unit: &str,
    lines: &[Line],
    last: f64,
    top: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..last, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .label_style(("sans-serif", 14).into_font())
        .x_desc("seconds")
        .y_desc(unit)
        .y_label_formatter(&|value| short(*value))
        .x_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    for (line, (color, width)) in lines.iter().zip(COLORS.into_iter().zip(WIDTHS)) {
        let style = color.stroke_width(width);
        chart
            .draw_series(LineSeries::new(line.values.iter().copied(), style))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    if lines.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .label_font(("sans-serif", 14).into_font())
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.2))
            .draw()?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

/// A number on an axis.
fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.1} M", value / 1e6),
        value if value >= 1e4 => format!("{:.0} k", value / 1e3),
        value if value >= 10.0 || value == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

fn second(row: &Row) -> f64 {
    as_f64(row.second)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{margin:0}main{max-width:62rem;margin:auto;padding:1rem}\
h1{margin:.5rem 0}h2{margin:1.5rem 0 .5rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #8886;vertical-align:top}\
td{font-variant-numeric:tabular-nums}.wide{overflow-x:auto}\
.ok{color:light-dark(#0a6b2d,#7ee2a0)}.fail{color:light-dark(#b00020,#ff9aa8);font-weight:700}\
figure{margin:1.5rem 0}figcaption{font-weight:600;margin-bottom:.3rem}\
figure div{background:#fff;border-radius:.4rem}figure svg{display:block;width:100%;height:auto}\
pre{overflow-x:auto;padding:.8rem;background:#8882;border-radius:.4rem}summary{cursor:pointer;padding:.4rem 0}";
