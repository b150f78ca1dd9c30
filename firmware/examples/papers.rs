//! Writes the man pages and the shell completions of `pressel`.
//!
//! Nothing has to be connected. In: a folder. Out: in it `man/pressel.1`, one page more for each
//! command, and `bash/`, `zsh/` and `fish/` with one file each, all from the definitions that the
//! program itself parses with. Prints nothing. `cargo xtask package` runs it:
//!
//!     cargo run --package pressel --example papers -- target/papers
//!     man target/papers/man/pressel-run.1

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use pressel::cli::args::Arguments;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("papers: name a folder: papers target/papers")?;
    let man = made(&folder, "man")?;
    clap_mangen::generate_to(Arguments::command(), man)?;
    for (name, shell) in [
        ("bash", Shell::Bash),
        ("zsh", Shell::Zsh),
        ("fish", Shell::Fish),
    ] {
        let place = made(&folder, name)?;
        clap_complete::generate_to(shell, &mut Arguments::command(), "pressel", place)?;
    }
    Ok(())
}

/// Makes a folder in `parent` and returns its path.
fn made(parent: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let folder = parent.join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
