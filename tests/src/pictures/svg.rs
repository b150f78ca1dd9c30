//! A small writer of SVG: shapes in, text out.
//!
//! Whole numbers only, so that a picture is the same on every machine.

use std::fmt::Write as _;

/// Colours of all pictures.
pub(super) const INK: &str = "#1f2933";
pub(super) const FAINT: &str = "#8a94a0";
pub(super) const PAPER: &str = "#ffffff";

/// A picture that is being drawn.
pub(super) struct Svg {
    body: String,
    width: i32,
    height: i32,
}

/// Where a text stands beside its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// Begins an empty sheet; `what` is for those who cannot see it.
    pub(super) fn new(width: i32, height: i32, what: &str) -> Self {
        let mut svg = Self {
            body: String::new(),
            width,
            height,
        };
        svg.line(&format!("<title>{}</title>", plain(what)));
        svg.rect((0, 0), (width, height), PAPER, "none");
        svg
    }

    pub(super) fn rect(&mut self, at: (i32, i32), size: (i32, i32), fill: &str, stroke: &str) {
        let ((x, y), (width, height)) = (at, size);
        self.line(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\" \
             stroke=\"{stroke}\"/>"
        ));
    }

    pub(super) fn rounded(&mut self, at: (i32, i32), size: (i32, i32), fill: &str, stroke: &str) {
        let ((x, y), (width, height)) = (at, size);
        self.line(&format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\" \
             fill=\"{fill}\" stroke=\"{stroke}\"/>"
        ));
    }

    pub(super) fn circle(&mut self, at: (i32, i32), radius: i32, fill: &str, stroke: &str) {
        let (x, y) = at;
        self.line(&format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
        ));
    }

    /// A pin of the header, with what it is used for written into it for whoever reads the file.
    pub(super) fn pin(&mut self, at: (i32, i32), pin: u8, what: &str, fill: &str) {
        let (x, y) = at;
        self.line(&format!(
            "<circle data-pin=\"{pin}\" data-use=\"{what}\" cx=\"{x}\" cy=\"{y}\" r=\"10\" \
             fill=\"{fill}\" stroke=\"{INK}\"/>"
        ));
    }

    pub(super) fn path(&mut self, path: &str, stroke: &str, width: i32) {
        self.line(&format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{stroke}\" stroke-width=\"{width}\" \
             stroke-linecap=\"round\"/>"
        ));
    }

    pub(super) fn text(&mut self, at: (i32, i32), size: i32, anchor: Anchor, text: &str) {
        self.styled(at, size, anchor, INK, false, text);
    }

    pub(super) fn bold(&mut self, at: (i32, i32), size: i32, anchor: Anchor, text: &str) {
        self.styled(at, size, anchor, INK, true, text);
    }

    pub(super) fn styled(
        &mut self,
        at: (i32, i32),
        size: i32,
        anchor: Anchor,
        fill: &str,
        is_bold: bool,
        text: &str,
    ) {
        let (x, y) = at;
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if is_bold { " font-weight=\"600\"" } else { "" };
        let text = plain(text);
        self.line(&format!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
             fill=\"{fill}\"{weight}>{text}</text>"
        ));
    }

    pub(super) fn finish(self) -> String {
        let Self {
            body,
            width,
            height,
        } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans, Verdana, Helvetica, \
             sans-serif\">\n{body}</svg>\n"
        )
    }

    fn line(&mut self, line: &str) {
        writeln!(self.body, "{line}").unwrap();
    }
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
