//! The screen of the monitor, drawn from its model.
//!
//! In: the model, a frame of any size. Out: a picture: state and alerts on top, the talk below,
//! then link, counters and jobs, and the keys. Pure: the same model gives the same picture. What
//! finds no room is left out, the talk last.

use std::time::Duration;

use pressel_wire::{DeviceState, Job, JobState, LEFT_UNKNOWN, Outcome, OutcomeResult};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::model::{Entry, Model, What};
use crate::keeper::report::result_name;
use crate::plain::plain;

/// Rows of the panels below, borders included.
const PANEL_ROWS: u16 = 9;
/// Rows of a screen that has room for them, and columns for all three side by side.
const PANEL_FROM_ROWS: u16 = 18;
const THREE_FROM_COLUMNS: u16 = 72;
/// Columns in front of what was said: time, number, trigger.
const MARGIN: usize = 22;
/// Columns in front of its times.
const TIMES_MARGIN: usize = 10;
/// Columns of a bar, and of a panel that has room for one.
const BAR: u8 = 10;
const BAR_FROM_COLUMNS: u16 = 40;

const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const WRONG: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const RIGHT: Style = Style::new().fg(Color::Green);

/// Draws everything.
pub(super) fn draw(frame: &mut Frame, model: &Model) {
    let area = frame.area();
    let head = head(model);
    let head_rows = u16::try_from(head.len()).unwrap_or(u16::MAX) + 2;
    let panel_rows = if PANEL_FROM_ROWS <= area.height {
        PANEL_ROWS
    } else {
        0
    };
    let rows = [
        Constraint::Length(head_rows),
        Constraint::Min(1),
        Constraint::Length(panel_rows),
        Constraint::Length(1),
    ];
    let [top, middle, bottom, last] = Layout::vertical(rows).areas(area);
    let title = format!(" pressel monitor {} {} baud ", model.port, model.baud);
    frame.render_widget(
        Paragraph::new(head).block(Block::bordered().title(title)),
        top,
    );
    frame.render_widget(talk(model, middle), middle);
    if 0 < panel_rows {
        panels(frame, model, bottom);
    }
    frame.render_widget(Paragraph::new(keys(model)), last);
}

/// State, who speaks, alerts, the port.
fn head(model: &Model) -> Vec<Line<'static>> {
    let mut lines = vec![state(model), hello(model)];
    for alert in &model.alerts {
        let words = format!("ALERT {alert}");
        lines.push(Line::from(Span::styled(words, WRONG)));
    }
    if let Some((since, why)) = &model.lost {
        let ago = seconds(model.now.saturating_sub(*since));
        let words = format!("PORT {why} {ago} ago, it is opened again when it comes back");
        lines.push(Line::from(Span::styled(words, WRONG)));
    } else if model.is_silent() {
        let words = "NO ANSWER: is TX on RX, ground on ground, the speed right?";
        lines.push(Line::from(Span::styled(words, WRONG)));
    }
    lines
}

fn state(model: &Model) -> Line<'static> {
    let Some(state) = model.state else {
        return Line::from(Span::styled("no state heard yet", DIM));
    };
    let style = match state.state {
        DeviceState::Recording | DeviceState::Recognising => RIGHT.add_modifier(Modifier::BOLD),
        DeviceState::MicLost | DeviceState::WorkerDown => WRONG,
        _ => Style::new().add_modifier(Modifier::BOLD),
    };
    let yes_or_no = |name: &str, ok: bool| match ok {
        true => Span::raw(format!("  {name} ok")),
        false => Span::styled(format!("  {name} LOST"), WRONG),
    };
    let mut spans = vec![
        Span::styled(state.state.name().to_uppercase(), style),
        yes_or_no("microphone", state.microphone_ok),
        yes_or_no("worker", state.worker_ok),
        Span::raw(format!("  {}  {} waiting", state.provider, state.waiting)),
    ];
    if state.muted {
        spans.push(Span::styled("  muted", Style::new().fg(Color::Yellow)));
    }
    if model.talks {
        spans.push(Span::styled(
            "  TALKING",
            RIGHT.add_modifier(Modifier::BOLD),
        ));
    }
    Line::from(spans)
}

fn hello(model: &Model) -> Line<'static> {
    let Some(hello) = &model.hello else {
        return Line::from(Span::styled("nobody has said hello yet", DIM));
    };
    let [major, minor, patch] = hello.version;
    let model_name = if hello.model.is_empty() {
        "none"
    } else {
        hello.model.as_str()
    };
    // Names are the other side's.
    let words = plain(&format!(
        "pressel {major}.{minor}.{patch} on {}, model {model_name}, boot {}",
        hello.board, hello.boot
    ));
    Line::from(words)
}

