//! Tests of the recogniser with a worker that the test plays.
//!
//! The other end of a real socket pair answers late, wrong, twice or never. Time is a number.

use std::collections::BTreeSet;

use pressel_hal::linux::poll;
use pressel_pipeline::ahead::Look;
use pressel_pipeline::limits::{
    AHEAD_REST_MS, FILE_SLOT, LEFT_OFF_MS, RESTART_WINDOW_MS, RESTARTS_MAX, SLOT_COUNT,
    WAITING_UTTERANCES_MAX,
};
use pressel_pipeline::waiting::SpeechSpan;
use pressel_wire::{DropReason, FailCode, Trigger};
use proptest::prelude::*;
use rustix::net::{SendFlags, send};

use super::*;
use crate::second_looks::CLIP_START;
use crate::window::Heard;

impl Recogniser {
    /// Forgets the request, as a panic may that comes while its answer is taken.
    pub(in crate::main_loop) fn forget_sent(&mut self) {
        self.sent = None;
    }
}

/// The recogniser, the worker's end of the socket, and what a main loop would do between them.
struct Desk {
    recogniser: Recogniser,
    worker: Option<WorkerSocket>,
    now: Millis,
    /// Outcomes, with the slots that they freed.
    done: Vec<(Finished, u8)>,
    /// Why workers were lost, and the wait before the next one.
    lost: Vec<(&'static str, u64)>,
}

impl Desk {
    fn new() -> Self {
        Self {
            recogniser: Recogniser::new(1, false),
            worker: None,
            now: 1_000,
            done: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// A desk whose worker has loaded.
    fn ready() -> Self {
        let mut desk = Self::new();
        desk.start_worker();
        desk.answer(&READY);
        desk
    }

    fn start_worker(&mut self) {
        let (ours, theirs) = WorkerSocket::pair().unwrap();
        rustix::io::ioctl_fionbio(&theirs, true).unwrap();
        self.worker = Some(WorkerSocket::new(theirs));
        self.recogniser.resume(ours, self.now);
    }

    /// What the main loop does with news; returns false for a model that cannot be loaded.
    fn take(&mut self, news: News) -> bool {
        match news {
            News::Ready { .. } | News::Yielded { .. } | News::Guess { .. } => {}
            News::CannotLoad(_) => return false,
            News::Done(finished, slot) | News::Refused { finished, slot, .. } => {
                self.done.push((finished, slot));
            }
            News::Lost(why) => {
                let restart = self.recogniser.lose(self.now);
                self.lost.push((why, restart.wait_ms));
                self.settle();
            }
        }
        true
    }

    fn settle(&mut self) {
        while let Some(done) = self.recogniser.take_ended(self.now) {
            self.done.push(done);
        }
    }

    fn cancel(&mut self) {
        self.recogniser.cancel(self.now);
        self.settle();
    }

    fn stop(&mut self) {
        self.recogniser.stop(self.now);
        self.settle();
    }

    /// Somebody talks, or no longer.
    fn talk(&mut self, talks: bool) {
        self.recogniser.attend(talks, false, self.now);
        self.turn();
    }

    /// A file's chunk is there.
    fn put_chunk(&mut self, id: u32) {
        let chunk = utterance(id, FILE_SLOT, Trigger::File);
        self.recogniser.put_chunk(chunk, self.now);
        self.settle();
        self.turn();
    }

    /// One turn of the main loop.
    fn turn(&mut self) {
        while let Some(news) = self.recogniser.receive(self.now) {
            self.take(news);
        }
        if let Some(news) = self.recogniser.keep_time(self.now) {
            self.take(news);
        }
        if let Some(news) = self.recogniser.give_work(self.now) {
            self.take(news);
        }
    }

    fn answer(&mut self, answer: &Answer) {
        if let Some(worker) = &mut self.worker {
            worker.send(answer).ok();
        }
        self.turn();
    }

    fn say(&mut self, bytes: &[u8]) {
        if let Some(worker) = &self.worker {
            send(worker, bytes, SendFlags::NOSIGNAL).ok();
        }
        self.turn();
    }

    fn die(&mut self) {
        self.worker = None;
        self.turn();
    }

    fn offer(&mut self, utterance: Utterance) {
        self.recogniser.offer(utterance, self.now);
        self.settle();
        self.turn();
    }

    fn pass(&mut self, ms: u64) {
        self.now += ms;
        self.turn();
    }

    /// Everything that the worker has been asked and not read.
    fn asked(&mut self) -> Vec<Request> {
        let Some(worker) = &mut self.worker else {
            return Vec::new();
        };
        core::iter::from_fn(|| match worker.receive() {
            Received::Message(request) => Some(request),
            _ => None,
        })
        .collect()
    }

    /// Number and result of each outcome so far.
    fn results(&self) -> Vec<(u32, OutcomeResult)> {
        let of =
            |(finished, _): &(Finished, u8)| (finished.outcome.utterance, finished.outcome.result);
        self.done.iter().map(of).collect()
    }
}

const READY: Answer = Answer::Ready {
    cuda: false,
    load_ms: 7,
    canary: 7,
};
const CANCELLED: OutcomeResult = OutcomeResult::Dropped(DropReason::Cancelled);
const BUSY: OutcomeResult = OutcomeResult::Dropped(DropReason::Busy);
const DIED: OutcomeResult = OutcomeResult::Failed(FailCode::WorkerDied);
const DOWN: OutcomeResult = OutcomeResult::Failed(FailCode::WorkerDown);
const TIMEOUT: OutcomeResult = OutcomeResult::Failed(FailCode::Timeout);

/// Two seconds, one of them speech.
fn utterance(id: u32, slot: u8, trigger: Trigger) -> Utterance {
    Utterance {
        id,
        slot,
        trigger,
        start: u64::from(id) * 48_000,
        samples: 32_000,
        speech: Some(SpeechSpan {
            start: 8_000,
            end: 24_000,
        }),
        closed_at: 900,
        capture_ms: 200,
    }
}

fn pressed(id: u32) -> Utterance {
    utterance(id, u8::try_from(id).unwrap(), Trigger::Ptt)
}

fn said(id: u32, text: &str) -> Answer {
    Answer::Done {
        id,
        text: String::try_from(text).unwrap(),
        truncated: false,
        sense: crate::worker::message::Sense::Words,
        language: *b"en",
        confidence: 90,
        encode_ms: 11,
        decode_ms: 22,
        heard: Heard::default(),
    }
}

fn failed(id: u32, fault: Fault) -> Answer {
    Answer::Failed { id, fault }
}

fn text(bytes: u16) -> OutcomeResult {
    OutcomeResult::Text {
        bytes,
        truncated: false,
    }
}

/// One utterance at a ready worker, which gives `answer`: its result, and whether the worker is
/// trusted after it.
fn check(answer: &Answer, expected: Option<OutcomeResult>, trusted: bool) {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.answer(answer);
    let expected: Vec<_> = expected.map(|result| (1, result)).into_iter().collect();
    assert_eq!(desk.results(), expected, "{answer:?}");
    assert_eq!(desk.lost.is_empty(), trusted, "{answer:?}");
}

#[test]
fn each_answer_has_its_result() {
    check(&said(1, "lights on"), Some(text(9)), true);
    check(&said(1, ""), Some(OutcomeResult::NoSpeech), true);
    check(&failed(1, Fault::Cancelled), Some(CANCELLED), true);
    let bad = OutcomeResult::Failed(FailCode::BadAudio);
    check(&failed(1, Fault::BadRequest), Some(bad), true);
    let model = OutcomeResult::Failed(FailCode::ModelFault);
    check(&failed(1, Fault::Model), Some(model), true);
    // These are kept for the next worker.
    check(&failed(1, Fault::Sticky), None, false);
    check(&failed(1, Fault::Reload), None, false);
    check(&said(2, "not asked"), None, false);
    check(&failed(2, Fault::Model), None, false);
    // Said once more: nothing changes.
    check(&READY, None, true);
}

/// An utterance that `computer` opened, at a ready worker that must hear the word, too.
fn woken() -> Desk {
    let word = WordName::new("computer").unwrap();
    let mut desk = Desk::ready();
    desk.recogniser.confirm(Confirmed::from_array([word]));
    desk.recogniser.looks().wake(word);
    desk.recogniser.looks().open(1, Trigger::Wake);
    desk.offer(utterance(1, 1, Trigger::Wake));
    desk
}

/// Where the parts begin that the worker was asked for.
fn starts(requests: &[Request]) -> Vec<u32> {
    let start = |request: &Request| match request {
        Request::Recognise { part, .. } => Some(part.start),
        _ => None,
    };
    requests.iter().filter_map(start).collect()
}

const CLIP: u32 = CLIP_START as u32;

#[test]
fn utterance_is_asked_for_once_its_wake_word_was_heard() {
    for clip in [said(1, "Hey, computer."), failed(1, Fault::Model)] {
        let mut desk = woken();
        assert_eq!(starts(&desk.asked()), [CLIP]);
        desk.answer(&clip);
        assert_eq!(desk.results(), []);
        let [start] = starts(&desk.asked())[..] else {
            panic!("it is asked for once")
        };
        assert!(start < CLIP);
        desk.answer(&said(2, "lights on"));
        assert_eq!(desk.results(), [(1, text(9))]);
        assert_eq!(desk.recogniser.wakes_refused(), 0);
    }
}

#[test]
fn utterance_whose_wake_word_was_not_heard_is_refused_unheard() {
    for clip in ["commuter", ""] {
        let mut desk = woken();
        desk.answer(&said(1, clip));
        assert_eq!(starts(&desk.asked()), [CLIP]);
        assert_eq!(desk.results(), [(1, OutcomeResult::NoSpeech)]);
        assert!(desk.done[0].0.text.is_empty());
        assert_eq!(desk.recogniser.wakes_refused(), 1);
        // The next one is not looked at: no wake word opened it.
        desk.offer(pressed(2));
        desk.answer(&said(2, "lights on"));
        assert_eq!(desk.results()[1..], [(2, text(9))]);
    }
}

#[test]
fn second_look_is_taken_again_after_a_lost_worker_and_ends_with_a_cancel() {
    let mut desk = woken();
    desk.die();
    desk.start_worker();
    desk.answer(&READY);
    assert_eq!(starts(&desk.asked()), [CLIP]);
    desk.cancel();
    desk.answer(&failed(2, Fault::Cancelled));
    assert_eq!(desk.results(), [(1, CANCELLED)]);
    assert!(starts(&desk.asked()).is_empty());
}

#[test]
fn request_is_the_speech_and_what_is_around_it() {
    let mut desk = Desk::ready();
    desk.offer(pressed(5));
    let part = Excerpt {
        utterance: 5,
        slot: 5,
        start: 8_000 - 4_800,
        samples: 16_000 + 4_800 + 3_200,
    };
    let request = Request::Recognise { id: 1, part };
    assert_eq!(desk.asked(), [request]);
    desk.pass(40);
    desk.answer(&said(1, "stop"));
    let (finished, slot) = &desk.done[0];
    let timing = finished.outcome.timing;
    assert_eq!((*slot, finished.text.as_str()), (5, "stop"));
    assert_eq!((timing.capture_ms, timing.queue_ms), (200, 100));
    assert_eq!((timing.encode_ms, timing.decode_ms), (11, 22));
    assert_eq!(
        (finished.outcome.audio_ms, finished.outcome.confidence),
        (2_000, 90)
    );
}

#[test]
fn one_request_is_at_the_worker_and_the_most_urgent_comes_next() {
    let mut desk = Desk::ready();
    desk.offer(utterance(1, 1, Trigger::Voice));
    desk.offer(utterance(2, 2, Trigger::Voice));
    desk.offer(utterance(3, 3, Trigger::Ptt));
    assert_eq!(desk.asked().len(), 1);
    assert!(desk.recogniser.is_running());
    assert_eq!(desk.recogniser.waiting_count(), 2);
    desk.answer(&said(1, "one"));
    assert!(matches!(
        desk.asked()[..],
        [Request::Recognise {
            id: 2,
            part: Excerpt { slot: 3, .. }
        }]
    ));
}

#[test]
fn offers_without_a_worker_wait_and_the_fourth_drops_the_oldest() {
    let mut desk = Desk::new();
    for id in 1..=4 {
        desk.offer(pressed(id));
    }
    assert_eq!(desk.results(), [(1, BUSY)]);
    assert_eq!(desk.done[0].1, 1);
    desk.offer(utterance(5, 5, Trigger::Voice));
    assert_eq!(desk.results(), [(1, BUSY), (5, BUSY)]);
    assert_eq!(desk.recogniser.waiting_count(), WAITING_UTTERANCES_MAX);
}

#[test]
fn cancelled_request_ends_as_cancelled_whatever_the_worker_still_says() {
    for answer in [said(1, "too late"), failed(1, Fault::Cancelled)] {
        let mut desk = Desk::ready();
        desk.offer(pressed(1));
        desk.asked();
        desk.cancel();
        // A second cancel changes neither the verdict nor the deadline.
        desk.recogniser.cancel(desk.now + 1_000);
        assert_eq!(desk.asked(), [Request::Cancel { id: 1 }]);
        assert_eq!(desk.recogniser.deadline(), Some(desk.now + CANCEL_MS_MAX));
        desk.answer(&answer);
        assert_eq!(desk.results(), [(1, CANCELLED)]);
        let finished = &desk.done[0].0;
        assert_eq!(finished.text.as_str(), "");
        assert_eq!(finished.outcome.confidence, CONFIDENCE_UNKNOWN);
        assert_eq!(desk.lost, []);
    }
}

#[test]
fn cancelled_request_of_a_worker_that_dies_is_not_tried_again() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.cancel();
    desk.die();
    assert_eq!(desk.results(), [(1, CANCELLED)]);
    assert_eq!(desk.recogniser.waiting_count(), 0);
}

#[test]
fn nothing_is_cancelled_when_nothing_runs() {
    let mut desk = Desk::ready();
    desk.cancel();
    assert_eq!(desk.asked(), []);
    assert_eq!(desk.recogniser.deadline(), None);
}

#[test]
fn late_answer_is_cancelled_and_a_worker_that_hangs_is_killed() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.asked();
    let allowed = RECOGNISE_BASE_MS + RECOGNISE_FACTOR * 1_500;
    assert_eq!(desk.recogniser.deadline(), Some(desk.now + allowed));
    desk.pass(allowed - 1);
    assert_eq!(desk.asked(), []);
    desk.pass(1);
    assert_eq!(desk.asked(), [Request::Cancel { id: 1 }]);
    desk.pass(CANCEL_MS_MAX - 1);
    assert_eq!((desk.results(), desk.lost.len()), (Vec::new(), 0));
    desk.pass(1);
    assert_eq!(desk.results(), [(1, TIMEOUT)]);
    assert_eq!(desk.lost, [("it hangs", 0)]);
    assert_eq!(desk.recogniser.deadline(), None);
}

#[test]
fn worker_that_answers_to_the_cancel_stays() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.pass(60_000);
    desk.answer(&failed(1, Fault::Cancelled));
    assert_eq!((desk.results(), desk.lost.len()), (vec![(1, TIMEOUT)], 0));
    assert!(desk.recogniser.is_ready());
}

