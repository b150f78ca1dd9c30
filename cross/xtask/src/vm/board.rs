//! The virtual board `vm`: QEMU with its devices, booted, and the appliance in it.
//!
//! In: an image and a disk. Out: an agent, both serial lines decoded on this side, and the
//! appliance, started and stopped. Whenever it is stopped, what must hold of every run is asserted:
//! it ends with 0, its main loop has allocated nothing, and no audio was lost.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::files::{Accelerator, Files, QEMU};
use super::guest::Guest;
use super::image::Sentence;
use super::qemu::Qemu;
use super::uart::{LIMIT, Uart};
use crate::Fallible;

/// Longest boot, and longest start of the appliance: an emulated processor on a busy machine.
const BOOT: Duration = Duration::from_secs(180);

/// The serial line that the appliance uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The board's own: the second serial port, ttyS1.
    Port,
    /// A USB adapter, ttyUSB0: it can be pulled out.
    Cable,
}

impl Line {
    /// The character device of QEMU behind it, and the name of its log.
    fn label(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Cable => "cable",
        }
    }
}

/// A board that has booted.
pub(super) struct Board<'a> {
    files: &'a Files<'a>,
    qemu: Qemu,
    pub(super) guest: Guest,
    /// The appliance's line, and this side of it; none when it does not run.
    appliance: Option<(Line, Uart)>,
    /// Allocations and frees at the beginning of the run, and when that was.
    before: Counts,
    started: Instant,
}

impl<'a> Board<'a> {
    /// Boots it, with chip, card and disk in their places; the cable is not plugged in.
    ///
    /// # Errors
    /// It does not boot, or a driver does not work.
    pub(super) fn boot(files: &'a Files<'a>, accelerator: Accelerator) -> Fallible<Self> {
        let arguments = arguments(files, accelerator);
        let mut qemu = Qemu::start(QEMU, &arguments, files.log)?;
        let stream = qemu.socket("agent")?;
        let guest = Guest::wait(stream, &files.log.join("agent.log"), BOOT)?;
        // What was plugged in before belongs to a machine that is gone.
        let _terminal = qemu.terminal("cable")?;
        let mut board = Self {
            files,
            qemu,
            guest,
            appliance: None,
            before: Counts::default(),
            started: Instant::now(),
        };
        board.guest.run("chip_in")?;
        board.guest.run("disk_in")?;
        Ok(board)
    }

    /// Sees that the appliance runs on this line; starts it if not.
    ///
    /// # Errors
    /// As [`Board::stop`], and when it does not become ready.
    pub(super) fn appliance(&mut self, line: Line, options: &str) -> Fallible<()> {
        if self.line().is_some_and(|running| running == line) {
            return Ok(());
        }
        self.stop()?;
        let mut option = format!("--board vm {options}");
        if line == Line::Cable {
            self.plug_in()?;
            option += " --uart /dev/ttyUSB0";
        }
        let terminal = self.qemu.terminal(line.label())?;
        let log = self.files.log.join(format!("{}.jsonl", line.label()));
        let mut uart = Uart::listen(self.files.program, &terminal, &log)?;
        self.guest.run(&format!("start {option}"))?;
        // Hello is the first thing that it says when it allocates no more.
        uart.wait("hello", BOOT, |event| event["event"] == "hello")?;
        self.before = self.counts()?;
        self.started = Instant::now();
        uart.wait("a worker that is ready", BOOT, is_ready)?;
        self.appliance = Some((line, uart));
        Ok(())
    }

    fn line(&self) -> Option<Line> {
        self.appliance.as_ref().map(|(line, _)| *line)
    }

    /// This side of the serial line.
    ///
    /// # Errors
    /// The appliance does not run.
    pub(super) fn uart(&mut self) -> Fallible<&mut Uart> {
        let uart = self.appliance.as_mut().map(|(_, uart)| uart);
        uart.ok_or_else(|| "the appliance does not run".to_owned())
    }

    /// Holds the button, speaks a sentence, lets go, and wants its text on the line.
    ///
    /// # Errors
    /// There was another text, or none.
    pub(super) fn say(&mut self, sentence: &Sentence) -> Fallible<()> {
        self.guest
            .run_for(&format!("say {}", sentence.file), LIMIT)?;
        self.uart()?.text(&sentence.text).map(drop)
    }