/// What was said, the newest at the bottom.
fn talk(model: &Model, area: Rect) -> Paragraph<'static> {
    let columns = usize::from(area.width.saturating_sub(2));
    let rows = usize::from(area.height.saturating_sub(2));
    let mut lines: Vec<Line> = Vec::new();
    for entry in model.entries.iter().rev() {
        if rows <= lines.len() {
            break;
        }
        lines.extend(entry_lines(entry, columns).into_iter().rev());
    }
    lines.truncate(rows);
    lines.reverse();
    Paragraph::new(lines).block(Block::bordered().title(" what was said "))
}

fn entry_lines(entry: &Entry, columns: usize) -> Vec<Line<'static>> {
    let (number, words, style) = match &entry.what {
        What::Outcome {
            outcome,
            text,
            complete,
        } => {
            let number = format!("{} {}", outcome.utterance, outcome.trigger);
            let (words, style) = said(outcome, text, *complete);
            (number, words, style)
        }
        What::Note(words) => ("-".to_owned(), words.clone(), DIM),
        What::Warning(words) => ("!".to_owned(), words.clone(), WRONG),
    };
    let margin = format!("{} {number:>11} ", entry.time);
    let room = columns.saturating_sub(MARGIN).max(8);
    let mut lines = Vec::new();
    for (index, piece) in wrapped(&words, room).into_iter().enumerate() {
        let before = if index == 0 { margin.as_str() } else { "" };
        lines.push(Line::from(vec![
            Span::styled(format!("{before:<MARGIN$}"), DIM),
            Span::styled(piece, style),
        ]));
    }
    if let What::Outcome { outcome, .. } = &entry.what {
        let room = columns.saturating_sub(TIMES_MARGIN).max(8);
        for piece in wrapped(&timing(outcome), room) {
            let line = format!("{:TIMES_MARGIN$}{piece}", "");
            lines.push(Line::from(Span::styled(line, DIM)));
        }
    }
    lines
}

fn said(outcome: &Outcome, text: &str, complete: bool) -> (String, Style) {
    match outcome.result {
        OutcomeResult::Text { truncated, .. } => {
            let lost = if complete {
                ""
            } else {
                " [a part was lost on the line]"
            };
            let cut = if truncated { " [cut]" } else { "" };
            let style = Style::new().add_modifier(Modifier::BOLD);
            (format!("{text}{cut}{lost}"), style)
        }
        OutcomeResult::NoSpeech => ("[nospeech]".to_owned(), DIM),
        OutcomeResult::Unknown => ("[unknown]".to_owned(), DIM),
        OutcomeResult::Command { command } => {
            let style = Style::new().add_modifier(Modifier::BOLD);
            (
                format!("command {command} ({} %)", outcome.confidence),
                style,
            )
        }
        result => (format!("[{}]", result_name(&result)), WRONG),
    }
}

fn timing(outcome: &Outcome) -> String {
    let times = outcome.timing;
    let all = [
        times.capture_ms,
        times.queue_ms,
        times.encode_ms,
        times.decode_ms,
        times.link_ms,
    ];
    let sum = all.into_iter().fold(0_u32, u32::saturating_add);
    let audio = f64::from(outcome.audio_ms) / 1_000.0;
    let [capture, queue, encode, decode, link] = all;
    format!(
        "{audio:.1} s, {sum} ms: capture {capture} queue {queue} encode {encode} \
         decode {decode} link {link}"
    )
}

/// Breaks words into lines; a word longer than a line is cut.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let width = |text: &str| Span::raw(text.to_owned()).width();
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let mut room = columns.saturating_sub(lines.last().map_or(0, |line| width(line)));
        if room < width(word.trim_end()) && width(word.trim_end()) <= columns {
            lines.push(String::new());
            room = columns;
        }
        for letter in word.chars() {
            let wide = width(letter.encode_utf8(&mut [0; 4]));
            if room < wide {
                if letter == ' ' {
                    continue;
                }
                lines.push(String::new());
                room = columns;
            }
            room -= wide.min(room);
            if let Some(line) = lines.last_mut() {
                line.push(letter);
            }
        }
    }
    lines
}

fn panels(frame: &mut Frame, model: &Model, area: Rect) {
    let panel = |title: &str, lines: Vec<Line<'static>>| {
        Paragraph::new(lines).block(Block::bordered().title(title.to_owned()))
    };
    let age = model.counters.map_or_else(String::new, |(_, at)| {
        format!("{} ago ", seconds(model.now.saturating_sub(at)))
    });
    if area.width < THREE_FROM_COLUMNS {
        frame.render_widget(panel(" link ", link(model)), area);
        return;
    }
    let columns = [
        Constraint::Fill(4),
        Constraint::Fill(3),
        Constraint::Fill(4),
    ];
    let [left, middle, right] = Layout::horizontal(columns).areas(area);
    frame.render_widget(panel(" link ", link(model)), left);
    frame.render_widget(panel(&format!(" counters {age}"), counters(model)), middle);
    frame.render_widget(panel(" jobs ", jobs(model, right.width)), right);
}