#[test]
fn waits_for_the_worker_are_real_time_under_a_fast_clock() {
    let mut recogniser = Recogniser::new(20, false);
    let (ours, _theirs) = WorkerSocket::pair().unwrap();
    recogniser.resume(ours, 0);
    assert_eq!(recogniser.deadline(), Some(20 * LOAD_MS_MAX));
}

#[test]
fn worker_that_does_not_finish_loading_is_killed() {
    let mut desk = Desk::new();
    desk.start_worker();
    desk.offer(pressed(1));
    desk.pass(LOAD_MS_MAX - 1);
    assert_eq!(desk.asked(), []);
    desk.pass(1);
    assert_eq!(desk.lost, [("it does not finish loading", 0)]);
    assert_eq!(
        (desk.results(), desk.recogniser.waiting_count()),
        (Vec::new(), 1)
    );
}

#[test]
fn model_that_cannot_be_loaded_is_news_of_its_own() {
    let mut desk = Desk::new();
    desk.start_worker();
    let reason = String::try_from("no such file").unwrap();
    let worker = desk.worker.as_mut().unwrap();
    worker.send(&Answer::CannotLoad { reason }).unwrap();
    let news = desk.recogniser.receive(desk.now).unwrap();
    assert!(matches!(&news, News::CannotLoad(reason) if reason == "no such file"));
    assert!(!desk.recogniser.was_ready());
}

