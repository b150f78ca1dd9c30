//! Safe mode: what an appliance does without that could not stay up.
//!
//! A plan in, the same with the built-in model on the processor and without a wake word out.

use pressel_boards::Provider;
use pressel_models::places;

use super::Plan;
use crate::config::{Model, Trigger};

/// Model of the safe mode.
const MODEL: &str = "nano";

/// Makes a plan safe, and says so. Returns why, and how to leave it.
pub(super) fn make_safe(plan: &mut Plan) -> String {
    let folder = places::builtin(MODEL);
    // A package without the built-in model goes on with its own.
    if folder.is_dir() {
        plan.config.model = Model {
            name: MODEL.to_owned(),
            ..Model::default()
        };
        // It may not know the words of a list that is meant for another model.
        plan.config.commands.list.clear();
    }
    // A recording may be what brings it down, and texts of another model would be no use.
    plan.jobs_paused = true;
    if plan.config.trigger == Trigger::Wake {
        plan.config.trigger = Trigger::Ptt;
    }
    plan.board.worker.provider = Provider::Cpu;
    let model = plan.config.model.short_name();
    let why = format!(
        "it crashed three times within a minute: model {model} on the processor, no wake word, \
         no closed list, jobs wait; see the log before this start. It ends with the first start \
         after an end in order or a minute later than the last, or with `pressel run \
         --no-safe-mode`"
    );
    log::warn!("safe mode: {why}");
    why
}
