//! An emulated Raspberry Pi: the arm64 program on the real driver of its GPIO chip.
//!
//! In: the arm64 program, Debian's arm64 kernel and the device tree of the Zero 2 W. Out: what the
//! appliance reads from its pins and shows on them, seen from outside: pins are set and read in the
//! registers of QEMU's chip, behind the kernel's back. QEMU's chip raises no interrupt at an edge,
//! so through the driver only levels at the start can be tried. A build with rppal looks at the
//! levels itself, 200 times a second: there the button is pressed.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::debs::{Prepared, RASPI_TREE};
use super::guest::Guest;
use super::image::{self, Contents, Placed, Sentence};
use super::qemu::{LOOK, Qemu};
use super::uart::{LIMIT, Uart};
use super::{Folders, Report, board, debs, failed};
use crate::cross::{self, Rust};
use crate::fetch::{self, Arch};
use crate::{Fallible, packages, process, program};

/// Longest boot, and longest start of the appliance: another processor, emulated.
const BOOT: Duration = Duration::from_secs(240);
/// Libraries of the program and of ONNX Runtime, as their headers name them.
const LIBRARIES: [&str; 9] = [
    "libasound.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
    "ld-linux-aarch64.so.1",
];
/// The first bank of the GPIO chip: levels can be set, cleared and read.
/// Source: BCM2835 ARM Peripherals, section 6.1; the BCM2837 has them at 0x3f000000.
const SET: u32 = 0x3f20_001c;
const CLEAR: u32 = 0x3f20_0028;
const LEVEL: u32 = 0x3f20_0034;
/// The build with rppal, in the emulated board, and its board file.
const RPPAL_PROGRAM: &str = "usr/bin/pressel-rppal";
const RPPAL_BOARD: &str = "boards/rpi-zero-2w-rppal.toml";
/// Lines of boards/rpi-zero-2w.toml.
const BUTTON: u32 = 17;
const MUTE: u32 = 27;
const LEDS: [(u32, &str); 3] = [(22, "listening"), (23, "thinking"), (24, "sent")];

/// Runs the steps of this machine.
///
/// # Errors
/// The first that does not hold.
pub(super) fn run(folders: &Folders, report: &mut Report) -> Fallible<()> {
    report.step("packages", || {
        packages::require(packages::FOR_RASPI)?;
        Ok("QEMU is here".to_owned())
    })?;
    let here = report.value("program", || {
        program::build_here().map(|program| (program, "for this end of the line".to_owned()))
    })?;
    // The second build takes the place of the first one, which is a copy by then.
    let foreign = report.value("arm64", || {
        let program = program::build(Arch::Aarch64, Rust::Auto)?;
        let program = stripped(&program, &folders.work.join("pressel-arm64"))?;
        Ok((program, "pressel for arm64".to_owned()))
    })?;
    let rppal = report.value("arm64-rppal", || {
        let program = program::build_with(Arch::Aarch64, Rust::Auto, "rpi")?;
        let program = stripped(&program, &folders.work.join("pressel-arm64-rppal"))?;
        Ok((program, "the same with the feature `rpi`".to_owned()))
    })?;
    let prepared = report.value("kernel", || {
        let prepared = debs::prepare(Arch::Aarch64, &folders.work)?;
        Ok((prepared, "Debian's arm64 kernel and device tree".to_owned()))
    })?;
    let image = report.value("image", || {
        let image = image_of(&foreign, &rppal, &prepared, folders)?;
        Ok((image, "the arm64 program and its libraries".to_owned()))
    })?;
    let mut pi = report.value("boot", || Pi::boot(&here, &prepared, &image, folders))?;
    report.step("mute", || pi.mute())?;
    report.step("speech", || pi.speech())?;
    report.step("rppal", || pi.rppal())?;
    report.step("off", || pi.off())
}

/// Writes a program without what debuggers want.
fn stripped(program: &Path, to: &Path) -> Fallible<PathBuf> {
    let mut strip = cross::tool(Arch::Aarch64, "strip")?;
    process::output(strip.arg("-o").arg(to).arg(program))?;
    Ok(to.to_owned())
}

