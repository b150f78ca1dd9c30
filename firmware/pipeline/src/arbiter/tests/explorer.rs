//! Every state that the arbiter can reach, and every event in each of them.
//!
//! Breadth first from the start, on the real [`step`]. Utterances are told apart by the order of
//! their arrival only, so the states are finite although any number of utterances comes and goes:
//! nothing is left out. Chunks have the numbers of utterances, on purpose. Tests only.

use std::collections::{HashSet, VecDeque};
use std::vec::Vec;

use pressel_wire::Trigger;

use crate::arbiter::*;

/// The number of every chunk, which is also that of an utterance.
const CHUNK: u32 = 1;

/// What is inside: (is a chunk, number).
type Inside = Vec<(bool, u32)>;

/// Utterances that wait in the list, oldest first.
fn listed(state: &State) -> Vec<Utterance> {
    let mut waiting = state.waiting.clone();
    let mut all: Vec<Utterance> = core::iter::from_fn(|| waiting.take()).collect();
    all.sort_by_key(|utterance| utterance.id);
    all
}

fn inside(state: &State) -> Inside {
    let mut all: Inside = listed(state).iter().map(|u| (false, u.id)).collect();
    all.extend(state.again.map(|u| (false, u.id)));
    let running = |request: Request| (request.is_chunk, request.task.utterance.id);
    all.extend(state.at_worker.map(running));
    all.extend(state.chunk.map(|task| (true, task.utterance.id)));
    all.sort_unstable();
    all
}

/// Numbers the utterances inside anew, from 1, in the order of their arrival.
fn renumber(state: &mut State) {
    let old: Vec<u32> = inside(state)
        .iter()
        .filter(|(is_chunk, _)| !is_chunk)
        .map(|(_, id)| *id)
        .collect();
    let number = |utterance: &mut Utterance| {
        let place = old.iter().position(|id| *id == utterance.id).unwrap();
        utterance.id = u32::try_from(place + 1).unwrap();
    };
    let mut all = listed(state);
    state.waiting = Waiting::new();
    for utterance in &mut all {
        number(utterance);
        assert_eq!(state.waiting.offer(*utterance), None);
    }
    if let Some(again) = &mut state.again {
        number(again);
    }
    if let Some(request) = &mut state.at_worker
        && !request.is_chunk
    {
        number(&mut request.task.utterance);
    }
}

/// All that tells two states apart, in some bytes.
fn key(state: &State) -> [u8; 9] {
    let byte = |u: &Utterance| (u.trigger as u8) << 4 | u8::try_from(u.id).unwrap();
    let task = |task: &Task| byte(&task.utterance) | u8::from(task.is_second_try) << 7;
    let mut key = [0; 9];
    for (place, utterance) in key.iter_mut().zip(&listed(state)) {
        *place = byte(utterance);
    }
    key[3] = state.again.as_ref().map_or(0, byte);
    if let Some(request) = &state.at_worker {
        key[4] = task(&request.task);
        key[5] = match request.fate {
            Fate::Answer => 1,
            Fate::Place => 2,
            Fate::Verdict(CANCELLED) => 3,
            Fate::Verdict(_) => 4,
        } << 1
            | u8::from(request.is_chunk);
    }
    key[6] = state.chunk.as_ref().map_or(0, task);
    key[7] = state.worker as u8;
    key[8] = u8::from(state.talking) | u8::from(state.open) << 1 | u8::from(state.stopped) << 2;
    key[8] |= u8::from(state.has_paused) << 3;
    key
}

const TEXT: OutcomeResult = OutcomeResult::Text {
    bytes: 1,
    truncated: false,
};
const DIED: OutcomeResult = OutcomeResult::Failed(FailCode::WorkerDied);

/// Everything that can happen in a state.
fn events(state: &State) -> Vec<Event> {
    let next = u32::try_from(inside(state).len() + 1).unwrap();
    let mut all: Vec<Event> = [Trigger::Ptt, Trigger::Wake, Trigger::Voice]
        .into_iter()
        .map(|trigger| Event::Offer(Utterance::of_test(next, trigger)))
        .collect();
    // While one is inside, another one is a fault, which must not lose either.
    let number = if state.has_chunk() { CHUNK + 1 } else { CHUNK };
    all.push(Event::Chunk(Utterance::of_test(number, Trigger::File)));
    for is_on in [false, true] {
        all.extend([Event::Talk(is_on), Event::Open(is_on)]);
        all.push(Event::Lost { left_off: is_on });
        all.push(Event::Give { files: is_on });
    }
    all.extend([Event::NoModel, Event::Cancel, Event::Stop]);
    match state.worker {
        Worker::Away => all.extend([Event::Started, Event::Ready]),
        Worker::Ready => all.push(Event::Ready),
        Worker::LeftOff => all.push(Event::Started),
    }
    if state.at_worker.is_some() {
        let fault = OutcomeResult::Failed(FailCode::ModelFault);
        all.extend([TEXT, OutcomeResult::NoSpeech, CANCELLED, fault].map(Event::Answered));
        all.push(Event::Late);
    }
    all
}

