//! Listen's thread: rings in, rings out, and a panic that does not end it.
//!
//! It sleeps in `poll(2)` beside its bell, obeys commands at their sample time and hears blocks. A
//! panic is caught at the top, counted and reported, and the listener starts afresh, a bounded
//! number of times.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pressel_hal::linux::{cpu, poll};
use pressel_pipeline::limits::{LISTEN_END_MS, LISTEN_PANICS_MAX};
use pressel_pipeline::time::SampleTime;

use super::listener::{Events, Listener};
use crate::alloc_guard;
use crate::bell::Bell;
use crate::rings::Listening;
use crate::slots::LiveSlots;
use crate::stream::{Ahead, Command, ListenEvent};
use crate::vitals::{Vitals, Watched};

/// Longest sleep: the events that found no room are tried again after it, and listen is watched.
const SLEEP_MS: i32 = 100;

/// The thread, as its owner sees it.
pub struct ListenThread {
    stop: Arc<AtomicBool>,
    bell: Bell,
    thread: JoinHandle<()>,
}

/// The bells of listen.
#[derive(Clone)]
pub struct Bells {
    /// Wakes listen.
    pub listen: Bell,
    /// Wakes the main loop.
    pub events: Bell,
}

impl ListenThread {
    /// Starts the thread on the given cores (empty is any).
    ///
    /// # Errors
    /// The error of making a thread.
    pub fn start(
        listener: Listener<LiveSlots<'static>>,
        ends: Listening,
        bells: Bells,
        cores: Vec<usize>,
        vitals: Arc<Vitals>,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let bell = bells.listen.clone();
        let mut room = Room {
            listener,
            ends,
            bells,
            stop: Arc::clone(&stop),
            next: None,
            events: Events::new(),
            sent: 0,
            ahead: None,
            sent_since: 0,
            panics: 0,
            vitals,
        };
        let thread = std::thread::Builder::new()
            .name("listen".into())
            .spawn(move || {
                if !cores.is_empty() && cpu::pin_thread_to(&cores).is_err() {
                    log::warn!("listen is not pinned: this machine has none of cores={cores:?}");
                }
                alloc_guard::seal();
                room.run();
                alloc_guard::unseal();
            })?;
        Ok(Self { stop, bell, thread })
    }

    /// Ends the thread and waits for it: as long as one model call takes, and not for ever.
    pub fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bell.ring();
        let deadline = Instant::now() + Duration::from_millis(LISTEN_END_MS);
        while !self.thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The inside of the thread.
pub(crate) struct Room {
    pub(crate) listener: Listener<LiveSlots<'static>>,
    pub(crate) ends: Listening,
    pub(crate) bells: Bells,
    pub(crate) stop: Arc<AtomicBool>,
    /// The next command, whose sample time has not been reached.
    pub(crate) next: Option<Command>,
    /// Events of the last block or command; nothing more is heard until they are in the ring. They
    /// are kept here, so that a panic does not take them along.
    pub(crate) events: Events,
    /// How many of `events` are in the ring.
    pub(crate) sent: usize,
    /// The newest of what is told of the open utterance. It waits until the one before has left the
    /// ring.
    pub(crate) ahead: Option<Ahead>,
    /// Events that went into the ring after the last of these.
    pub(crate) sent_since: usize,
    pub(crate) panics: u32,
    pub(crate) vitals: Arc<Vitals>,
}

impl Room {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Relaxed) && self.turn_safely() {}
    }

    /// One turn; a panic in it is caught and told. Returns false when there was one too many.
    fn turn_safely(&mut self) -> bool {
        if catch_unwind(AssertUnwindSafe(|| self.turn())).is_ok() {
            return true;
        }
        // The hook that reports a panic lifts the seal, where there was one.
        alloc_guard::seal();
        self.panics += 1;
        self.vitals.panicked();
        let recovered = catch_unwind(AssertUnwindSafe(|| self.listener.recover(&mut self.events)));
        let ended = recovered.is_err() || LISTEN_PANICS_MAX <= self.panics;
        let panicked = ListenEvent::ThreadPanicked {
            count: self.panics,
            ended,
        };
        if self.events.push(panicked).is_err() {
            // Full of events of the turn that panicked: the news of the panic comes first.
            self.events.pop();
            self.events.push(panicked).ok();
        }
        self.send_events();
        !ended
    }

    /// Waits for the bell and hears all that is there.
    pub(crate) fn turn(&mut self) {
        self.vitals.beat(Watched::Listen);
        let mut fds = [self.bells.listen.poll_fd()];
        if poll::wait(&mut fds, SLEEP_MS).is_err() {
            self.stop.store(true, Ordering::Relaxed);
            return;
        }
        self.bells.listen.hush();
        while self.send_events() && !self.stop.load(Ordering::Relaxed) {
            // While more blocks come than it can hear, this turn does not end, and yet it moves.
            self.vitals.beat(Watched::Listen);
            // Not `peek`: heapless 0.9.3 reads there what another core may not have written yet.
            match self.ends.blocks.dequeue() {
                Some(block) if block.is_wipe() => {}
                Some(block) => {
                    self.obey_until(block.start);
                    self.listener.hear(&block, &mut self.events);
                    self.ahead = self.listener.ahead().or(self.ahead);
                }
                None => {
                    // A command comes after the blocks from before it. None of them is left, so its
                    // time has come, also when blocks were dropped and its sample never arrives.
                    self.next = self.next.take().or_else(|| self.ends.commands.dequeue());
                    if !self.ends.blocks.is_empty() {
                        continue;
                    }
                    let Some(command) = self.next.take() else {
                        return;
                    };
                    self.listener.obey(command, &mut self.events);
                }
            }
        }
    }

    /// Obeys the commands from before sample time `until`, or at it.
    fn obey_until(&mut self, until: SampleTime) {
        // Two commands give at most two events each, so that those of a block still fit.
        for _ in 0..2 {
            let Some(command) = self.next.take().or_else(|| self.ends.commands.dequeue()) else {
                return;
            };
            if until < command.at {
                self.next = Some(command);
                return;
            }
            self.listener.obey(command, &mut self.events);
        }
    }

    /// Puts the events into the ring; false when it is full before they are all in it.
    fn send_events(&mut self) -> bool {
        let before = self.sent;
        while let Some(&event) = self.events.get(self.sent)
            && self.ends.events.enqueue(event).is_ok()
        {
            self.sent += 1;
            self.sent_since = self.sent_since.saturating_add(1);
        }
        let (count, is_sent) = (self.sent, self.sent == self.events.len());
        if is_sent {
            self.events.clear();
            self.sent = 0;
        }
        let has_news = before < count;
        if (is_sent && self.send_ahead()) || has_news {
            self.bells.events.ring();
        }
        is_sent
    }

    /// Puts what is told of the open utterance into the ring, once the one before has left it.
    fn send_ahead(&mut self) -> bool {
        let open = self.listener.open_id();
        self.ahead.take_if(|ahead| open != Some(ahead.utterance));
        if self.sent_since < self.ends.events.len() {
            return false;
        }
        let Some(ahead) = self.ahead else {
            return false;
        };
        let fits = self.ends.events.enqueue(ListenEvent::Ahead(ahead)).is_ok();
        if fits {
            (self.ahead, self.sent_since) = (None, 0);
        }
        fits
    }
}

#[cfg(test)]
mod tests;
