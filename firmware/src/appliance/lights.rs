//! The patterns of a board: the usual ones, and what its file says otherwise.
//!
//! The section `[lights]` in, the pipeline's patterns out. Runs at start-up.

use pressel_boards::{Lights, Role, Shown};
use pressel_pipeline::lights::{Colour, Light, Pattern, Patterns, Rhythm, Sign};

/// Returns the light that an LED of this role is.
#[must_use]
pub fn light(role: Role) -> Light {
    match role {
        Role::Listening => Light::Listening,
        Role::Thinking => Light::Thinking,
        Role::Sent => Light::Sent,
        Role::Error => Light::Error,
    }
}

/// Returns how a board shows each sign.
#[must_use]
pub fn patterns(lights: &Lights) -> Patterns {
    let mut patterns = Patterns::usual();
    for (sign, (_, shown)) in Sign::ALL.into_iter().zip(lights.signs()) {
        if let Some(shown) = shown {
            patterns.set(sign, changed(patterns.of(sign), shown));
        }
    }
    patterns
}

fn changed(usual: Pattern, shown: &Shown) -> Pattern {
    let colour = shown.colour.map(|colour| Colour {
        red: colour.red,
        green: colour.green,
        blue: colour.blue,
    });
    // Boards have been checked: their rhythms can be.
    let rhythm = shown.ms.as_deref().and_then(Rhythm::new);
    Pattern {
        light: shown.led.map_or(usual.light, light),
        rhythm: rhythm.unwrap_or(usual.rhythm),
        colour: colour.unwrap_or(usual.colour),
    }
}

#[cfg(test)]
mod tests {
    use pressel_boards::Board;

    use super::*;

    #[test]
    fn board_files_and_the_pipeline_name_signs_and_lights_alike() {
        let signs = Lights::default().signs().map(|(name, _)| name);
        assert_eq!(signs, Sign::ALL.map(Sign::name));
        for role in [Role::Listening, Role::Thinking, Role::Sent, Role::Error] {
            assert_eq!(light(role).name(), role.name());
        }
    }

    #[test]
    fn a_board_that_says_nothing_has_the_usual_patterns() {
        let board = Board::builtin("rpi-4b").unwrap();
        assert_eq!(patterns(&board.lights), Patterns::usual());
    }

    #[test]
    fn a_board_changes_what_it_names_and_nothing_else() {
        let board = Board::builtin("rpi-respeaker-2mic").unwrap();
        let patterns = patterns(&board.lights);
        let sent = patterns.of(Sign::Sent);
        assert_eq!(sent.light, Light::Thinking);
        assert_eq!(sent.rhythm, Rhythm::new(&[600]).unwrap());
        let green = Colour {
            red: 0,
            green: 255,
            blue: 0,
        };
        assert_eq!(sent.colour, green);
        for sign in Sign::ALL.into_iter().filter(|sign| *sign != Sign::Sent) {
            assert_eq!(patterns.of(sign), Patterns::usual().of(sign));
        }
    }
}