fn urgency(utterance: &Utterance) -> (u8, u32) {
    (u8::from(utterance.trigger != Trigger::Ptt), utterance.id)
}

/// Nothing comes or goes but by an event and an end; each ends once.
fn check_books(before: &State, event: Event, step: &Step) {
    let mut entered = inside(before);
    match event {
        Event::Offer(utterance) => entered.push((false, utterance.id)),
        Event::Chunk(utterance) => entered.push((true, utterance.id)),
        _ => {}
    }
    let mut left = inside(&step.next);
    for action in &step.actions {
        if let Action::End {
            utterance,
            is_chunk,
            ..
        } = action
        {
            left.push((*is_chunk, utterance.id));
        }
    }
    entered.sort_unstable();
    left.sort_unstable();
    assert_eq!(entered, left, "{before:?} {event:?}");
}

/// One request at the worker, the most urgent first, and files last.
fn check_order(before: &State, event: Event, step: &Step) {
    let next = &step.next;
    let running = |state: &State| {
        let request = state.at_worker?;
        Some((request.is_chunk, request.task.utterance))
    };
    for action in &step.actions {
        match action {
            Action::Send(utterance) => {
                assert!(before.worker == Worker::Ready && before.at_worker.is_none());
                let (is_chunk, sent) = running(next).unwrap();
                assert!(matches!(event, Event::Give { files } if files || !is_chunk));
                assert_eq!(sent, *utterance);
                let first = listed(before).into_iter().min_by_key(urgency);
                match (before.again, first) {
                    (Some(again), _) => assert_eq!(sent, again),
                    (None, Some(first)) => assert_eq!(sent, first),
                    (None, None) => assert!(is_chunk && !before.talking && !before.open),
                }
            }
            Action::Cancel => {
                assert_eq!(running(before), running(next));
                assert!(!before.is_cancelled() && next.is_cancelled());
            }
            Action::End { .. } => {}
        }
    }
    let cancels = |action: &&Action| matches!(action, Action::Cancel);
    let became = running(before).is_some() && !before.is_cancelled() && next.is_cancelled();
    assert_eq!(
        step.actions.iter().filter(cancels).count(),
        usize::from(became)
    );
    // A chunk has given way in the very step in which somebody came before it.
    if running(next).is_some_and(|(is_chunk, _)| is_chunk) {
        let taken = next.talking || next.open || !listed(next).is_empty() || next.again.is_some();
        assert!(!taken || next.is_cancelled(), "{before:?} {event:?}");
    }
}

/// A full list drops the oldest of the least urgent, and never a chunk.
fn check_busy(before: &State, event: Event, step: &Step) {
    for action in &step.actions {
        let Action::End {
            utterance,
            result: OutcomeResult::Dropped(DropReason::Busy),
            is_chunk,
        } = action
        else {
            continue;
        };
        let Event::Offer(offered) = event else {
            panic!("{event:?} makes busy")
        };
        let mut all = listed(before);
        assert_eq!(all.len(), WAITING_UTTERANCES_MAX);
        all.push(offered);
        let worst = all.iter().map(|u| urgency(u).0).max();
        let expected = all.into_iter().find(|u| Some(urgency(u).0) == worst);
        assert_eq!((Some(*utterance), *is_chunk), (expected, false));
    }
}

/// A chunk ends by its own result: an answer, too late, or its second lost worker.
fn check_chunk(before: &State, event: Event, step: &Step) {
    let had = |state: &State| {
        let running = state.at_worker.filter(|request| request.is_chunk);
        state.chunk.or(running.map(|request| request.task))
    };
    let running = before.at_worker.filter(|request| request.is_chunk);
    let lost = matches!(event, Event::Lost { .. }) && running.is_some();
    // Giving way neither counts as a try nor forgets one.
    if let (Some(old), Some(new)) = (had(before), had(&step.next)) {
        assert_eq!(new.is_second_try, old.is_second_try || lost);
    }
    for action in &step.actions {
        let Action::End {
            utterance,
            result,
            is_chunk: true,
        } = *action
        else {
            continue;
        };
        let timeout = OutcomeResult::Failed(FailCode::Timeout);
        match (event, running.map(|request| request.fate)) {
            (Event::Stop, Some(Fate::Verdict(verdict))) => assert_eq!(result, verdict),
            (Event::Stop, _) => assert_eq!(result, SHUTDOWN),
            (Event::Chunk(given), _) => assert_eq!(given, utterance),
            (Event::Answered(answer), Some(Fate::Answer)) => assert_eq!(result, answer),
            (Event::Answered(answer), Some(Fate::Place)) => {
                assert_eq!(result, answer);
                assert!(matches!(answer, TEXT | OutcomeResult::NoSpeech));
            }
            (Event::Answered(_) | Event::Lost { .. }, Some(Fate::Verdict(_))) => {
                assert_eq!(result, timeout);
            }
            (Event::Lost { .. }, Some(_)) => {
                assert_eq!((result, had(before).unwrap().is_second_try), (DIED, true));
            }
            (event, _) => panic!("a chunk ends by {event:?}"),
        }
    }
}

