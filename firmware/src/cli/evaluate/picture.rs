//! The results as pictures.
//!
//! In: what was counted. Out: SVG documents as text. No file is touched here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::wake::Curve;

/// Units: pixels.
const MARGIN: f64 = 70.0;
const CELL: f64 = 26.0;
const SIDE: f64 = 420.0;
/// Words in a confusion picture at most: the most frequent ones.
const WORDS_MAX: usize = 60;

/// Begins a document of this size under a title.
fn begin(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"20\" font-size=\"14\">{}</text>\n",
        escaped(title)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn label(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = escaped(text);
    _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

/// Which word was taken for which: what was said from top to bottom, what was heard from left to
/// right, the darker the more often.
pub(super) fn confusion(title: &str, pairs: &BTreeMap<(String, String), usize>) -> String {
    let mut said: BTreeMap<&str, usize> = BTreeMap::new();
    for ((expected, _), count) in pairs {
        *said.entry(expected).or_default() += count;
    }
    let mut words: Vec<&str> = said.keys().copied().collect();
    words.sort_by_key(|word| std::cmp::Reverse(said[word]));
    words.truncate(WORDS_MAX);
    words.sort_unstable();
    let mut columns = words.clone();
    columns.extend(["(other)", "(nothing)"]);
    let left = MARGIN + 30.0;
    let width = left + CELL * columns.len() as f64 + MARGIN;
    let height = left + CELL * words.len() as f64 + 20.0;
    let mut svg = begin(width, height, title);
    for (column, word) in columns.iter().enumerate() {
        let x = left + CELL * (column as f64 + 0.6);
        _ = writeln!(
            svg,
            "<text transform=\"translate({x:.1} {:.1}) rotate(-60)\">{}</text>",
            left - 6.0,
            escaped(word)
        );
    }
    for (row, word) in words.iter().enumerate() {
        let y = left + CELL * row as f64;
        label(&mut svg, (left - 6.0, y + CELL * 0.65), "end", word);
        let mut cells = vec![0; columns.len()];
        for ((_, heard), count) in pairs.iter().filter(|((expected, _), _)| expected == word) {
            let place = columns.iter().position(|column| column == heard);
            let other = columns.len() - if heard.is_empty() { 1 } else { 2 };
            cells[place.unwrap_or(other)] += count;
        }
        for (column, count) in cells.into_iter().enumerate() {
            let x = left + CELL * column as f64;
            let share = count as f64 / said[word] as f64;
            let colour = if columns[column] == *word {
                "#1b7f4d"
            } else {
                "#b3261e"
            };
            _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"{CELL}\" \
                 fill=\"{colour}\" fill-opacity=\"{share:.3}\" stroke=\"#dddddd\"/>"
            );
            if 0 < count {
                label(
                    &mut svg,
                    (x + CELL / 2.0, y + CELL * 0.65),
                    "middle",
                    &count.to_string(),
                );
            }
        }
    }
    svg + "</svg>\n"
}

/// Missed sayings against false accepts an hour, a line for each word (a DET curve).
pub(super) fn det(title: &str, curves: &[Curve]) -> String {
    const COLOURS: [&str; 4] = ["#1f5fbf", "#b3261e", "#1b7f4d", "#7a4fbf"];
    let (width, height) = (SIDE + 2.0 * MARGIN + 160.0, SIDE + 2.0 * MARGIN);
    let most = |found: f64, curve: &Curve| {
        let rates = curve.points().into_iter().map(|point| rate(&point, curve));
        rates.fold(found, f64::max)
    };
    let most = curves.iter().fold(1.0, most);
    let place = |rate: f64, missed: f64| {
        (
            MARGIN + SIDE * (rate / most).sqrt(),
            MARGIN + SIDE * (1.0 - missed.sqrt()),
        )
    };
    let mut svg = begin(width, height, title);
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let (x, y) = place(most * share * share, share * share);
        _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {MARGIN} V{:.1} M{MARGIN} {y:.1} H{:.1}\" stroke=\"#dddddd\"/>",
            MARGIN + SIDE,
            MARGIN + SIDE
        );
        let rate = format!("{:.1}", most * share * share);
        label(&mut svg, (x, MARGIN + SIDE + 16.0), "middle", &rate);
        let missed = format!("{:.0} %", share * share * 100.0);
        label(&mut svg, (MARGIN - 6.0, y + 4.0), "end", &missed);
    }
    let middle = MARGIN + SIDE / 2.0;
    label(
        &mut svg,
        (middle, MARGIN + SIDE + 36.0),
        "middle",
        "false accepts an hour",
    );
    label(&mut svg, (MARGIN, MARGIN - 10.0), "middle", "missed");
    for (number, curve) in curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut path = String::new();
        for point in curve.points() {
            let (x, y) = place(rate(&point, curve), point.missed.value());
            let is_first = path.is_empty();
            _ = write!(path, "{}{x:.1} {y:.1}", if is_first { "M" } else { "L" });
            let radius = if point.threshold == curve.configured() {
                5
            } else {
                2
            };
            _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>"
            );
        }
        _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\"/>"
        );
        let y = MARGIN + 20.0 * (number as f64 + 1.0);
        let name = format!("● {}", curve.name);
        _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{}</text>",
            MARGIN + SIDE + 16.0,
            escaped(&name)
        );
    }
    svg + "</svg>\n"
}