#[test]
fn what_a_dead_worker_had_is_tried_once_more_and_before_the_others() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.offer(pressed(2));
    desk.die();
    assert_eq!(desk.lost, [("its process ended", 0)]);
    assert_eq!(
        (desk.results(), desk.recogniser.waiting_count()),
        (Vec::new(), 2)
    );
    desk.start_worker();
    assert_eq!(desk.asked(), []);
    desk.answer(&READY);
    assert!(matches!(
        desk.asked()[..],
        [Request::Recognise {
            id: 2,
            part: Excerpt { slot: 1, .. }
        }]
    ));
    desk.die();
    assert_eq!(desk.results(), [(1, DIED)]);
    // The next one has its own two tries.
    desk.start_worker();
    desk.answer(&READY);
    desk.answer(&said(3, "two"));
    assert_eq!(desk.results(), [(1, DIED), (2, text(3))]);
}

#[test]
fn second_try_that_is_given_up_while_it_waits_is_not_lost() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.die();
    desk.cancel();
    assert_eq!(desk.results(), [(1, CANCELLED)]);
}

#[test]
fn garbage_ends_the_worker() {
    for bytes in [&[0xff; 40][..], &[9], &[0; 2_048]] {
        let mut desk = Desk::ready();
        desk.offer(pressed(1));
        desk.say(bytes);
        assert_eq!(desk.lost.len(), 1, "{} bytes", bytes.len());
        assert_eq!(
            (desk.results(), desk.recogniser.waiting_count()),
            (Vec::new(), 1)
        );
    }
}