    /// How the appliance is, over its control socket.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn status(&mut self) -> Fallible<Value> {
        let text = self.guest.run("pressel status --json")?.join("\n");
        serde_json::from_str(&text).map_err(|error| format!("`pressel status` says {error}"))
    }

    /// Ends the appliance, if it runs, and asserts what must hold of every run of it. Returns what
    /// was seen.
    ///
    /// # Errors
    /// It allocated or freed, lost audio, or ended with another code than 0.
    pub(super) fn stop(&mut self) -> Fallible<Option<String>> {
        if self.appliance.is_none() {
            return Ok(None);
        }
        let seconds = self.started.elapsed().as_secs();
        let counts = self.counts()?;
        let status = self.status()?;
        let code = self.guest.run("stop")?.join(" ");
        self.guest
            .keep("/tmp/log", &self.files.log.join("pressel.log"))
            .ok();
        self.appliance = None;
        if code != "0" {
            return Err(format!(
                "SIGTERM: the appliance ended with code `{code}`, not 0"
            ));
        }
        counts.are_those_of(&self.before)?;
        let lost = ["overruns", "lost_samples", "dropped_blocks"];
        if let Some(name) = lost.iter().find(|name| status["counters"][**name] != 0) {
            let count = &status["counters"][*name];
            return Err(format!(
                "{name}={count} in a run of {seconds} s, where none may be"
            ));
        }
        let longest_us = longest_turn_us(&status)?;
        Ok(Some(format!(
            "{seconds} s: 0 allocations and 0 frees of the main loop (C libraries included; {} and \
             {} before its start), 0 overruns, longest turn {:.1} ms",
            self.before.allocated,
            self.before.freed,
            longest_us / 1_000.0
        )))
    }

    /// Allocations and frees of the appliance's first thread.
    fn counts(&mut self) -> Fallible<Counts> {
        let line = self.guest.run("counts")?.join(" ");
        Counts::of(&line).ok_or_else(|| format!("allocations were not counted: `{line}`"))
    }

    /// Plugs the USB adapter in.
    ///
    /// # Errors
    /// The kernel does not see it.
    pub(super) fn plug_in(&mut self) -> Fallible<()> {
        if self.guest.run("test -c /dev/ttyUSB0").is_ok() {
            return Ok(());
        }
        // As a cable is: there, whether somebody listens at its other end or not.
        let device = json!({
            "driver": "usb-serial", "id": "usb", "chardev": "cable", "always-plugged": true,
        });
        self.qemu.ask("device_add", &device)?;
        self.guest
            .wait_for("cables", LIMIT, |files| files.contains("ttyUSB0"))?;
        Ok(())
    }

    /// Pulls it out.
    ///
    /// # Errors
    /// The kernel still has it.
    pub(super) fn pull_out(&mut self) -> Fallible<()> {
        self.qemu.ask("device_del", &json!({"id": "usb"}))?;
        self.guest.wait_for("cables", LIMIT, str::is_empty)?;
        Ok(())
    }

    /// Cuts the power, whatever is under way.
    pub(super) fn cut(self) {
        self.qemu.cut();
    }

    /// Switches the board off in order.
    ///
    /// # Errors
    /// As [`Board::stop`], and when it stays on.
    pub(super) fn off(mut self) -> Fallible<Option<String>> {
        let seen = self.stop()?;
        self.guest.run("umount /mnt; (sleep 0.5; poweroff -f) &")?;
        self.qemu.wait(LIMIT)?;
        Ok(seen)
    }
}

/// Whether the worker is up.
pub(super) fn is_ready(event: &Value) -> bool {
    event["event"] == "state" && event["worker"] == true
}

/// The longest turn of the main loop. A loop that ran has had one.
fn longest_turn_us(status: &Value) -> Fallible<f64> {
    let longest_us = status["longest_turn_us"].as_f64();
    longest_us
        .filter(|longest_us| 0.0 < *longest_us)
        .ok_or_else(|| {
            let said = &status["longest_turn_us"];
            format!("`pressel status` does not tell the longest turn: {said}")
        })
}

