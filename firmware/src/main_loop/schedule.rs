//! The whole appliance in one thread, under a random schedule of all that can happen to it.
//!
//! ```text
//!   seed ─▶ steps ─▶ fingers, host, air, disks ─▶ main loop, listen, jobs, journal ─▶ checks
//!                          time and turns ──────▶ worker and keeper of the test
//! ```
//!
//! Everything that is ours is real, but for the threads: their turns are taken here, in any order.
//! `air` is what can be heard; `worker`, `keeper` and `host` are played; `life` is the appliance
//! from start to kill, `rest` the end of a storm, `checks` what must hold. The same seed gives the
//! same run.

mod air;
mod checks;
mod host;
mod keeper;
mod life;
mod rest;
mod worker;
mod world;

use pressel_wire::HostMessage;

use self::world::World;
use crate::jobs::JobRequest;
use crate::journal::sim_disk::Fault;
use crate::prove;

/// Does one random step, and lets some time pass.
fn step(world: &mut World) {
    match world.dice.below(1_000) {
        0..150 => {
            let pressed = world.place.button.is_lit();
            world.place.button.put(!pressed);
        }
        150..170 => world.host.say(&HostMessage::PttDown),
        170..200 => world.host.say(&HostMessage::PttUp),
        200..310 => {
            let ms = world.dice.between(100, 4_000);
            world.place.air.sound(ms, false);
        }
        310..330 => {
            let ms = world.dice.between(300, 1_000);
            world.place.air.sound(ms, true);
        }
        330..355 => world.record_tape(),
        355..362 => {
            let number = world.any_job();
            world.ask(JobRequest::Cancel { number });
        }
        362..380 => {
            let number = world.any_job();
            world.ask(JobRequest::Retry { number });
        }
        380..383 => world.kill_worker(),
        383..385 => world.work.poison = 2,
        385..387 => world.kill(false),
        387..388 => world.kill(true),
        388..389 => world.end_in_order(),
        389..396 => lose_device(world),
        396..401 => world.host.say(&HostMessage::Cancel),
        401..411 => world.host.say(&HostMessage::GetStatus),
        411..413 => world.host.restart(),
        413..429 => mute(world),
        429..431 => fail_disk(world),
        431..435 => {
            let samples = world.dice.between(100, 10_000);
            world.place.air.overrun(samples as u32);
        }
        440..460 => world.hold_up(),
        435..440 => {
            for _ in 0..world.dice.between(10, 60) {
                world.tick(100);
            }
        }
        _ => {}
    }
    put_back(world);
    for _ in 0..world.dice.between(1, 4) {
        let ms = world.dice.between(1, 120);
        world.tick(ms);
    }
    world.look_at_power();
}

/// The line or the microphone is pulled out.
fn lose_device(world: &mut World) {
    if world.dice.chance(500) {
        world.counts.microphone_losses += usize::from(world.place.air.is_there());
        world.place.air.plug(false);
    } else {
        world.counts.link_losses += usize::from(world.has_line);
        world.has_line = false;
        world.host.peer = None;
    }
}

/// What was pulled out is put back after a while, and what was muted is not for ever.
fn put_back(world: &mut World) {
    if world.dice.chance(30) {
        world.place.air.plug(true);
    }
    // Now and then the host is away for long.
    let wait = if world.counts.link_losses % 10 == 9 {
        1
    } else {
        30
    };
    if world.dice.chance(wait) {
        world.has_line = true;
    }
    if world.place.mute.is_lit() && world.dice.chance(50) {
        world.place.mute.put(false);
        world.turn();
    }
}

/// Switch or host mute, or no longer. The main loop sees it before there is more.
fn mute(world: &mut World) {
    match world.dice.below(8) {
        0 => world.place.mute.put(true),
        1 => world.host.say(&HostMessage::Mute(true)),
        2 => {
            // So short that a press right after it would reach back before it.
            world.host.say(&HostMessage::Mute(true));
            world.turn();
            world.host.say(&HostMessage::Mute(false));
            world.turn();
            world.tick(30);
            world.tick(30);
            world.place.button.put(true);
        }
        _ => world.host.say(&HostMessage::Mute(false)),
    }
    world.turn();
}

/// Some of the next writes fail.
fn fail_disk(world: &mut World) {
    world.counts.disk_errors += 1;
    world.has_failed = true;
    let mut faults = |first: usize| -> Vec<_> {
        let count = world.dice.between(1, 5) as usize;
        let of = |at| match world.dice.below(20) {
            0 => (at, Fault::PowerCut),
            1..11 => (at, Fault::Error),
            _ => (at, Fault::ErrorAfter),
        };
        (first..first + count).map(of).collect()
    };
    let place = &world.place;
    place
        .journal
        .set_faults(&faults(place.journal.operations()));
    let disk = &place.folder.disk;
    disk.set_faults(&faults(disk.operations()));
    place.folder.set_faults(&faults(place.folder.operations()));
}

fn tell(world: &World, seed: u64, steps: usize) {
    let (counts, work) = (&world.counts, &world.work);
    let lives = 1 + counts.kills + counts.power_cuts + counts.ends;
    let results = world.checks.results.iter();
    let results: Vec<_> = results
        .map(|(name, count)| format!("{name}:{count}"))
        .collect();
    prove::say(
        "schedule",
        seed,
        &format!(
            "steps={steps} lives={lives} power_cuts={} ended_in_order={} outcomes={} {} \
             host_heard={} host_gaps={} host_restarts={} chunks={} chunks_again={} \
             yields={} jobs={} retried={} forgotten={} \
             worker_deaths={} worker_hangs={} late_answers={} looks_ahead={} guesses={} \
             adopted={} worker_deaths_ahead={} link_losses={} frames_damaged={} \
             microphone_losses={} disk_errors={} held_up={} rests={} simulated_s={}",
            counts.power_cuts,
            counts.ends,
            world.checks.known.len(),
            results.join(","),
            world.host.heard.len(),
            world.host.gaps.len(),
            world.host.restarts,
            work.chunks,
            work.chunks_again,
            work.yields,
            counts.jobs,
            counts.retried,
            counts.forgotten,
            work.deaths,
            work.hangs,
            work.late,
            work.looks,
            work.guesses,
            work.adopted,
            work.deaths_ahead,
            counts.link_losses,
            world.host.noise,
            counts.microphone_losses,
            counts.disk_errors,
            counts.stuck,
            counts.rests,
            (world.now - 1_000_000_000) / 1_000,
        ),
    );
}

#[test]
fn prove_schedule_of_random_steps_loses_nothing_and_comes_to_rest() {
    let (seed, steps) = (
        prove::seed(),
        if prove::is_full() { 100_000 } else { 5_000 },
    );
    prove::begin("schedule", seed);
    let mut world = World::new(seed);
    for number in 1..=steps {
        step(&mut world);
        if number % 1_000 == 0 {
            world.rest();
        }
    }
    tell(&world, seed, steps);
}
