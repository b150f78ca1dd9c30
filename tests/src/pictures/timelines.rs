//! The lights over four seconds: one row for each sign, found by asking the pure function.
//!
//! Patterns in, a picture out. Every bar is what `lights` answered for each of 4,000 milliseconds.

use pressel::appliance::lights::{light, patterns};
use pressel_boards::{Board, Role};
use pressel_pipeline::lights::{Colour, Light, Patterns, Sign, View, lights};

use super::svg::{Anchor, FAINT, INK, Svg};

/// The time that a row shows.
const MS: u64 = 4_000;
/// Pixels of a row's time: 8 ms each.
const TIME_WIDTH: i32 = 500;
const LEFT: i32 = 400;
const TOP: i32 = 92;
const ROW: i32 = 34;

/// A time in which a light is lit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) light: Light,
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
    pub(super) colour: Colour,
}

/// The appliance as it is when there is this to show, and nothing else.
fn view_of(sign: Sign) -> View {
    let mut view = View::default();
    match sign {
        Sign::Failed => view.failed_at = Some(0),
        Sign::Dropped => view.dropped_at = Some(0),
        Sign::Sent => view.text_at = Some(0),
        Sign::NoMicrophone => view.microphone_lost = true,
        Sign::Listening => view.recording = true,
        Sign::NoWorker => view.worker_down = true,
        Sign::Thinking => view.recognising = true,
        Sign::Muted => view.muted = true,
        Sign::SafeMode => view.safe_mode = true,
        Sign::NoLink => view.link_lost = true,
        Sign::NoJournal => view.journal_down = true,
        Sign::OnProcessor => view.on_processor = true,
        Sign::ByLevel => view.by_level = true,
        Sign::NoWake => view.wake_down = true,
        Sign::Idle => {}
    }
    view
}

fn words(sign: Sign) -> &'static str {
    match sign {
        Sign::Failed => "an utterance failed",
        Sign::Dropped => "an utterance was dropped",
        Sign::NoMicrophone => "microphone lost",
        Sign::Listening => "recording",
        Sign::NoWorker => "worker down",
        Sign::Thinking => "recognising",
        Sign::Sent => "a text went out",
        Sign::Muted => "muted",
        Sign::SafeMode => "1: safe mode",
        Sign::NoLink => "2: serial line lost",
        Sign::NoJournal => "3: journal not written",
        Sign::OnProcessor => "4: processor in place of CUDA",
        Sign::ByLevel => "5: speech told by level",
        Sign::NoWake => "6: no wake word is heard",
        Sign::Idle => "idle",
    }
}

/// Returns when which light is lit.
pub(super) fn lit(sign: Sign, patterns: &Patterns) -> Vec<Span> {
    let view = view_of(sign);
    let mut spans: Vec<Span> = Vec::new();
    for light in Light::ALL {
        let mut open: Option<Span> = None;
        for now in 0..MS {
            let shown = lights(&view, patterns, now).of(light);
            let goes_on = open.is_some_and(|span| Some(span.colour) == shown);
            if !goes_on {
                spans.extend(open.take());
                open = shown.map(|colour| Span {
                    light,
                    from_ms: now,
                    to_ms: now,
                    colour,
                });
            }
            if let Some(span) = &mut open {
                span.to_ms = now + 1;
            }
        }
        spans.extend(open);
    }
    spans
}

/// Draws the patterns of a board.
pub(super) fn draw_board(board: &Board) -> String {
    let pixels = board.pixels.iter().flat_map(|pixels| &pixels.roles);
    let roles: Vec<Role> = board
        .leds
        .iter()
        .map(|led| led.role)
        .chain(pixels.copied())
        .collect();
    let has = |shown: Light| roles.iter().any(|role| light(*role) == shown);
    let about = format!("{}, from boards/{}.toml.", board.title, board.name);
    draw("Lights", &about, &patterns(&board.lights), &has)
}

/// Draws the patterns; lights for which `has` says no are not there.
pub(super) fn draw(
    title: &str,
    about: &str,
    patterns: &Patterns,
    has: &dyn Fn(Light) -> bool,
) -> String {
    let rows = i32::try_from(Sign::ALL.len()).unwrap();
    let height = TOP + rows * ROW + 40;
    let mut svg = Svg::new(LEFT + TIME_WIDTH + 40, height, &format!("{title}: {about}"));
    svg.bold((24, 36), 20, Anchor::Start, title);
    let about = format!("{about} Four seconds of each, the most urgent on top.");
    svg.styled((24, 58), 13, Anchor::Start, FAINT, false, &about);
    axis(&mut svg, TOP + rows * ROW);
    for (index, sign) in (0..rows).zip(Sign::ALL) {
        let y = TOP + index * ROW;
        if index % 2 == 0 {
            svg.rect((16, y), (LEFT - 24, ROW), "#f3f5f7", "none");
        }
        let spans: Vec<Span> = lit(sign, patterns)
            .into_iter()
            .filter(|span| has(span.light))
            .collect();
        let led = spans.first().map_or("dark", |span| span.light.name());
        svg.text((24, y + 22), 14, Anchor::Start, words(sign));
        svg.styled((LEFT - 20, y + 22), 13, Anchor::End, FAINT, false, led);
        lane(&mut svg, y, &spans);
    }
    svg.finish()
}

fn axis(svg: &mut Svg, bottom: i32) {
    for second in 0..=4 {
        let x = LEFT + second * TIME_WIDTH / 4;
        svg.path(&format!("M{x} {} V{bottom}", TOP - 4), "#d5dae0", 1);
        svg.styled(
            (x, bottom + 20),
            12,
            Anchor::Middle,
            FAINT,
            false,
            &format!("{second} s"),
        );
    }
}

/// One row: a dark bar, and the lit times on it.
fn lane(svg: &mut Svg, y: i32, spans: &[Span]) {
    let x = |ms: u64| LEFT + i32::try_from(ms).unwrap() * TIME_WIDTH / i32::try_from(MS).unwrap();
    svg.rect((LEFT, y + 8), (TIME_WIDTH, 18), "#e4e8ec", "none");
    for span in spans {
        let Colour { red, green, blue } = span.colour;
        let fill = format!("#{red:02x}{green:02x}{blue:02x}");
        let (from, to) = (x(span.from_ms), x(span.to_ms));
        svg.rect((from, y + 8), (to - from, 18), &fill, INK);
    }
}