/// What cross/vm/count.c counts.
#[derive(Default)]
struct Counts {
    allocated: u64,
    freed: u64,
    /// `BYTES@CALLER` of the newest allocations.
    newest: String,
}

impl Counts {
    fn of(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map_while(|n| n.parse().ok())
            .collect();
        let ([allocated, freed], rest) = numbers.split_first_chunk()?;
        let newest = rest.chunks(2).map(|pair| match pair {
            [bytes, caller] => format!("{bytes}@{caller:#x}"),
            _ => String::new(),
        });
        Some(Self {
            allocated: *allocated,
            freed: *freed,
            newest: newest.collect::<Vec<_>>().join(" "),
        })
    }

    /// Whether nothing was allocated or freed since `before`.
    fn are_those_of(&self, before: &Self) -> Fallible<()> {
        if before.allocated == 0 || before.freed == 0 {
            return Err(format!(
                "{} allocations and {} frees of the start were counted: the counter is blind",
                before.allocated, before.freed
            ));
        }
        let allocated = self.allocated.abs_diff(before.allocated);
        let freed = self.freed.abs_diff(before.freed);
        if allocated == 0 && freed == 0 {
            return Ok(());
        }
        Err(format!(
            "the main loop allocated {allocated} times and freed {freed} times after its start; \
             the newest allocations: {}",
            self.newest
        ))
    }
}

/// The board's devices, as QEMU takes them.
fn arguments(files: &Files, accelerator: Accelerator) -> Vec<OsString> {
    let at = |name: &str| files.log.join(name).display().to_string();
    let (accelerator, processor) = match accelerator {
        Accelerator::Kvm => ("kvm", "host"),
        Accelerator::Emulation => ("tcg,thread=multi", "max"),
    };
    let console = format!("file,id=console,append=on,path={}", at("console.log"));
    let agent = format!("socket,id=agent,server=on,wait=off,path={}", at("agent"));
    let disk = format!("format=raw,if=virtio,file={}", files.disk.display());
    // Two cores, as boards/vm.toml has them.
    let words = [
        ["-accel", accelerator],
        ["-cpu", processor],
        ["-smp", "2"],
        ["-m", "1024"],
        ["-append", "console=ttyS0 quiet panic=-1"],
        ["-chardev", &console],
        ["-serial", "chardev:console"],
        ["-chardev", "pty,id=port"],
        ["-serial", "chardev:port"],
        ["-chardev", "pty,id=cable"],
        ["-device", "qemu-xhci"],
        ["-chardev", &agent],
        ["-device", "virtio-serial-pci"],
        ["-device", "virtserialport,chardev=agent,name=agent"],
        ["-drive", &disk],
    ];
    let paths = [("-kernel", &files.kernel), ("-initrd", &files.image)];
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

    #[test]
    fn counts_are_read_with_the_newest_callers() {
        let counts = Counts::of("  7   2  24  4096  0 0").unwrap();
        assert_eq!((counts.allocated, counts.freed), (7, 2));
        assert_eq!(counts.newest, "24@0x1000 0@0x0");
        assert!(Counts::of("od: no such file").is_none());
    }

    #[test]
    fn what_is_allocated_or_freed_after_the_start_is_told() {
        let of = |line| Counts::of(line).unwrap();
        let check = |line, expected: &str| match of(line).are_those_of(&of("7 2")) {
            Ok(()) => assert_eq!(expected, ""),
            Err(why) => assert!(why.contains(expected), "{why}"),
        };
        check("7 2 24 4096", "");
        check("8 2 24 4096", "allocated 1 times and freed 0 times");
        check("7 3 24 4096", "allocated 0 times and freed 1 times");
        for blind in ["0 2", "7 0"] {
            let why = of(blind).are_those_of(&of(blind)).unwrap_err();
            assert!(why.contains("blind"), "{why}");
        }
    }

    #[test]
    fn a_longest_turn_that_is_not_told_is_an_error() {
        assert_eq!(longest_turn_us(&json!({"longest_turn_us": 900})), Ok(900.0));
        for status in [json!({}), json!({"longest_turn_us": 0})] {
            let why = longest_turn_us(&status).unwrap_err();
            assert!(why.contains("longest turn"), "{why}");
        }
    }
}