fn rate(point: &super::wake::Point, curve: &Curve) -> f64 {
    point.false_accepts as f64 / curve.hours().max(1e-6)
}

/// Shares with their intervals, one below the other: name, share and interval, all 0 to 1.
pub(super) fn shares(title: &str, rows: &[(String, f64, (f64, f64))]) -> String {
    let left = 220.0;
    let (width, height) = (left + SIDE + MARGIN, 60.0 + CELL * rows.len() as f64 + 30.0);
    let mut svg = begin(width, height, title);
    let at = |share: f64| left + SIDE * share.clamp(0.0, 1.0);
    for part in 0..=4 {
        let share = f64::from(part) / 4.0;
        let x = at(share);
        let bottom = height - 30.0;
        _ = writeln!(
            svg,
            "<path d=\"M{x:.1} 40 V{bottom:.1}\" stroke=\"#dddddd\"/>"
        );
        label(
            &mut svg,
            (x, bottom + 16.0),
            "middle",
            &format!("{:.0} %", share * 100.0),
        );
    }
    for (row, (name, share, (low, high))) in rows.iter().enumerate() {
        let y = 56.0 + CELL * row as f64;
        label(
            &mut svg,
            (left - 8.0, y + 4.0),
            "end",
            &format!("{name}: {:.1} %", share * 100.0),
        );
        _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1} H{:.1}\" stroke=\"#1f5fbf\" stroke-width=\"2\"/>\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#1f5fbf\"/>",
            at(*low),
            at(*high),
            at(*share)
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_drawn_once_and_what_is_no_word_beside_them() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let pairs = BTreeMap::from([
            (pair("go", "go"), 3),
            (pair("go", "no"), 1),
            (pair("stop", ""), 2),
            (pair("stop", "a<b"), 1),
        ]);
        let svg = confusion("words & more", &pairs);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("words &amp; more"));
        assert_eq!(svg.matches("<rect x=").count(), 2 * 4);
        assert_eq!(svg.matches(">3<").count(), 1);
        assert!(!svg.contains("a<b"));
    }

    #[test]
    fn a_share_lies_between_the_ends_of_its_interval() {
        let svg = shares("all", &[("words".to_owned(), 0.5, (0.25, 0.75))]);
        assert!(
            svg.contains("M325.0 56.0 H535.0") && svg.contains("cx=\"430.0\""),
            "{svg}"
        );
    }
}