/// Makes the image.
fn image_of(
    foreign: &Path,
    rppal: &Path,
    prepared: &Prepared,
    folders: &Folders,
) -> Fallible<PathBuf> {
    let fetched = folders.work.join("fetched-arm64");
    fetch::run(Arch::Aarch64, &fetched)?;
    let image = folders.work.join("initrd-arm64");
    let contents = Contents {
        program: foreign,
        fetched: &fetched,
        libraries: libraries(&cross::sysroot())?,
        others: vec![
            (RPPAL_PROGRAM.to_owned(), rppal.to_owned()),
            (RPPAL_BOARD.to_owned(), rppal_board(&folders.work)?),
        ],
    };
    image::write(&contents, prepared, &image)?;
    Ok(image)
}

/// Writes the board's file as one that wants rppal writes it.
fn rppal_board(work: &Path) -> Fallible<PathBuf> {
    let path = crate::root().join("boards/rpi-zero-2w.toml");
    let board = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
    let changed = board.replace("backend = \"linux\"", "backend = \"rpi\"");
    if changed == board {
        return Err(format!("{} names no backend", path.display()));
    }
    let to = work.join("rpi-zero-2w-rppal.toml");
    fs::write(&to, changed).map_err(|error| failed("write", &to, &error))?;
    Ok(to)
}

/// The libraries in a folder with arm64's packages.
fn libraries(sysroot: &Path) -> Fallible<Vec<Placed>> {
    let mut placed = Vec::new();
    for name in LIBRARIES {
        let folders = ["lib", "usr/lib"].map(|lib| sysroot.join(lib).join("aarch64-linux-gnu"));
        let file = folders
            .map(|folder| folder.join(name))
            .into_iter()
            .find(|file| file.is_file());
        let file = file.ok_or_else(|| format!("no {name} in {}", sysroot.display()))?;
        // The loader has its name in every program.
        let folder = if name.starts_with("ld-") {
            "lib"
        } else {
            "lib/aarch64-linux-gnu"
        };
        placed.push((format!("{folder}/{name}"), file));
    }
    Ok(placed)
}

/// The emulated board.
struct Pi<'a> {
    program: &'a Path,
    folders: &'a Folders,
    qemu: Qemu,
    guest: Guest,
    fingers: Fingers,
    sentences: Vec<Sentence>,
}

impl<'a> Pi<'a> {
    fn boot(
        program: &'a Path,
        prepared: &Prepared,
        image: &Path,
        folders: &'a Folders,
    ) -> Fallible<(Self, String)> {
        let qemu = Qemu::start(
            "qemu-system-aarch64",
            &arguments(prepared, image, folders),
            &folders.log,
        )?;
        let guest = Guest::wait(qemu.socket("agent")?, &folders.log.join("agent.log"), BOOT)?;
        let fingers = Fingers::new(qemu.socket("qtest")?)?;
        let mut pi = Self {
            program,
            folders,
            qemu,
            guest,
            fingers,
            sentences: image::sentences()?,
        };
        pi.guest
            .run("mkdir -p /mnt/state /mnt/spool /run/pressel")?;
        let chip = pi
            .guest
            .run("grep -m 1 pinctrl-bcm2835 /sys/kernel/debug/gpio")?
            .join(" ");
        let board = pi
            .guest
            .run("tr -d '\\0' </proc/device-tree/model; echo; uname -r")?
            .join(", ");
        Ok((pi, format!("{board}: {chip}")))
    }

    /// A mute switch that is on at the start, read by the real driver.
    fn mute(&mut self) -> Fallible<String> {
        self.fingers.let_go(BUTTON)?;
        self.fingers.push(MUTE)?;
        let mut uart = self.start("", "")?;
        uart.wait("the mute", BOOT, |event| event["muted"] == true)?;
        let state = self.guest.run("capture_state")?.join(" ");
        if state != "closed" {
            return Err(format!("the switch is on, and the PCM is {state}"));
        }
        let held = self.guest.run("held_lines")?.join(" ");
        let found = self.guest.run("grep -o 'board .*' /tmp/log")?.join(" ");
        self.stop()?;
        Ok(format!(
            "{found}, found by itself, holds {held} lines; muted, the PCM closed"
        ))
    }

