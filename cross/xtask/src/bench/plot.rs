//! The picture: a panel for each cell, a bar for each setting, the fastest at the top.
//!
//! In: cells. Out: an SVG document as text. No file is touched here.

use std::fmt::Write as _;

use super::rounds::{Cell, Row};
use super::settings::Engine;

/// Units: pixels of the picture.
const PANEL_WIDTH: usize = 620;
const NAME_WIDTH: usize = 260;
const VALUE_WIDTH: usize = 120;
const LINE_HEIGHT: usize = 18;
const HEAD_HEIGHT: usize = 40;
const TITLE_HEIGHT: usize = 36;
const MARGIN: usize = 16;
const BAR_WIDTH: usize = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH;
/// Panels beside each other.
const COLUMNS: usize = 2;

/// Draws all cells under `title`.
pub(crate) fn draw(title: &str, cells: &[Cell]) -> String {
    let tallest = cells
        .iter()
        .map(|cell| cell.rows.len())
        .max()
        .unwrap_or_default();
    let panel_height = HEAD_HEIGHT + tallest * LINE_HEIGHT + MARGIN;
    let columns = cells.len().clamp(1, COLUMNS);
    // Cells come by threads, then by length: each number of threads is a column.
    let rows = cells.len().div_ceil(columns);
    let width = columns * (PANEL_WIDTH + MARGIN) + MARGIN;
    let height = TITLE_HEIGHT + rows * panel_height + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(&mut svg, MARGIN, 24, "start", "#111111", title, 15);
    for (at, cell) in cells.iter().enumerate() {
        let (column, row) = (at / rows, at % rows);
        let x = MARGIN + column * (PANEL_WIDTH + MARGIN);
        panel(&mut svg, x, TITLE_HEIGHT + row * panel_height, cell);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Draws one cell with its upper left corner at `x`, `y`.
fn panel(svg: &mut String, x: usize, y: usize, cell: &Cell) {
    text(svg, x, y + 24, "start", "#111111", &cell.title(), 13);
    let mut rows: Vec<&Row> = cell.rows.iter().collect();
    rows.sort_by(|a, b| a.spread.median.total_cmp(&b.spread.median));
    let most = rows
        .iter()
        .map(|row| row.spread.high)
        .fold(f64::MIN_POSITIVE, f64::max);
    for (at, row) in rows.into_iter().enumerate() {
        let (top, spread) = (y + HEAD_HEIGHT + at * LINE_HEIGHT, &row.spread);
        let left = x + NAME_WIDTH;
        let length = |time: f64| time / most * BAR_WIDTH as f64;
        let middle = top + LINE_HEIGHT / 2;
        text(
            svg,
            left - 8,
            middle + 4,
            "end",
            "#333333",
            &row.setting.name(),
            11,
        );
        writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\"/>\n\
             <line x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\" stroke=\"#111111\"/>",
            top + 2,
            length(spread.median),
            LINE_HEIGHT - 4,
            colour(row.setting.engine),
            left as f64 + length(spread.low),
            left as f64 + length(spread.high),
        )
        .ok();
        let value = format!("{:.1} ms, {:.2}×", spread.median, row.ratio);
        let right = left + BAR_WIDTH + 8;
        text(svg, right, middle + 4, "start", "#333333", &value, 11);
    }
}

fn text(svg: &mut String, x: usize, y: usize, anchor: &str, fill: &str, words: &str, size: u32) {
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{fill}\" \
         font-size=\"{size}\">{words}</text>"
    )
    .ok();
}

/// Colours that people who see few colours can tell apart, after Okabe and Ito.
const fn colour(engine: Engine) -> &'static str {
    match engine {
        Engine::Pressel => "#009e73",
        Engine::Stock => "#999999",
        Engine::WhisperCpp => "#0072b2",
        Engine::WhisperCppWheel => "#56b4e9",
        Engine::CTranslate2 => "#e69f00",
        Engine::Sherpa => "#cc79a7",
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::cell;
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_times_and_the_fastest_is_first() {
        let times = [("stock-hub-full", 300.0), ("pressel-int8-exact", 30.0)];
        let svg = draw("a & b", &[cell(&times)]);
        let bars: Vec<&str> = svg
            .lines()
            .filter(|line| line.contains("height=\"14\""))
            .collect();
        // The upper quartile of the slowest, 315 ms, is the whole width.
        let length = |time: f64| format!("width=\"{:.1}\"", time / 315.0 * BAR_WIDTH as f64);
        assert!(bars[0].contains(&length(30.0)), "{}", bars[0]);
        assert!(bars[1].contains(&length(300.0)), "{}", bars[1]);
        assert!(svg.contains("a &amp; b") && svg.contains("30.0 ms, 0.10×"));
    }

    #[test]
    fn every_panel_lies_within_the_picture() {
        let rows = [("pressel-int8-exact", 30.0)];
        for count in 0..=8 {
            let cells: Vec<Cell> = (0..count).map(|_| cell(&rows)).collect();
            let svg = draw("", &cells);
            let number = |key: &str| {
                let rest = svg.split_once(key).unwrap().1;
                rest.split_once('"').unwrap().0.parse::<usize>().unwrap()
            };
            let (width, height) = (number(" width=\""), number(" height=\""));
            for line in svg.lines().filter(|line| line.starts_with("<text")) {
                let at = |key: &str| {
                    let rest = line.split_once(key).unwrap().1;
                    rest.split_once('"').unwrap().0.parse::<usize>().unwrap()
                };
                assert!(at("x=\"") < width && at("y=\"") < height, "{line}");
            }
            assert_eq!(svg.matches("ms, 1.00×").count(), count);
        }
    }
}
