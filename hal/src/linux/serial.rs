//! The serial line: raw bytes, 8 data bits, no parity, 1 stop bit, RTS/CTS on demand.
//!
//! Flow: bytes in and out on the main loop, one system call each, never waiting, never allocating.
//! Works on a UART, a USB adapter and a pseudo-terminal.
//!
//! Why not `linux_embedded_hal::Serial`, or the `serialport` crate beneath it, for the data: the
//! first makes a system call for every byte; the second switches the descriptor to blocking, so
//! that a long write waits for the wire, and allocates an error for every read that finds nothing.
//! The list of ports comes from `serialport`.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios,
    ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr,
};

use crate::link::nearest_speed;
use crate::{Flow, Link, LinkError, OpenError, PollFd};

const DEVICE: &str = "serial port";

/// A serial line that is open, exclusive, raw and non-blocking.
#[derive(Debug)]
pub struct SerialLink {
    port: File,
    name: String,
    flow: Flow,
}

impl SerialLink {
    /// Opens `path` at `baud` bits per second, without flow control. Bytes that arrived before are
    /// thrown away.
    ///
    /// # Errors
    /// As [`SerialLink::open_with`].
    pub fn open(path: &str, baud: u32) -> Result<Self, OpenError> {
        Self::open_with(path, baud, Flow::None)
    }

    /// Opens `path` at `baud` bits per second. Bytes that arrived before are thrown away.
    ///
    /// # Errors
    /// [`OpenError`] when the port is missing, busy, not permitted, not a serial port, or cannot
    /// run at `baud` or with RTS and CTS; or when `baud` is no standard speed.
    pub fn open_with(path: &str, baud: u32, flow: Flow) -> Result<Self, OpenError> {
        let near = nearest_speed(baud);
        if near != baud {
            let cause = format!("{baud} baud is no standard speed");
            return Err(OpenError::new(
                DEVICE,
                path,
                cause,
                format!("the nearest is {near}"),
            ));
        }
        let port = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open(path)
            .map_err(|error| open_failed(path, error.raw_os_error().unwrap_or(libc::EIO)))?;
        let failed = |errno: Errno| open_failed(path, errno.raw_os_error());
        let mut settings = tcgetattr(&port).map_err(failed)?;
        // The first refuses other users' programs, the second those of root. A pseudo-terminal
        // keeps the first as long as its other end is open, so that nobody could open it again.
        if !is_pseudo_terminal(path) {
            ioctl_tiocexcl(&port).map_err(failed)?;
        }
        flock(&port, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
            Errno::WOULDBLOCK => failed(Errno::BUSY),
            errno => failed(errno),
        })?;
        make_raw(&mut settings, baud, flow).map_err(failed)?;
        tcsetattr(&port, OptionalActions::Now, &settings).map_err(failed)?;
        let actual = tcgetattr(&port).map_err(failed)?;
        let has_flow = actual.control_modes.contains(ControlModes::CRTSCTS);
        if flow == Flow::RtsCts && !has_flow {
            let cause = "it has no RTS and CTS";
            let remedy = "write `flow = \"none\"` into the board file or the configuration";
            return Err(OpenError::new(DEVICE, path, cause, remedy));
        }
        let actual = actual.output_speed();
        if actual.abs_diff(baud) > baud / 50 {
            let cause = format!("it runs at {actual} baud instead of {baud}");
            return Err(OpenError::new(
                DEVICE,
                path,
                cause,
                "choose a speed that the chip can do",
            ));
        }
        tcflush(&port, QueueSelector::IFlush).map_err(failed)?;
        Ok(Self {
            port,
            name: path.to_owned(),
            flow,
        })
    }
}

impl Drop for SerialLink {
    /// Lets what is left go out, however the other side stands: closing a line that is held by CTS
    /// would wait for half a minute (`closing_wait` of the kernel's serial core).
    fn drop(&mut self) {
        if self.flow == Flow::RtsCts
            && let Ok(mut settings) = tcgetattr(&self.port)
        {
            settings.control_modes.remove(ControlModes::CRTSCTS);
            // The line may be gone: then there is nothing to wait for.
            tcsetattr(&self.port, OptionalActions::Now, &settings).ok();
        }
    }
}