#[test]
fn answer_that_nobody_asked_for_ends_the_worker() {
    let mut desk = Desk::ready();
    desk.answer(&said(1, "hello"));
    assert_eq!(desk.lost, [("it answers what was not asked", 0)]);
    let mut loading = Desk::new();
    loading.start_worker();
    loading.answer(&said(1, "hello"));
    assert_eq!(loading.lost.len(), 1);
}

#[test]
fn worker_that_takes_no_requests_is_lost_and_its_request_is_not() {
    let mut desk = Desk::ready();
    // The worker has gone, and the main loop gives work before it looks.
    desk.worker = None;
    desk.recogniser.offer(pressed(1), desk.now);
    let news = desk.recogniser.give_work(desk.now).unwrap();
    desk.take(news);
    assert_eq!(desk.lost, [("it takes no requests", 0)]);
    assert_eq!(
        (desk.results(), desk.recogniser.waiting_count()),
        (Vec::new(), 1)
    );
}

#[test]
fn fourth_death_in_ten_minutes_leaves_the_worker_off() {
    let mut desk = Desk::new();
    for _ in 0..RESTARTS_MAX {
        desk.start_worker();
        desk.die();
    }
    desk.start_worker();
    desk.answer(&READY);
    for id in 1..=3 {
        desk.offer(pressed(id));
    }
    desk.die();
    let waits: Vec<u64> = desk.lost.iter().map(|(_, wait)| *wait).collect();
    assert_eq!(waits, [0, 500, 2_000, LEFT_OFF_MS]);
    // What was recorded before waits, also what the worker had; what is new has failed.
    assert_eq!(desk.results(), []);
    assert_eq!(desk.recogniser.restarts(), 4);
    desk.offer(pressed(4));
    assert_eq!(desk.results(), [(4, DOWN)]);
    // The next worker ends that, with three restarts of its own.
    desk.start_worker();
    assert!(!desk.recogniser.is_left_off());
    desk.answer(&READY);
    for number in 2..5 {
        desk.answer(&said(number, "text"));
    }
    let done = text(4);
    assert_eq!(desk.results(), [(4, DOWN), (1, done), (2, done), (3, done)]);
    desk.die();
    assert_eq!(desk.lost[4].1, 0);
}

