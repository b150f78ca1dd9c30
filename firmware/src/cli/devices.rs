//! `pressel devices`: what this machine has to listen, press, light and write with.
//!
//! The kernel's and libasound's lists in, text or JSON out. Nothing is opened for use.

use std::io::{self, Write as _};

use pressel_boards::Board;
use pressel_hal::linux::{list_captures, list_chips, list_ports, list_spi_devices};
use serde_json::json;

use super::args::DevicesArguments;
use crate::failure::Failure;

/// Lists microphones, GPIO chips, serial ports and SPI devices.
///
/// # Errors
/// [`Failure`] of kind `Disk` when standard output cannot be written.
pub fn devices(arguments: &DevicesArguments) -> Result<(), Failure> {
    let text = if arguments.json { as_json() } else { as_text() };
    writeln!(io::stdout().lock(), "{text}").map_err(|error| super::output_failed(&error))
}

fn board_name() -> Option<String> {
    Board::detect().ok().flatten().map(|board| board.name)
}

fn as_json() -> String {
    let microphones: Vec<_> = list_captures()
        .into_iter()
        .map(|capture| json!({"name": capture.name, "description": capture.description}))
        .collect();
    let chips: Vec<_> = list_chips()
        .into_iter()
        .map(|chip| json!({"path": chip.path, "label": chip.label, "lines": chip.lines}))
        .collect();
    json!({
        "board": board_name(), "microphones": microphones, "gpio_chips": chips,
        "serial_ports": list_ports(), "spi_devices": list_spi_devices(),
    })
    .to_string()
}

fn as_text() -> String {
    let mut lines = vec![format!(
        "board         {}",
        board_name().unwrap_or_else(|| "none that Pressel knows (use --board-file)".to_owned())
    )];
    let mut section = |title: &str, rows: Vec<String>, none: &str| {
        lines.push(title.to_owned());
        if rows.is_empty() {
            lines.push(format!("  none: {none}"));
        }
        lines.extend(rows.into_iter().map(|row| format!("  {row}")));
    };
    let microphones = list_captures()
        .into_iter()
        .map(|capture| {
            let description = capture.description.replace('\n', ", ");
            format!("{:<28} {description}", capture.name)
        })
        .collect();
    section(
        "microphones (microphone.device)",
        microphones,
        "plug one in, or load its driver",
    );
    let chips = list_chips()
        .into_iter()
        .map(|chip| {
            format!(
                "{:<28} {} ({} lines)",
                chip.path.display(),
                chip.label,
                chip.lines
            )
        })
        .collect();
    section(
        "GPIO chips (chip in a board file)",
        chips,
        "not a board, or not in the group gpio",
    );
    let ports = list_ports();
    section(
        "serial ports (link.path)",
        ports,
        "plug a USB serial adapter in, or enable the UART",
    );
    section(
        "SPI devices (pixels.spi)",
        list_spi_devices(),
        "only for LEDs on a data line: `dtparam=spi=on` on a Raspberry Pi",
    );
    lines.join("\n")
}