/// A lost worker ends an utterance at its second try or by its verdict, and what waits only when
/// one pause follows another.
fn check_loss(before: &State, event: Event, step: &Step) {
    let Event::Lost { left_off } = event else {
        return;
    };
    let ends = |action: &Action| match *action {
        Action::End {
            utterance,
            is_chunk: false,
            ..
        } => Some(utterance),
        _ => None,
    };
    let ended: Vec<Utterance> = step.actions.iter().filter_map(ends).collect();
    let running = before.at_worker.filter(|request| !request.is_chunk);
    for utterance in &ended {
        let at_worker = running.filter(|request| request.task.utterance == *utterance);
        let due = at_worker.map_or(left_off && before.has_paused, |request| {
            request.task.is_second_try || matches!(request.fate, Fate::Verdict(_))
        });
        assert!(due, "{before:?} {event:?}");
    }
    let waits_on = left_off && before.has_paused && 0 < step.next.waiting_count();
    assert!(!waits_on, "{before:?} {event:?}");
}

/// What is at the worker ends when it must: no third try, and what is done is done.
fn check_end_is_due(before: &State, event: Event, step: &Step) {
    let Some(Request { task, fate, .. }) = before.at_worker else {
        return;
    };
    let is_due = match (event, fate) {
        (Event::Stop, _) | (Event::Answered(_), Fate::Answer) => true,
        (Event::Answered(_) | Event::Lost { .. }, Fate::Verdict(_)) => true,
        (Event::Answered(answer), Fate::Place) => {
            matches!(answer, TEXT | OutcomeResult::NoSpeech)
        }
        (Event::Lost { .. }, _) => task.is_second_try,
        _ => false,
    };
    let ends = |action: &Action| match action {
        Action::End { utterance, .. } => *utterance == task.utterance,
        _ => false,
    };
    assert!(
        !is_due || step.actions.iter().any(ends),
        "{before:?} {event:?}"
    );
}

/// With silence, a worker and answers, everything inside ends, and the chunk with its text.
fn check_way_out(state: &State) {
    let mut state = state.clone();
    let mut left = inside(&state);
    let mut play = |state: &mut State, event| {
        let step = step(state, event);
        for action in &step.actions {
            if let Action::End {
                utterance,
                result,
                is_chunk,
            } = *action
            {
                let place = left.iter().position(|at| *at == (is_chunk, utterance.id));
                left.remove(place.unwrap());
                let late = OutcomeResult::Failed(FailCode::Timeout);
                assert!(!is_chunk || matches!(result, TEXT) || result == late);
            }
        }
        *state = step.next;
    };
    for event in [Event::Talk(false), Event::Open(false)] {
        play(&mut state, event);
    }
    if state.worker != Worker::Ready {
        play(&mut state, Event::Started);
        play(&mut state, Event::Ready);
    }
    // The waiting ones, one to be tried again, one at the worker, and a chunk twice.
    for _ in 0..WAITING_UTTERANCES_MAX + 4 {
        if state.at_worker.is_some() {
            let answer = if state.is_cancelled() {
                CANCELLED
            } else {
                TEXT
            };
            play(&mut state, Event::Answered(answer));
        }
        play(&mut state, Event::Give { files: true });
    }
    assert_eq!((left, state.at_worker), (Inside::new(), None));
}

#[test]
#[allow(clippy::print_stdout, reason = "the counts of a proof are its result")]
fn prove_model_arbiter() {
    let mut seen = HashSet::from([key(&State::default())]);
    let mut todo = VecDeque::from([State::default()]);
    let (mut transitions, mut actions_max) = (0_u64, 0);
    while let Some(state) = todo.pop_front() {
        check_way_out(&state);
        for event in events(&state) {
            let mut step = step(&state, event);
            transitions += 1;
            actions_max = actions_max.max(step.actions.len());
            check_books(&state, event, &step);
            check_order(&state, event, &step);
            check_busy(&state, event, &step);
            check_chunk(&state, event, &step);
            check_loss(&state, event, &step);
            check_end_is_due(&state, event, &step);
            if event == Event::Stop {
                assert_eq!(inside(&step.next), Inside::new());
            }
            renumber(&mut step.next);
            if seen.insert(key(&step.next)) {
                todo.push_back(step.next);
            }
        }
    }
    assert!(actions_max <= ARBITER_ACTIONS_MAX);
    let states = seen.len();
    std::println!(
        "proof model: full seed=none arbiter states={states} transitions={transitions} \
         actions_max={actions_max}"
    );
}
