//! Safe mode: what an appliance does without that could not stay up.
//!
//! A plan in, the same with the built-in model on the processor and without a wake word out.

use pressel_boards::Provider;
use pressel_models::places;

use super::Plan;
use crate::config::Model;

/// Model of the safe mode.
const MODEL: &str = "nano";

/// A start in safe mode.
pub(super) struct Safe {
    /// Why, and how to leave it.
    pub(super) why: String,
    /// Jobs wait: another model than the configured one would recognise them.
    pub(super) jobs_wait: bool,
}

/// Makes a plan safe, and says so. Wake words are not listened for in any mode yet.
pub(super) fn make_safe(plan: &mut Plan) -> Safe {
    let folder = places::builtin(MODEL);
    let mut jobs_wait = false;
    // A package without the built-in model goes on with its own.
    if folder.is_dir() {
        jobs_wait = plan.config.model.folder() != folder;
        plan.config.model = Model {
            name: MODEL.to_owned(),
            ..Model::default()
        };
    }
    plan.board.worker.provider = Provider::Cpu;
    let model = plan.config.model.short_name();
    let jobs = if jobs_wait { ", jobs wait" } else { "" };
    let why = format!(
        "it crashed three times within a minute: model {model} on the processor, no wake \
         word{jobs}; see the log before this start. It ends with the first start after an end in \
         order or a minute later than the last, or with `pressel run --no-safe-mode`"
    );
    log::warn!("safe mode: {why}");
    Safe { why, jobs_wait }
}
