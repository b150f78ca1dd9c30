//! Tests of inputs and LEDs with pins that the test holds.
//!
//! A pin here is a level in memory; it can be told to fail.

use std::sync::{Arc, Mutex};

use pressel_pipeline::lights::{View, lights};

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
    assert_eq!(input.settle(), Ok(None));
    assert_eq!((input.poll_fd().fd, input.deadline()), (-1, None));
}

#[test]
fn level_at_the_start_is_no_edge() {
    let (mut input, wire) = input();
    wire.put(true);
    assert_eq!(input.settle(), Ok(Some(true)));
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
    assert_eq!((input.settle(), input.poll_fd().fd), (Ok(None), -1));
}

#[test]
fn lost_pin_is_given_away_once_and_waits_longer_from_try_to_try() {
    let mut pins = pins(Vec::new(), None);
    let (input, wire) = input();
    pins.mute = input;
    assert!(pins.take_gone().is_none());
    wire.fail();
    assert_eq!(pins.mute.look(true, 0), Err(BROKEN));
    let (gone, wait_ms) = pins.take_gone().unwrap();
    assert_eq!((gone.name(), wait_ms), (PinName::Mute, 250));
    assert!(pins.take_gone().is_none());
    for wait_ms in [500, 1_000, 2_000, 4_000, 5_000, 5_000] {
        assert_eq!(pins.next_retry_ms(PinName::Mute), Some(wait_ms));
    }
    assert_eq!(pins.next_retry_ms(PinName::Led(0)), None);
    let wire = Wire::default();
    wire.put(true);
    pins.resume(AnyPin::Mute(Box::new(wire.clone())));
    assert_eq!(pins.mute.settle(), Ok(Some(true)));
    // It has worked: the next loss begins with the shortest wait.
    wire.fail();
    assert_eq!(pins.mute.settle(), Err(BROKEN));
    assert_eq!(pins.take_gone().map(|(_, wait_ms)| wait_ms), Some(250));
}

#[test]
fn led_that_is_back_shows_what_there_is_to_show() {
    let wires: [Wire; 4] = Default::default();
    let led = |(light, wire): (Light, &Wire)| Led::new(light, Box::new(wire.clone()));
    let mut pins = pins(Light::ALL.into_iter().zip(&wires).map(led).collect(), None);
    let view = View {
        recording: true,
        ..View::default()
    };
    wires[0].fail();
    assert_eq!(pins.show(shown(&view)), Some((Light::Listening, BROKEN)));
    let gone = pins.take_gone().map(|(pin, _)| pin.name());
    assert_eq!(gone, Some(PinName::Led(0)));
    // One that fails makes all others doubtful.
    pins.doubt();
    wires[2].fail();
    assert_eq!(pins.show(shown(&view)), Some((Light::Sent, BROKEN)));
    let again = Wire::default();
    pins.resume(AnyPin::Led(0, Box::new(again.clone())));
    assert_eq!(pins.show(shown(&view)), None);
    assert!(again.is_lit());
}

/// What the usual patterns show of a view.
fn shown(view: &View) -> Lights {
    lights(view, &Patterns::usual(), 10_000)
}

fn pins(leds: Vec<Led, LEDS_MAX>, chain: Option<Chain>) -> Pins {
    let none = || Input::new(None, 20);
    Pins {
        button: none(),
        mute: none(),
        leds,
        chain,
        patterns: Patterns::usual(),
    }
}

