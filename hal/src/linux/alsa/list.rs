//! The list of microphones for `pressel devices`.
//!
//! Runs in a command, never in the appliance. Reads libasound's hints; opens no device.

use alsa::Direction;
use alsa::device_name::HintIter;

/// A capture device that libasound knows by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The name to write into a board file or after `--mic`.
    pub name: String,
    /// What it is, in one line.
    pub description: String,
}

/// Returns the capture devices, those that convert rate and channels (`default`, `plughw:`) first.
///
/// Empty when there is no libasound configuration or no card.
pub fn list_captures() -> Vec<Capture> {
    // libasound writes its own lines to stderr when a card is odd; the list says enough.
    let _quiet = alsa::Output::local_error_handler();
    let Ok(hints) = HintIter::new(None, c"pcm") else {
        return Vec::new();
    };
    let mut captures: Vec<Capture> = hints
        .filter(|hint| hint.direction != Some(Direction::Playback))
        .filter_map(|hint| {
            let description = hint.desc.unwrap_or_default().replace('\n', ", ");
            hint.name.map(|name| Capture { name, description })
        })
        .filter(|capture| records(&capture.name))
        .collect();
    captures.sort_by_key(|capture| rank(&capture.name));
    captures
}

/// Leaves out names that never carry a microphone's sound.
fn records(name: &str) -> bool {
    let kind = name.split(':').next().unwrap_or(name);
    let others = [
        "null",
        "lavrate",
        "samplerate",
        "speexrate",
        "speex",
        "upmix",
        "vdownmix",
        "jack",
        "oss",
        "surround21",
        "surround40",
        "surround41",
        "surround50",
        "surround51",
        "surround71",
        "front",
        "rear",
        "center_lfe",
        "side",
        "iec958",
        "spdif",
        "hdmi",
        "dmix",
        "modem",
        "phoneline",
    ];
    !others.contains(&kind)
}

fn rank(name: &str) -> u8 {
    match name.split(':').next().unwrap_or(name) {
        "default" => 0,
        "plughw" => 1,
        "sysdefault" => 2,
        "dsnoop" => 4,
        "hw" => 5,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_convert_come_first_and_outputs_are_left_out() {
        let mut names = [
            "hw:CARD=a",
            "pulse",
            "plughw:CARD=a",
            "hdmi:CARD=a",
            "default",
            "null",
        ]
        .into_iter()
        .filter(|name| records(name))
        .collect::<Vec<_>>();
        names.sort_by_key(|name| rank(name));
        assert_eq!(names, ["default", "plughw:CARD=a", "pulse", "hw:CARD=a"]);
    }

    #[test]
    fn a_machine_without_a_card_gives_lists_and_no_panic() {
        let _ = list_captures().len();
    }
}