    /// Speech, and the LEDs in the chip's own register.
    fn speech(&mut self) -> Fallible<String> {
        self.fingers.let_go(MUTE)?;
        let mut uart = self.start("", "--trigger voice")?;
        uart.wait("a worker that is ready", BOOT, board::is_ready)?;
        let sentence = self.sentences[0].clone();
        self.guest
            .run(&format!("play {} >/dev/null 2>&1 &", sentence.file))?;
        self.hears(&mut uart, &sentence, 0)?;
        self.stop()?;
        Ok(format!(
            "\"{}\"; LEDs 22, 23 and 24 were lit in the chip, then dark",
            sentence.text
        ))
    }

    /// The build with rppal: a press, speech and the LEDs, all in the chip's registers.
    fn rppal(&mut self) -> Fallible<String> {
        self.fingers.let_go(BUTTON)?;
        self.fingers.let_go(MUTE)?;
        let options = format!("--board-file /{RPPAL_BOARD}");
        let mut uart = self.start(&format!("/{RPPAL_PROGRAM}"), &options)?;
        uart.wait("a worker that is ready", BOOT, board::is_ready)?;
        let held = self.guest.run("held_lines")?.join(" ");
        if held != "0" {
            return Err(format!("the kernel's driver lends {held} lines to it"));
        }
        self.fingers.push(BUTTON)?;
        let (start, listening) = (Instant::now(), 1 << LEDS[0].0);
        while self.fingers.levels()? & listening == 0 {
            if LIMIT < start.elapsed() {
                return Err("the button is down, and the LED `listening` is dark".to_owned());
            }
            thread::sleep(LOOK / 5);
        }
        let sentence = self.sentences[0].clone();
        self.guest.run(&format!("play {}", sentence.file))?;
        self.fingers.let_go(BUTTON)?;
        self.hears(&mut uart, &sentence, listening)?;
        self.stop()?;
        Ok(format!(
            "pressed, \"{}\", let go; no line of the driver is held, LEDs 22, 23 and 24 were lit",
            sentence.text
        ))
    }

    /// Waits for the text of a sentence, and until every LED was lit and is dark again; those in
    /// `lit` were seen.
    fn hears(&mut self, uart: &mut Uart, sentence: &Sentence, mut lit: u32) -> Fallible<()> {
        let start = Instant::now();
        let outcome = loop {
            lit |= self.fingers.levels()?;
            match uart.next() {
                Some(event) if super::uart::is_outcome(&event) => break event,
                Some(_) => {}
                None if LIMIT < start.elapsed() => return Err("no outcome came".to_owned()),
                None => thread::sleep(LOOK / 5),
            }
        };
        if outcome["text"] != sentence.text.as_str() {
            return Err(format!(
                "\"{}\" was said, the line has {outcome}",
                sentence.text
            ));
        }
        let mut dark = false;
        while !dark && start.elapsed() < LIMIT {
            let levels = self.fingers.levels()?;
            lit |= levels;
            dark = LEDS.iter().all(|(line, _)| levels >> line & 1 == 0);
            thread::sleep(LOOK / 5);
        }
        if let Some((_, role)) = LEDS.iter().find(|(line, _)| lit >> line & 1 == 0) {
            return Err(format!("the LED `{role}` was never lit: {lit:#010x}"));
        }
        if !dark {
            return Err("the LEDs stay lit".to_owned());
        }
        Ok(())
    }

    /// The appliance on the board that the device tree names, on the mini UART.
    fn start(&mut self, program: &str, options: &str) -> Fallible<Uart> {
        let terminal = self.qemu.terminal("port")?;
        let log = self.folders.log.join("port.jsonl");
        let mut uart = Uart::listen(self.program, &terminal, &log)?;
        self.guest.run(&format!(
            "PROGRAM={program}; start --mic plughw:Loopback,1,0 --uart /dev/ttyS1 {options}"
        ))?;
        uart.wait("hello", BOOT, |event| event["event"] == "hello")?;
        Ok(uart)
    }

    fn stop(&mut self) -> Fallible<()> {
        let code = self.guest.run("stop")?.join(" ");
        self.guest
            .keep("/tmp/log", &self.folders.log.join("pressel.log"))
            .ok();
        if code == "0" {
            return Ok(());
        }
        Err(format!(
            "SIGTERM: the appliance ended with code `{code}`, not 0"
        ))
    }

