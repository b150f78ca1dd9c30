//! Tests of the keys: what each is for.
//!
//! Keys and a model in, meanings out. The terminal itself was tried by hand.

use pressel_wire::DeviceState;

use super::*;
use crate::cli::monitor::courier::Show as _;
use crate::cli::monitor::model::tests::state;

fn press(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
    KeyEvent::new(code, modifiers)
}

fn check(model: &Model, code: char, modifiers: KeyModifiers, expected: Option<Meaning>) {
    let key = press(KeyCode::Char(code), modifiers);
    let meaning = Keys::default().meaning(key, model, Duration::ZERO);
    assert_eq!(meaning, expected, "{code}");
}

#[test]
fn each_key_has_its_meaning() {
    let mut model = Model::new("ttyUSB0", 9_600, true);
    let none = KeyModifiers::NONE;
    let sends = |message| Some(Meaning::Send(message));
    check(&model, 'q', none, Some(Meaning::Quit));
    check(&model, 'c', KeyModifiers::CONTROL, Some(Meaning::Quit));
    check(&model, 'c', none, None);
    check(&model, 'm', none, sends(HostMessage::Mute(true)));
    check(&model, ' ', none, sends(HostMessage::PttDown));
    model.message(&state(DeviceState::Muted, true)).unwrap();
    model.sent(&HostMessage::PttDown);
    check(&model, 'm', none, sends(HostMessage::Mute(false)));
    check(&model, ' ', none, sends(HostMessage::PttUp));
    let escape = press(KeyCode::Esc, none);
    let meaning = Keys::default().meaning(escape, &model, Duration::ZERO);
    assert_eq!(meaning, Some(Meaning::Quit));
}

#[test]
fn space_that_is_held_is_one_tap_and_not_many() {
    let model = Model::new("ttyUSB0", 9_600, true);
    let mut keys = Keys::default();
    let space = press(KeyCode::Char(' '), KeyModifiers::NONE);
    let mut taps = 0;
    for time_ms in (1_000..3_000).step_by(30) {
        let now = Duration::from_millis(time_ms);
        taps += u32::from(keys.meaning(space, &model, now).is_some());
    }
    assert_eq!(taps, 1);
    let later = Duration::from_secs(4);
    assert!(keys.meaning(space, &model, later).is_some());
}
