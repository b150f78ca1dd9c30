//! `pressel models`: the speech models of this machine.
//!
//! Arguments in; one file below does each command.

pub mod prepare;

use clap::{Args, Subcommand};

use crate::failure::Failure;

/// Options of `models`.
#[derive(Clone, Debug, Args)]
pub struct ModelsArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// What can be done with models.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelsCommand {
    /// Turn a stock Whisper export into the graphs that run fastest here.
    Prepare(prepare::PrepareArguments),
}

/// Does what was asked.
///
/// # Errors
/// [`Failure`] of the command.
pub fn models(arguments: &ModelsArguments) -> Result<(), Failure> {
    match &arguments.command {
        ModelsCommand::Prepare(arguments) => prepare::prepare(arguments),
    }
}