    /// The board's end of power does not end QEMU: it is cut off.
    fn off(self) -> Fallible<String> {
        self.qemu.cut();
        Ok("cut off".to_owned())
    }
}

/// What sets and reads pins from outside: QEMU's door for tests.
struct Fingers {
    reader: BufReader<UnixStream>,
}

impl Fingers {
    fn new(stream: UnixStream) -> Fallible<Self> {
        let timeout = stream.set_read_timeout(Some(LIMIT));
        timeout.map_err(|error| format!("test door of QEMU: {error}"))?;
        Ok(Self {
            reader: BufReader::new(stream),
        })
    }

    /// Both switches connect their pin to ground.
    fn push(&mut self, line: u32) -> Fallible<()> {
        self.ask(&format!("writel {CLEAR:#x} {:#x}", 1_u32 << line))
            .map(drop)
    }

    fn let_go(&mut self, line: u32) -> Fallible<()> {
        self.ask(&format!("writel {SET:#x} {:#x}", 1_u32 << line))
            .map(drop)
    }

    /// Levels of lines 0 to 31.
    fn levels(&mut self) -> Fallible<u32> {
        let answer = self.ask(&format!("readl {LEVEL:#x}"))?;
        let number = answer.trim().trim_start_matches("0x");
        let levels = u64::from_str_radix(number, 16)
            .ok()
            .and_then(|n| u32::try_from(n).ok());
        levels.ok_or_else(|| format!("QEMU says the levels are `{answer}`"))
    }

    fn ask(&mut self, command: &str) -> Fallible<String> {
        let broken = |error: std::io::Error| format!("test door of QEMU: {error}");
        writeln!(self.reader.get_mut(), "{command}").map_err(broken)?;
        let mut line = String::new();
        self.reader.read_line(&mut line).map_err(broken)?;
        let answer = line.trim().strip_prefix("OK").map(str::to_owned);
        answer.ok_or_else(|| format!("QEMU answers `{command}` with `{}`", line.trim()))
    }
}

fn arguments(prepared: &Prepared, image: &Path, folders: &Folders) -> Vec<OsString> {
    let at = |name: &str| folders.log.join(name).display().to_string();
    let console = format!("file,id=console,append=on,path={}", at("console.log"));
    let agent = format!("socket,id=agent,server=on,wait=off,path={}", at("agent"));
    let door = format!("unix:{},server=on,wait=off", at("qtest"));
    let words = [
        ["-M", "raspi3b"],
        ["-accel", "tcg,thread=multi"],
        [
            "-append",
            "console=ttyAMA0,115200 quiet iomem=relaxed agent_port=/dev/ttyUSB0",
        ],
        ["-chardev", &console],
        ["-serial", "chardev:console"],
        // The mini UART, ttyS1.
        ["-chardev", "pty,id=port"],
        ["-serial", "chardev:port"],
        ["-chardev", &agent],
        ["-device", "usb-serial,chardev=agent,always-plugged=on"],
        ["-qtest", &door],
        ["-qtest-log", "none"],
    ];
    let paths = [
        ("-kernel", prepared.kernel()),
        ("-dtb", prepared.file(RASPI_TREE)),
        ("-initrd", image.to_owned()),
    ];
    let paths = paths
        .into_iter()
        .flat_map(|(name, path)| [name.into(), path.into()]);
    paths
        .chain(words.into_iter().flatten().map(OsString::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: Result<u32, &str>) {
        let (here, mut there) = UnixStream::pair().unwrap();
        writeln!(there, "{answer}").unwrap();
        match (Fingers::new(here).unwrap().levels(), expected) {
            (Ok(levels), Ok(expected)) => assert_eq!(levels, expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (done, expected) => panic!("{done:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn levels_are_read_out_of_the_answer() {
        check("OK 0x0000000000420000", Ok(0x0042_0000));
        check("FAIL Unknown command 'readl'", Err("FAIL Unknown"));
        check("OK 0xffffffffffffffff", Err("the levels are"));
    }
}