#[test]
fn deaths_of_more_than_ten_minutes_ago_are_forgotten() {
    let mut desk = Desk::new();
    for _ in 0..10 {
        desk.start_worker();
        desk.die();
        desk.pass(RESTART_WINDOW_MS / 2);
    }
    assert!(!desk.recogniser.is_left_off());
    assert!(desk.lost.iter().all(|(_, wait)| *wait < LEFT_OFF_MS));
}

#[test]
fn stop_gives_the_running_one_its_verdict_or_the_reason_of_the_stop() {
    let shutdown = OutcomeResult::Dropped(DropReason::Shutdown);
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.stop();
    let (finished, slot) = &desk.done[0];
    assert_eq!((finished.outcome.result, *slot), (shutdown, 1));
    desk.stop();
    assert_eq!(desk.done.len(), 1);

    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.cancel();
    desk.stop();
    assert_eq!(desk.results(), [(1, CANCELLED)]);
}

#[test]
fn cuda_is_told_only_while_it_answers() {
    let mut desk = Desk::new();
    desk.start_worker();
    desk.answer(&Answer::Ready {
        cuda: true,
        load_ms: 1,
        canary: 7,
    });
    assert!(desk.recogniser.is_cuda());
    desk.die();
    assert!(!desk.recogniser.is_cuda() && desk.recogniser.was_ready());
}

#[test]
fn chunk_is_cancelled_by_a_press_and_done_again_after_it() {
    let mut desk = Desk::ready();
    desk.put_chunk(1);
    assert!(matches!(
        desk.asked()[..],
        [Request::Recognise {
            id: 1,
            part: Excerpt {
                slot: FILE_SLOT,
                ..
            }
        }]
    ));
    desk.talk(true);
    assert_eq!(desk.asked(), [Request::Cancel { id: 1 }]);
    assert_eq!(desk.recogniser.deadline(), Some(desk.now + CANCEL_MS_MAX));
    desk.answer(&failed(1, Fault::Cancelled));
    assert_eq!((desk.asked(), desk.results()), (Vec::new(), Vec::new()));
    // An utterance with the number of the chunk goes first.
    desk.offer(pressed(1));
    desk.talk(false);
    desk.answer(&said(2, "on"));
    desk.answer(&said(3, "chapter one"));
    assert_eq!(desk.results(), [(1, text(2)), (1, text(11))]);
    let slots: Vec<u8> = desk.done.iter().map(|(_, slot)| *slot).collect();
    assert_eq!(slots, [1, FILE_SLOT]);
    assert_eq!(desk.done[1].0.language, *b"en");
}

#[test]
fn worker_that_does_not_give_way_is_killed_and_that_was_a_try() {
    let mut desk = Desk::ready();
    desk.put_chunk(1);
    for _ in 0..2 {
        desk.talk(true);
        desk.pass(CANCEL_MS_MAX);
        desk.talk(false);
        desk.start_worker();
        desk.answer(&READY);
    }
    assert_eq!(desk.lost[..], [("it hangs", 0), ("it hangs", 0)]);
    assert_eq!(desk.results(), [(1, DIED)]);
}

#[test]
fn losses_over_chunks_cost_the_voice_none_of_its_restarts() {
    for cuda in [false, true] {
        let mut desk = Desk::new();
        desk.recogniser = Recogniser::new(1, cuda);
        desk.start_worker();
        desk.answer(&READY);
        // Five bad tries, and as many of the voice as are allowed.
        for id in 1..=5 {
            if !desk.recogniser.has_chunk() {
                desk.put_chunk(id);
            }
            desk.die();
            desk.start_worker();
            desk.answer(&READY);
        }
        assert!(desk.lost.iter().all(|(_, wait)| *wait == 0));
        assert_eq!(desk.results(), [(1, DIED), (3, DIED)]);
        assert_eq!(desk.recogniser.restarts(), 5);
        desk.talk(true);
        desk.answer(&failed(desk.recogniser.number, Fault::Cancelled));
        desk.lost.clear();
        for _ in 0..RESTARTS_MAX {
            desk.die();
            desk.start_worker();
            desk.answer(&READY);
        }
        let waits: Vec<u64> = desk.lost.iter().map(|(_, wait)| *wait).collect();
        assert_eq!(waits, [0, 500, 2_000]);
        assert!(!desk.recogniser.has_fallen_back() && !desk.recogniser.is_left_off());
    }
}

