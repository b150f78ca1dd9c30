//! What a Pressel without the feature `rpi` says to a board file that wants it.
//!
//! A pin in, an error out.

use super::REMEDY;
use crate::{EdgePin, LedPin, OpenError, PinConfig};

/// Takes no line.
///
/// # Errors
/// Always: [`OpenError`] that says how to get rppal, or how to do without.
pub fn open_button(config: &PinConfig) -> Result<Box<dyn EdgePin>, OpenError> {
    Err(absent("button", config))
}

/// Takes no line.
///
/// # Errors
/// Always: [`OpenError`] that says how to get rppal, or how to do without.
pub fn open_led(config: &PinConfig) -> Result<Box<dyn LedPin>, OpenError> {
    Err(absent("led", config))
}

fn absent(device: &'static str, config: &PinConfig) -> OpenError {
    let cause = "this Pressel was built without rppal";
    let remedy = format!("{REMEDY}, or build with `--features rpi`");
    OpenError::new(device, &config.name(), cause, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pull;

    #[test]
    fn a_board_that_wants_rppal_is_told_how_to_get_it_or_do_without() {
        let config = PinConfig {
            role: "listening".to_owned(),
            chip: "pinctrl-bcm2711".to_owned(),
            line: 22,
            active_low: false,
            pull: Pull::None,
        };
        for error in [open_button(&config).err(), open_led(&config).err()] {
            let error = error.unwrap().to_string();
            assert!(error.contains("listening (pinctrl-bcm2711 line 22)"));
            assert!(error.contains("--features rpi") && error.contains("backend = \"linux\""));
        }
    }
}
