//! `pressel models`: the speech models of this machine.
//!
//! Names in; a table, verdicts, or models fetched, prepared and removed out: one file below does
//! each command. Only `fetch` opens a network connection.

#[cfg(feature = "fetch")]
mod fetch;
mod list;
pub mod prepare;
mod progress;
mod remove;
mod verify;

use std::path::PathBuf;

use pressel_models::places;

use super::args::{ModelsArguments, ModelsCommand};
use crate::failure::{Failure, Kind};

/// Does what is asked for.
///
/// # Errors
/// [`Kind::Usage`] for a name that no model has, [`Kind::Model`] for one that is not whole,
/// [`Kind::Disk`], [`Kind::Result`] for what a signal ended, and of `fetch` [`Kind::Device`] for
/// the network.
pub fn models(arguments: &ModelsArguments) -> Result<(), Failure> {
    match &arguments.command {
        #[cfg(feature = "fetch")]
        ModelsCommand::Fetch(arguments) => fetch::fetch(arguments),
        ModelsCommand::Prepare(arguments) => prepare::prepare(arguments),
        ModelsCommand::List { json } => list::list(*json),
        ModelsCommand::Verify { name, json } => verify::verify(name.as_deref(), *json),
        ModelsCommand::Remove { name, yes } => remove::remove(name, *yes),
    }
}

/// Returns the folder of a model that is named, or a folder that is given as such.
fn folder_of(name: &str) -> Result<PathBuf, Failure> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    places::model(name).ok_or_else(|| no_model(name))
}

fn no_model(name: &str) -> Failure {
    let why =
        format!("there is no model `{name}`: `pressel models list` shows those that are here");
    Failure::new(Kind::Usage, why)
}