#[test]
fn files_wait_after_six_losses_over_chunks_and_the_voice_goes_on() {
    let mut desk = Desk::ready();
    for id in 1..=6 {
        if !desk.recogniser.has_chunk() {
            desk.put_chunk(id);
        }
        assert!(desk.recogniser.arbiter.has_chunk_at_worker());
        let holds = desk.recogniser.lose(desk.now).holds_files;
        assert_eq!(holds, id == 6);
        desk.settle();
        desk.start_worker();
        desk.answer(&READY);
    }
    let died = [(1, DIED), (3, DIED), (5, DIED)];
    assert_eq!(desk.results(), died);
    desk.put_chunk(7);
    assert_eq!(desk.asked(), []);
    desk.offer(pressed(1));
    desk.answer(&said(desk.recogniser.number, "on"));
    assert_eq!(desk.results()[3..], [(1, text(2))]);
    desk.pass(RESTART_WINDOW_MS - 1);
    assert!(!desk.recogniser.arbiter.has_chunk_at_worker());
    desk.pass(1);
    desk.answer(&said(desk.recogniser.number, "one"));
    assert_eq!(desk.results()[4..], [(7, text(3))]);
}

#[test]
fn losses_over_chunks_of_more_than_ten_minutes_ago_are_forgotten() {
    let mut desk = Desk::ready();
    for id in 1..=20 {
        if !desk.recogniser.has_chunk() {
            desk.put_chunk(id);
        }
        assert!(!desk.recogniser.lose(desk.now).holds_files);
        desk.settle();
        desk.start_worker();
        desk.answer(&READY);
        desk.pass(RESTART_WINDOW_MS / 4);
    }
}

#[test]
fn answer_that_a_panic_loses_is_seen_and_no_text_is_made_up() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    assert!(!desk.recogniser.is_astray());
    // Between the request's number and the arbiter.
    desk.recogniser.forget_sent();
    assert!(desk.recogniser.is_astray());
    desk.recogniser.lose(desk.now);
    desk.start_worker();
    desk.answer(&READY);
    assert!(!desk.recogniser.is_astray() && desk.recogniser.is_running());
    // Between the arbiter and the main loop.
    desk.recogniser.forget_sent();
    desk.recogniser.tell(Event::Answered(text(5)), desk.now);
    desk.settle();
    let internal = OutcomeResult::Dropped(DropReason::Internal);
    assert_eq!(desk.results(), [(1, internal)]);
}

#[test]
fn processor_takes_over_after_the_third_restart_with_cuda() {
    let mut desk = Desk::new();
    desk.recogniser = Recogniser::new(1, true);
    desk.offer(pressed(1));
    for _ in 0..4 {
        assert!(desk.recogniser.may_fall_back());
        desk.start_worker();
        desk.die();
    }
    // Nothing has failed: the next worker, on the processor, does it.
    let waits: Vec<u64> = desk.lost.iter().map(|(_, wait)| *wait).collect();
    assert_eq!((waits, desk.results()), (vec![0, 500, 2_000, 0], vec![]));
    assert!(desk.recogniser.has_fallen_back() && !desk.recogniser.is_left_off());
    desk.start_worker();
    desk.answer(&READY);
    desk.answer(&said(1, "on"));
    assert_eq!(desk.results(), [(1, text(2))]);
    // From here on the old rule holds.
    for _ in 0..4 {
        desk.die();
        desk.start_worker();
    }
    assert_eq!(desk.lost[7].1, LEFT_OFF_MS);
}

#[test]
fn worker_that_hears_the_known_clip_in_another_way_is_lost() {
    let ready = |cuda, canary| Answer::Ready {
        cuda,
        load_ms: 1,
        canary,
    };
    let mut desk = Desk::new();
    // Another provider may say it in other words.
    for (cuda, canary, lost) in [(true, 7, 0), (true, 7, 0), (true, 8, 1), (false, 8, 0)] {
        desk.lost.clear();
        desk.start_worker();
        desk.answer(&ready(cuda, canary));
        assert_eq!(desk.lost.len(), lost);
        assert_eq!(desk.recogniser.is_ready(), lost == 0);
    }
    desk.answer(&Answer::CanaryFailed(Canary::OtherWords));
    assert_eq!(desk.lost[0].0, "it does not recognise the known clip");
    // At the very first start it is the model that is wrong.
    let mut desk = Desk::new();
    desk.start_worker();
    desk.worker
        .as_mut()
        .unwrap()
        .send(&Answer::CanaryFailed(Canary::OtherWords))
        .unwrap();
    let news = desk.recogniser.receive(desk.now);
    assert!(matches!(news, Some(News::CannotLoad(why)) if why.contains("does not recognise")));
}