impl Link for SerialLink {
    fn poll_fd(&self) -> PollFd {
        PollFd {
            fd: self.port.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, LinkError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        match rustix::io::read(&self.port, bytes) {
            // A raw line never ends; 0 bytes is what a line gives that hung up.
            Ok(0) => Err(LinkError::Lost { errno: libc::EIO }),
            Ok(count) => Ok(count),
            Err(errno) => nothing_or_lost(errno),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        rustix::io::write(&self.port, bytes).or_else(nothing_or_lost)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Returns the serial ports of this machine by path, for `pressel devices`.
pub fn list_ports() -> Vec<String> {
    let ports = serialport::available_ports().unwrap_or_default();
    let mut paths: Vec<String> = ports.into_iter().map(|port| port.port_name).collect();
    // Raspberry Pi OS names the header's UART with a link, whichever UART it is.
    paths.extend(
        ["/dev/serial0", "/dev/serial1"]
            .into_iter()
            .filter(|path| Path::new(path).exists())
            .map(str::to_owned),
    );
    paths.sort();
    paths
}

/// Returns whether the kernel's console is on this port: its messages, and usually a login, would
/// come between our bytes. The port can be opened all the same, so it is no error.
pub fn is_console(path: &str) -> bool {
    let consoles = std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    // A link as /dev/serial0 is the port that it leads to.
    std::fs::canonicalize(path).is_ok_and(|port| names(&consoles, &port))
}

fn names(consoles: &str, port: &Path) -> bool {
    let name = port.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| consoles.split_whitespace().any(|console| console == name))
}

fn is_pseudo_terminal(path: &str) -> bool {
    std::fs::canonicalize(path).is_ok_and(|path| path.starts_with("/dev/pts"))
}

fn nothing_or_lost(errno: Errno) -> Result<usize, LinkError> {
    match errno {
        Errno::AGAIN | Errno::INTR => Ok(0),
        errno => Err(LinkError::Lost {
            errno: errno.raw_os_error(),
        }),
    }
}

fn make_raw(settings: &mut Termios, baud: u32, flow: Flow) -> rustix::io::Result<()> {
    settings.make_raw();
    settings
        .input_modes
        .remove(InputModes::IXOFF | InputModes::IXANY);
    let off = ControlModes::CSTOPB | ControlModes::CRTSCTS | ControlModes::HUPCL;
    settings.control_modes.remove(off);
    settings
        .control_modes
        .insert(ControlModes::CREAD | ControlModes::CLOCAL);
    if flow == Flow::RtsCts {
        settings.control_modes.insert(ControlModes::CRTSCTS);
    }
    // One byte at least: an empty line then says EAGAIN, and 0 bytes only means a hang-up.
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    settings.set_speed(baud)
}

fn open_failed(path: &str, errno: i32) -> OpenError {
    let remedy = match errno {
        libc::ENOENT | libc::ENXIO | libc::ENODEV => {
            "check the cable, and on a Raspberry Pi `enable_uart=1` in config.txt; `pressel \
             devices` lists the ports"
        }
        // A service's list of devices refuses with EPERM, rights of the file with EACCES.
        libc::EPERM => {
            "under the service: `sudo systemctl edit pressel`, and under [Service] `DeviceAllow=\
             char-NAME rw` with the driver's NAME in /proc/devices"
        }
        libc::EACCES => {
            "add the user to the group `dialout` (`sudo usermod -aG dialout $USER`), log in again"
        }
        libc::EBUSY => {
            "another program holds the port: end it; a login console is switched off with `sudo \
             systemctl disable --now serial-getty@…`"
        }
        libc::ENOTTY | libc::EISDIR => "this is not a serial port; `pressel devices` lists them",
        libc::EINVAL => "the port cannot run at this speed: choose another `baud`",
        _ => "`pressel devices` lists the ports of this machine",
    };
    OpenError::from_errno(DEVICE, path, errno, remedy)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use rustix::termios::{LocalModes, OutputModes};

    use super::*;
    use crate::link::SPEEDS;
    use crate::linux::poll::wait;

    /// Opens the line with these, and looks at its settings through another descriptor.
    fn settings(baud: u32, flow: Flow) -> Termios {
        let (_master, path) = pty();
        let _link = SerialLink::open_with(&path, baud, flow).unwrap();
        tcgetattr(look(&path)).unwrap()
    }

    /// Another descriptor of the same line.
    fn look(path: &str) -> File {
        File::options()
            .read(true)
            .custom_flags(libc::O_NOCTTY)
            .open(path)
            .unwrap()
    }

    /// Makes a pseudo-terminal; returns its master side and the path of the other.
    fn pty() -> (File, String) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        (File::from(master), path)
    }

    #[test]
    fn bytes_of_every_value_pass_both_ways_unchanged() {
        let (mut master, path) = pty();
        let mut link = SerialLink::open(&path, 115_200).unwrap();
        let sent: Vec<u8> = (0..=255).collect();
        let mut got = [0; 256];
        assert_eq!(link.write(&sent), Ok(256));
        master.read_exact(&mut got).unwrap();
        assert_eq!(got.as_slice(), sent);

        assert_eq!(link.read(&mut got), Ok(0));
        master.write_all(&sent).unwrap();
        assert_eq!(wait(&mut [link.poll_fd()], 1_000), Ok(1));
        assert_eq!(link.read(&mut got), Ok(256));
        assert_eq!(got.as_slice(), sent);
        assert_eq!(link.read(&mut []), Ok(0));
        assert_eq!(link.name(), path);
    }

    #[test]
    fn a_reader_that_does_not_read_fills_the_line_and_never_blocks() {
        let (mut master, path) = pty();
        let mut link = SerialLink::open(&path, 9_600).unwrap();
        let mut written = 0;
        loop {
            match link.write(&[0x55; 4_096]).unwrap() {
                0 => break,
                count => written += count,
            }
            assert!(written < 16 << 20, "the line takes everything");
        }
        let mut got = vec![0; written];
        master.read_exact(&mut got).unwrap();
        assert_ne!(link.write(b"x").unwrap(), 0);
    }

    #[test]
    fn a_line_that_hangs_up_is_lost_for_read_and_write() {
        let (master, path) = pty();
        let mut link = SerialLink::open(&path, 115_200).unwrap();
        drop(master);
        assert_eq!(
            link.read(&mut [0; 8]),
            Err(LinkError::Lost { errno: libc::EIO })
        );
        assert_eq!(link.write(b"x"), Err(LinkError::Lost { errno: libc::EIO }));
    }

    #[test]
    fn a_port_that_is_open_is_busy_and_free_again_when_closed() {
        let (_master, path) = pty();
        let link = SerialLink::open(&path, 115_200).unwrap();
        let error = SerialLink::open(&path, 115_200).unwrap_err();
        assert_eq!(error.errno, libc::EBUSY, "{error}");
        drop(link);
        SerialLink::open(&path, 3_000_000).unwrap();
    }

    #[test]
    fn every_standard_speed_is_set_in_both_directions() {
        for baud in SPEEDS {
            let settings = settings(baud, Flow::None);
            let set = (settings.input_speed(), settings.output_speed());
            assert_eq!(set, (baud, baud));
        }
    }

    #[test]
    fn a_speed_that_is_no_standard_one_names_the_nearest() {
        let (_master, path) = pty();
        for (baud, near) in [
            (115_000, "the nearest is 115200"),
            (300, "9600"),
            (4_000_000, "3000000"),
        ] {
            let error = SerialLink::open(&path, baud).unwrap_err().to_string();
            assert!(error.contains(&format!("{baud} baud is no standard speed")));
            assert!(error.contains(near), "{error}");
        }
    }

    #[test]
    fn the_line_is_8n1_and_raw() {
        let settings = settings(115_200, Flow::None);
        let control = settings.control_modes;
        assert_eq!(control & ControlModes::CSIZE, ControlModes::CS8);
        let off = ControlModes::PARENB | ControlModes::CSTOPB | ControlModes::CRTSCTS;
        assert!(!control.intersects(off | ControlModes::HUPCL));
        assert!(control.contains(ControlModes::CREAD | ControlModes::CLOCAL));
        assert!(!settings.output_modes.contains(OutputModes::OPOST));
        let local = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        assert!(!settings.local_modes.intersects(local));
        let input = InputModes::IXON | InputModes::IXOFF | InputModes::IXANY | InputModes::ICRNL;
        assert!(!settings.input_modes.intersects(input | InputModes::ISTRIP));
    }

    #[test]
    fn rts_and_cts_are_used_on_demand_and_let_go_of_before_the_end() {
        let (_master, path) = pty();
        let far = look(&path);
        let has_flow = || {
            let settings = tcgetattr(&far).unwrap();
            settings.control_modes.contains(ControlModes::CRTSCTS)
        };
        let link = SerialLink::open_with(&path, 921_600, Flow::RtsCts).unwrap();
        assert!(has_flow());
        drop(link);
        assert!(!has_flow());
        // What another program left behind does not count.
        let mut left = tcgetattr(&far).unwrap();
        left.control_modes.insert(ControlModes::CRTSCTS);
        tcsetattr(&far, OptionalActions::Now, &left).unwrap();
        let link = SerialLink::open(&path, 921_600).unwrap();
        assert!(!has_flow());
        drop(link);
    }

    #[test]
    fn a_port_with_the_console_on_it_is_known() {
        for (consoles, port, expected) in [
            ("tty0 ttyAMA0\n", "/dev/ttyAMA0", true),
            ("tty0 ttyAMA10\n", "/dev/ttyAMA1", false),
            ("", "/dev/ttyAMA0", false),
        ] {
            assert_eq!(names(consoles, Path::new(port)), expected, "{port}");
        }
        let (_master, path) = pty();
        assert!(!is_console(&path) && !is_console("/dev/no_such_port"));
    }

    #[test]
    fn a_path_that_is_no_port_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plain");
        std::fs::write(&file, "x").unwrap();
        let check = |path: &str, errno: i32, remedy: &str| {
            let error = SerialLink::open(path, 115_200).unwrap_err();
            assert_eq!((error.name.as_str(), error.errno), (path, errno));
            assert!(error.remedy.contains(remedy), "{error}");
        };
        check("/dev/no_such_port", libc::ENOENT, "check the cable");
        check(file.to_str().unwrap(), libc::ENOTTY, "not a serial port");
        check(
            folder.path().to_str().unwrap(),
            libc::EISDIR,
            "not a serial port",
        );
    }
}