fn link(model: &Model) -> Vec<Line<'static>> {
    let quality = &model.quality;
    let bad = quality.bad;
    let heard = match quality.heard_at {
        None => "never".to_owned(),
        Some(at) => format!("{} ago", seconds(model.now.saturating_sub(at))),
    };
    let answer = match quality.answer {
        _ if !model.acknowledges => "not asked for".to_owned(),
        Some(time) => format!("after {} ms", time.as_millis()),
        None if model.is_silent() => "none".to_owned(),
        None => "-".to_owned(),
    };
    let dropped = model.counters.map_or_else(
        || "-".to_owned(),
        |(counters, _)| counters.link_dropped.to_string(),
    );
    let causes = format!(
        "  crc {} cobs {} long {} new {}",
        bad.crc, bad.stuffing, bad.overlong, bad.unknown
    );
    vec![
        row("frames", format!("{} good {} bad", quality.good, bad.all())),
        Line::from(causes),
        row("dropped", format!("{dropped} by the appliance")),
        row(
            "gaps",
            format!("{}, acks {}", quality.gaps, quality.acknowledgements),
        ),
        row("rate", format!("{} bytes/s", quality.rate(model.now))),
        row("heard", heard),
        row("ping", answer),
    ]
}

fn counters(model: &Model) -> Vec<Line<'static>> {
    let Some((counters, _)) = model.counters else {
        return vec![Line::from(Span::styled("not told yet", DIM))];
    };
    let up = Duration::from_secs(u64::from(counters.uptime_s));
    vec![
        row("up", seconds(up)),
        row(
            "texts",
            format!("{} of {}", counters.texts, counters.utterances),
        ),
        row("silent", counters.no_speech.to_string()),
        row(
            "dropped",
            format!("{}, failed {}", counters.dropped, counters.failed),
        ),
        row("overrun", counters.overruns.to_string()),
        row("blocks", format!("{} lost", counters.dropped_blocks)),
        row("worker", format!("{} restarts", counters.worker_restarts)),
    ]
}

fn jobs(model: &Model, columns: u16) -> Vec<Line<'static>> {
    if model.jobs.is_empty() {
        return vec![Line::from(Span::styled("none told", DIM))];
    }
    let room = usize::from(PANEL_ROWS - 2);
    let skipped = model.jobs.len().saturating_sub(room);
    let has_bars = BAR_FROM_COLUMNS <= columns;
    let shown = model.jobs.iter().skip(skipped);
    shown.map(|known| job(known, has_bars)).collect()
}

fn job(job: &Job, has_bar: bool) -> Line<'static> {
    let style = match job.state {
        JobState::Failed | JobState::Quarantined => WRONG,
        JobState::Running => RIGHT,
        _ => Style::new(),
    };
    let mut spans = vec![
        Span::styled(format!("{:>3} ", job.number), DIM),
        Span::styled(format!("{:<7}", job.state.name()), style),
    ];
    if matches!(job.state, JobState::Running | JobState::Paused) {
        let full = usize::from(job.percent.min(100) / BAR);
        let bar = "#".repeat(full) + &".".repeat(usize::from(BAR) - full);
        if has_bar {
            spans.push(Span::raw(format!(" {bar}")));
        }
        spans.push(Span::raw(format!(" {:>3}%", job.percent)));
    }
    if job.state == JobState::Running && job.left_s != LEFT_UNKNOWN {
        let left = seconds(Duration::from_secs(u64::from(job.left_s)));
        spans.push(Span::raw(format!(" {left}")));
    }
    Line::from(spans)
}

fn row(name: &str, value: String) -> Line<'static> {
    let name = Span::styled(format!("{name:<8}"), DIM);
    Line::from(vec![name, Span::raw(value)])
}

fn keys(model: &Model) -> Line<'static> {
    let talk = if model.talks { "stop talking" } else { "talk" };
    let is_muted = model.state.is_some_and(|state| state.muted);
    let mute = if is_muted { "unmute" } else { "mute" };
    let words = format!(" q quit   space {talk}   m {mute}");
    Line::from(Span::styled(words, DIM))
}

/// A time for people: the two largest units.
fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    match (
        whole / 86_400,
        whole / 3_600 % 24,
        whole / 60 % 60,
        whole % 60,
    ) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
