//! Tests of inputs and LEDs with pins that the test holds.
//!
//! A pin here is a level in memory; it can be told to fail.

use super::super::tests::Wire;
use super::*;

fn input() -> (Input, Wire) {
    let wire = Wire::default();
    (Input::new(Some(Box::new(wire.clone())), 20), wire)
}

const BROKEN: PinError = PinError { errno: libc::EIO };

#[test]
fn press_and_release_are_clean_edges() {
    let (mut input, wire) = input();
    assert_eq!(input.deadline(), None);
    wire.put(true);
    assert_eq!(input.look(true, 100), Ok(Some(true)));
    assert_eq!(input.deadline(), Some(120));
    wire.put(false);
    assert_eq!(input.look(true, 110), Ok(None));
    // No edge comes any more: the deadline finds the release.
    assert_eq!(input.look(false, 119), Ok(None));
    assert_eq!(input.look(false, 120), Ok(Some(false)));
}

#[test]
fn input_is_read_only_at_an_edge_or_when_due() {
    let (mut input, wire) = input();
    wire.put(true);
    assert_eq!(input.look(false, 100), Ok(None));
    assert_eq!(wire.calls(), 0);
}

#[test]
fn missing_input_is_never_pressed_and_never_waited_for() {
    let mut input = Input::new(None, 20);
    assert_eq!(input.look(true, 0), Ok(None));
    assert_eq!(input.settle(), Ok(false));
    assert_eq!((input.poll_fd().fd, input.deadline()), (-1, None));
}

#[test]
fn level_at_the_start_is_no_edge() {
    let (mut input, wire) = input();
    wire.put(true);
    assert_eq!(input.settle(), Ok(true));
    assert_eq!(input.look(true, 5), Ok(None));
    wire.put(false);
    assert_eq!(input.look(true, 6), Ok(Some(false)));
}

#[test]
fn failed_input_is_reported_once_and_let_go() {
    let (mut input, wire) = input();
    assert!(0 <= input.poll_fd().fd);
    wire.put(true);
    assert_eq!(input.look(true, 0), Ok(Some(true)));
    wire.fail();
    assert_eq!(input.look(true, 50), Err(BROKEN));
    assert_eq!(input.look(true, 60), Ok(None));
    assert_eq!((input.poll_fd().fd, input.deadline()), (-1, None));

    let (mut input, wire) = self::input();
    wire.fail();
    assert_eq!(input.settle(), Err(BROKEN));
    assert_eq!((input.settle(), input.poll_fd().fd), (Ok(false), -1));
}

#[test]
fn leds_are_set_when_they_change_and_a_failed_one_is_reported_once() {
    let wires: [Wire; 4] = Default::default();
    let roles = [
        LedRole::Listening,
        LedRole::Thinking,
        LedRole::Sent,
        LedRole::Error,
    ];
    let led = |(role, wire): (&LedRole, &Wire)| Led::new(*role, Box::new(wire.clone()));
    let none = || Input::new(None, 20);
    let mut pins = Pins {
        button: none(),
        mute: none(),
        leds: roles.iter().zip(&wires).map(led).collect(),
    };
    let lit = || wires.each_ref().map(|wire| wire.is_lit());
    let calls = || wires.each_ref().map(Wire::calls);

    let mut lights = Lights::default();
    wires[0].put(true);
    // All are set at first: nobody knows what they showed before.
    assert_eq!(pins.show(lights), None);
    assert_eq!((lit(), calls()), ([false; 4], [1; 4]));
    (lights.listening, lights.sent) = (true, true);
    pins.show(lights);
    pins.show(lights);
    assert_eq!((lit(), calls()), ([true, false, true, false], [2, 1, 2, 1]));
    (lights.thinking, lights.error) = (true, true);
    wires[1].fail();
    assert_eq!(pins.show(lights), Some((LedRole::Thinking, BROKEN)));
    assert_eq!(lit(), [true; 4]);
    assert_eq!(pins.show(Lights::default()), None);
    assert_eq!(
        (lit(), calls()),
        ([false, true, false, false], [3, 2, 3, 3])
    );
}

#[test]
fn roles_are_named_as_in_board_files() {
    let names = [
        LedRole::Listening,
        LedRole::Thinking,
        LedRole::Sent,
        LedRole::Error,
    ]
    .map(LedRole::name);
    assert_eq!(names, ["listening", "thinking", "sent", "error"]);
}