#[test]
fn leds_are_set_when_they_change_and_a_failed_one_is_reported_once() {
    let wires: [Wire; 4] = Default::default();
    let led = |(light, wire): (Light, &Wire)| Led::new(light, Box::new(wire.clone()));
    let mut pins = pins(Light::ALL.into_iter().zip(&wires).map(led).collect(), None);
    let lit = || wires.each_ref().map(|wire| wire.is_lit());
    let calls = || wires.each_ref().map(Wire::calls);

    let mut view = View::default();
    wires[0].put(true);
    // All are set at first: nobody knows what they showed before.
    assert_eq!(pins.show(shown(&view)), None);
    assert_eq!((lit(), calls()), ([false; 4], [1; 4]));
    (view.recording, view.text_at) = (true, Some(9_900));
    pins.show(shown(&view));
    pins.show(shown(&view));
    assert_eq!((lit(), calls()), ([true, false, true, false], [2, 1, 2, 1]));
    (view.recognising, view.failed_at) = (true, Some(9_900));
    wires[1].fail();
    assert_eq!(pins.show(shown(&view)), Some((Light::Thinking, BROKEN)));
    assert_eq!(lit(), [true; 4]);
    assert_eq!(pins.show(Lights::default()), None);
    assert_eq!(
        (lit(), calls()),
        ([false, true, false, false], [3, 2, 3, 3])
    );
}

/// A chain in memory: what was written to it, and whether it fails.
#[derive(Clone, Default)]
struct Strip(Arc<Mutex<(std::vec::Vec<std::vec::Vec<Colour>>, bool)>>);

impl Pixels for Strip {
    fn show(&mut self, colours: &[Colour]) -> Result<(), PinError> {
        let mut strip = self.0.lock().unwrap();
        strip.0.push(colours.to_vec());
        if strip.1 { Err(BROKEN) } else { Ok(()) }
    }
}

impl Strip {
    fn fail(&self, fails: bool) {
        self.0.lock().unwrap().1 = fails;
    }

    fn take(&self) -> std::vec::Vec<std::vec::Vec<Colour>> {
        std::mem::take(&mut self.0.lock().unwrap().0)
    }
}

/// The ReSpeaker's three LEDs.
fn chain() -> (Pins, Strip) {
    let strip = Strip::default();
    let lights = [Light::Listening, Light::Thinking, Light::Error];
    let chain = Chain::new(Box::new(strip.clone()), lights.into_iter().collect());
    (pins(Vec::new(), Some(chain)), strip)
}

#[test]
fn a_chain_is_written_only_when_a_colour_changes_and_dark_at_first_and_last() {
    let (mut pins, strip) = chain();
    let dark = Colour::DARK;
    let mut show = |lights, now| pins.show_chain(lights, now);
    assert_eq!(show(Lights::default(), 0), None);
    let recording = View {
        recording: true,
        ..View::default()
    };
    for now in 0..2_000 {
        assert_eq!(show(shown(&recording), now), None);
    }
    assert_eq!(show(Lights::default(), 2_000), None);
    let green = Colour { green: 255, ..dark };
    let expected = [[dark; 3], [green, dark, dark], [dark; 3]];
    assert_eq!(strip.take(), expected.map(|row| row.to_vec()));
}

#[test]
fn a_bus_that_fails_is_told_once_tried_again_and_told_when_it_works() {
    let (mut pins, strip) = chain();
    strip.fail(true);
    let dark = Lights::default();
    assert_eq!(pins.show_chain(dark, 0), Some(ChainNews::Failed(BROKEN)));
    for now in 1..3_500 {
        assert_eq!(pins.show_chain(dark, now), None);
    }
    // At once, and then once a second; a colour that changes does not wait for that.
    assert_eq!(strip.take().len(), 4);
    let recording = View {
        recording: true,
        ..View::default()
    };
    assert_eq!(pins.show_chain(shown(&recording), 3_500), None);
    assert_eq!(strip.take().len(), 1);
    strip.fail(false);
    assert_eq!(pins.show_chain(shown(&recording), 4_499), None);
    let works = ChainNews::Works { failures: 5 };
    assert_eq!(pins.show_chain(shown(&recording), 4_500), Some(works));
    assert_eq!(pins.show_chain(shown(&recording), 9_000), None);
    assert_eq!(strip.take().len(), 1);
}