#[test]
fn model_that_computes_no_numbers_is_not_called_one_of_another_export() {
    for (canary, at_first, later) in [
        (
            Canary::NoNumbers,
            "(NaN)",
            "it computes numbers that are none",
        ),
        (
            Canary::NoAnswer,
            "cannot be run",
            "it cannot be run on the known clip",
        ),
    ] {
        let mut desk = Desk::new();
        desk.start_worker();
        let worker = desk.worker.as_mut().unwrap();
        worker.send(&Answer::CanaryFailed(canary)).unwrap();
        let Some(News::CannotLoad(why)) = desk.recogniser.receive(desk.now) else {
            panic!("such a model is not to be worked with");
        };
        assert!(
            why.contains(at_first) && why.contains(canary.remedy()),
            "{why}"
        );
        assert!(
            why.ends_with("board's file") && !why.contains("one export"),
            "{why}"
        );
        let mut desk = Desk::ready();
        desk.answer(&Answer::CanaryFailed(canary));
        assert_eq!(desk.lost[0].0, later);
    }
}

#[test]
fn overdue_worker_is_stuck_only_when_nobody_ends_it() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    let deadline = desk.recogniser.deadline().unwrap();
    assert!(!desk.recogniser.is_stuck(deadline + WORKER_OVERDUE_MS));
    assert!(desk.recogniser.is_stuck(deadline + WORKER_OVERDUE_MS + 1));
}

#[test]
fn descriptor_to_wait_for_is_the_workers() {
    let mut desk = Desk::new();
    assert_eq!(desk.recogniser.poll_fd().fd, -1);
    desk.start_worker();
    desk.worker.as_mut().unwrap().send(&READY).unwrap();
    assert_eq!(poll::wait(&mut [desk.recogniser.poll_fd()], 0), Ok(1));
}

/// What listen tells of an utterance as `pressed` makes it: half a second before its end.
fn told(id: u32, samples: u32, is_guess: bool) -> Ahead {
    let slot = pressed(id).slot;
    let look = Look {
        start: 3_200,
        samples,
        is_guess,
    };
    Ahead {
        utterance: id,
        slot,
        look,
    }
}

/// Samples of `pressed` that are asked for in the end.
const ASKED: u32 = 16_000 + 4_800 + 3_200;

impl Desk {
    fn look(&mut self, ahead: Ahead) {
        self.recogniser.look_ahead(ahead);
        self.turn();
    }

    fn guesses(&self) -> [u32; 3] {
        let GuessCounts {
            made,
            adopted,
            dropped,
        } = self.recogniser.guesses();
        [made, adopted, dropped]
    }
}

#[test]
fn worker_is_told_of_what_is_recorded_and_asked_when_it_is_closed() {
    let mut desk = Desk::ready();
    desk.look(told(1, 8_000, false));
    desk.look(told(1, ASKED, true));
    let ahead = |ahead: Ahead| Request::Ahead {
        part: part(&ahead),
        is_guess: ahead.look.is_guess,
    };
    let expected = [ahead(told(1, 8_000, false)), ahead(told(1, ASKED, true))];
    assert_eq!(desk.asked(), expected);
    // Nobody waits for it: no deadline, nothing shows.
    assert_eq!(desk.recogniser.deadline(), None);
    assert!(!desk.recogniser.is_running());
    desk.offer(pressed(1));
    let part = part(&told(1, ASKED, true));
    assert_eq!(desk.asked(), [Request::Recognise { id: 1, part }]);
    desk.answer(&said(1, "on"));
    assert_eq!(
        (desk.results(), desk.guesses()),
        (vec![(1, text(2))], [1, 1, 0])
    );
    desk.recogniser.forget(1);
    assert_eq!(desk.asked(), []);
}

#[test]
fn busy_worker_is_told_when_it_is_idle() {
    let mut desk = Desk::ready();
    desk.offer(pressed(1));
    desk.look(told(2, 8_000, false));
    desk.look(told(2, ASKED, true));
    assert_eq!(desk.asked().len(), 1);
    desk.answer(&said(1, "on"));
    assert!(matches!(
        desk.asked()[..],
        [Request::Ahead { is_guess: true, .. }]
    ));
    // A discard: what is kept is forgotten.
    desk.recogniser.forget(2);
    assert_eq!(desk.asked(), [Request::Forget]);
    assert_eq!(desk.guesses(), [1, 0, 1]);
}

#[test]
fn worker_that_dies_over_a_guess_costs_nobody_a_try_or_a_restart() {
    let mut desk = Desk::ready();
    for id in 1..=2 * u32::try_from(RESTARTS_MAX).unwrap() {
        desk.look(told(id, ASKED, true));
        desk.die();
        desk.start_worker();
        desk.answer(&READY);
        // For a minute there is no other, also not of the same utterance.
        desk.look(told(id, ASKED, true));
        assert_eq!(desk.asked(), []);
        desk.offer(pressed(id));
        let asked = desk.recogniser.number;
        desk.answer(&said(asked, "on"));
        desk.pass(AHEAD_REST_MS);
    }
    assert!(
        desk.lost
            .iter()
            .all(|lost| *lost == ("its process ended", 0))
    );
    assert!(desk.results().iter().all(|(_, result)| *result == text(2)));
    assert_eq!(desk.recogniser.restarts(), 6);
    // A request that was a guess has its two tries.
    desk.look(told(9, ASKED, true));
    desk.offer(pressed(9));
    for _ in 0..2 {
        desk.die();
        desk.start_worker();
        desk.answer(&READY);
    }
    assert_eq!(desk.results().last(), Some(&(9, DIED)));
}

