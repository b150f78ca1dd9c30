//! The host at the other end of the serial line.
//!
//! In: bytes of the pseudo-terminal, on a thread of its own, when it reads at all. Out: messages,
//! outcomes with their texts, lines; and bytes to the appliance.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use pressel_hal::PollFd;
use pressel_hal::linux::poll;
use pressel_wire::{Assembler, Decoder, DeviceMessage, HostMessage, Outcome, encode_host};
use std::os::fd::AsRawFd;

use crate::program::PATIENCE;

/// What the host has read.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<DeviceMessage>,
    pub(crate) outcomes: Vec<(Outcome, String)>,
    /// Frames that could not be read, and texts with missing parts.
    pub(crate) bad: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The host.
pub(crate) struct Host {
    line: File,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Takes the line, without reading it.
    pub(crate) fn new(line: &File) -> Self {
        Self {
            line: line.try_clone().unwrap(),
            heard: Arc::default(),
            stop: Arc::default(),
            thread: None,
        }
    }

    /// Reads from now on.
    pub(crate) fn listen(&mut self) {
        let line = self.line.try_clone().unwrap();
        let (heard, stop) = (Arc::clone(&self.heard), Arc::clone(&self.stop));
        self.thread = Some(std::thread::spawn(move || read(&line, &heard, &stop)));
    }

    /// Sends bytes.
    pub(crate) fn write(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = rustix::io::write(&self.line, rest).unwrap();
            rest = &rest[count..];
        }
    }

    /// Sends a message.
    pub(crate) fn send(&self, message: HostMessage) {
        let mut bytes = [0; 256];
        let count = encode_host(&message, &mut bytes).unwrap();
        self.write(&bytes[..count]);
    }

    /// Looks at all that was read.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.0.lock().unwrap())
    }

    /// Waits until `found` finds something in what was read.
    pub(crate) fn wait<T>(&self, found: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        let heard = self.heard.0.lock().unwrap();
        let lacks = |heard: &mut Heard| found(heard).is_none();
        let (heard, _) = self
            .heard
            .1
            .wait_timeout_while(heard, PATIENCE, lacks)
            .unwrap();
        found(&heard)
    }

    /// Reads what is left on the line, and no more.
    fn stop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Lets go of the line and takes another one.
    pub(crate) fn change_line(&mut self, line: &File) {
        self.stop();
        *self = Self::new(line);
    }

    /// Reads what is left on the line and returns everything.
    pub(crate) fn finish(mut self) -> Heard {
        self.stop();
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }
}

/// Reads until it is stopped and the line is empty.
fn read(line: &File, heard: &(Mutex<Heard>, Condvar), stop: &AtomicBool) {
    let mut decoder = Decoder::<DeviceMessage>::new();
    let mut assembler = Assembler::new();
    let mut bytes = [0; 4_096];
    loop {
        let last = stop.load(Ordering::SeqCst);
        let mut fds = [PollFd {
            fd: line.as_raw_fd(),
            events: 1,
            revents: 0,
        }];
        poll::wait(&mut fds, if last { 0 } else { 20 }).unwrap();
        if fds[0].revents & 1 == 0 {
            if last {
                return;
            }
            continue;
        }
        let count = rustix::io::read(line, &mut bytes).unwrap();
        let mut heard_now = heard.0.lock().unwrap();
        heard_now.bytes.extend_from_slice(&bytes[..count]);
        for message in decoder.push(&bytes[..count]) {
            heard_now.take(message.ok(), &mut assembler);
        }
        heard.1.notify_all();
    }
}

impl Heard {
    fn take(&mut self, message: Option<DeviceMessage>, assembler: &mut Assembler) {
        let Some(message) = message else {
            self.bad += 1;
            return;
        };
        match &message {
            DeviceMessage::Transcript(part) => assembler.push(part),
            DeviceMessage::Outcome(outcome) => {
                let text = assembler.finish(outcome);
                self.bad += u32::from(!text.complete);
                self.outcomes.push((*outcome, text.text.to_owned()));
            }
            _ => {}
        }
        self.messages.push(message);
    }

    /// Returns the lines of line mode.
    pub(crate) fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}