#[test]
fn worker_that_lies_about_a_guess_is_lost() {
    let not_asked = "it answers what was not asked";
    let broken = "it failed at a guess and is not to be trusted";
    for (answer, why) in [
        (said(NOT_ASKED, "on"), not_asked),
        (said(1, "on"), not_asked),
        (failed(NOT_ASKED, Fault::Model), not_asked),
        (failed(NOT_ASKED, Fault::Sticky), broken),
        (failed(NOT_ASKED, Fault::Reload), broken),
    ] {
        let mut desk = Desk::ready();
        desk.look(told(1, ASKED, true));
        desk.answer(&answer);
        assert_eq!(desk.lost, [(why, 0)]);
    }
}

/// What may happen to a recogniser.
#[derive(Clone, Debug)]
enum Step {
    Offer(Trigger),
    Start,
    Ready,
    /// The worker answers the request with this number minus so much.
    Say(u32),
    Fail(Fault),
    Garbage,
    Die,
    Cancel,
    Chunk,
    Talk(bool),
    /// Listen tells of the next utterance.
    Look(bool),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop::sample::select(vec![
        Fault::Cancelled,
        Fault::BadRequest,
        Fault::Model,
        Fault::Sticky,
        Fault::Reload,
    ]);
    let trigger = prop::sample::select(vec![Trigger::Ptt, Trigger::Voice, Trigger::Wake]);
    let step = prop_oneof![
        5 => trigger.prop_map(Step::Offer),
        4 => Just(Step::Start),
        4 => Just(Step::Ready),
        4 => (0..2_u32).prop_map(Step::Say),
        2 => fault.prop_map(Step::Fail),
        1 => Just(Step::Garbage),
        2 => Just(Step::Die),
        1 => Just(Step::Cancel),
        3 => Just(Step::Chunk),
        2 => any::<bool>().prop_map(Step::Talk),
        4 => any::<bool>().prop_map(Step::Look),
        2 => prop::sample::select(vec![1, 2_000, 30_000, 200_000]).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..60)
}

/// Plays `steps` and a stop; every offer must come out once and free its slot once.
fn play(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut desk = Desk::new();
    let mut free: BTreeSet<u8> = (0..=FILE_SLOT).collect();
    let (mut offered, mut seen, mut at_worker) = (0, 0, 0);
    for step in steps {
        for request in desk.asked() {
            if let Request::Recognise { id, .. } = request {
                at_worker = id;
            }
        }
        match step {
            Step::Offer(trigger) => {
                // At most four are inside: three wait and one is at the worker or comes again.
                let slot = free.pop_first();
                prop_assert!(slot.is_some(), "slots run out");
                offered += 1;
                desk.offer(utterance(offered, slot.unwrap_or(0), trigger));
            }
            Step::Start if desk.worker.is_none() => desk.start_worker(),
            Step::Start => desk.turn(),
            Step::Ready => desk.answer(&READY),
            Step::Say(less) => desk.answer(&said(at_worker.wrapping_sub(less), "words")),
            Step::Fail(fault) => desk.answer(&failed(at_worker, fault)),
            Step::Garbage => desk.say(&[0xff; 9]),
            Step::Die => desk.die(),
            Step::Cancel => desk.cancel(),
            Step::Chunk if desk.recogniser.has_chunk() => {}
            Step::Chunk => {
                offered += 1;
                free.remove(&FILE_SLOT);
                desk.put_chunk(offered);
            }
            Step::Talk(talks) => desk.talk(talks),
            Step::Look(is_guess) => {
                let slot = free.first().copied().unwrap_or(0);
                let ahead = told(offered + 1, ASKED, is_guess);
                desk.look(Ahead { slot, ..ahead });
            }
            Step::Pass(ms) => desk.pass(ms),
        }
        if desk.recogniser.poll_fd().fd < 0 {
            desk.worker = None; // It was killed.
        }
        for (_, slot) in &desk.done[seen..] {
            prop_assert!(free.insert(*slot), "slot {slot} is freed twice");
        }
        seen = desk.done.len();
        let inside = desk.recogniser.waiting_count()
            + usize::from(desk.recogniser.is_running())
            + usize::from(desk.recogniser.has_chunk());
        prop_assert_eq!(seen + inside, offered as usize);
    }
    desk.stop();
    let mut ids: Vec<u32> = desk.results().iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    prop_assert_eq!(ids, (1..=offered).collect::<Vec<_>>());
    for (_, slot) in &desk.done[seen..] {
        prop_assert!(free.insert(*slot), "slot {slot} is freed twice");
    }
    prop_assert_eq!(free.len(), SLOT_COUNT + 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_utterance_has_one_outcome_and_frees_its_slot_once(steps in steps()) {
        play(steps)?;
    }
}
