//! Other programs: started, waited for, and named in errors.
//!
//! In: a command. Out: success, its output, or an error that repeats the command as a person would
//! type it. Every call waits for its program; none goes through a shell.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};

use crate::Fallible;

/// The cargo that started xtask.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::root());
    command
}

/// Runs a program that shares the terminal.
///
/// # Errors
/// The program is missing, or ended with another code than 0.
pub(crate) fn run(command: &mut Command) -> Fallible<()> {
    let status = command
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", text(command)))
    }
}

/// Runs a program silently and returns what it wrote on stdout.
///
/// # Errors
/// The program is missing, or ended with another code than 0: its stderr is in the message.
pub(crate) fn output(command: &mut Command) -> Fallible<String> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&done.stderr);
    Err(format!(
        "`{}` ended with {}: {}",
        text(command),
        done.status,
        reason.trim()
    ))
}

/// What a program writes that is to be heard; the other stream is the terminal's.
pub(crate) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// Runs a program and hands on each line that it writes, as soon as it is there.
///
/// # Errors
/// The program is missing, or what it says cannot be read.
pub(crate) fn lines(
    command: &mut Command,
    stream: Stream,
    hear: &mut dyn FnMut(&str),
) -> Fallible<ExitStatus> {
    command.stdin(Stdio::null());
    match stream {
        Stream::Out => command.stdout(Stdio::piped()),
        Stream::Error => command.stderr(Stdio::piped()),
    };
    let mut child = command
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let out = child
        .stdout
        .take()
        .map(|out| Box::new(out) as Box<dyn Read>);
    let error = child
        .stderr
        .take()
        .map(|out| Box::new(out) as Box<dyn Read>);
    let heard = out.or(error).map(BufReader::new);
    for line in heard.into_iter().flat_map(|heard| heard.split(b'\n')) {
        let line = line.map_err(|error| format!("cannot read `{}`: {error}", text(command)))?;
        hear(&String::from_utf8_lossy(&line));
    }
    child
        .wait()
        .map_err(|error| format!("cannot wait for `{}`: {error}", text(command)))
}

/// Whether a program exists and ends with 0. Silent.
pub(crate) fn succeeds(line: &[&str]) -> bool {
    let Some((program, arguments)) = line.split_first() else {
        return false;
    };
    output(Command::new(program).args(arguments)).is_ok()
}

/// The command as a person would type it; the folders of its program are left out.
pub(crate) fn text(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    words
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The error of a program that could not be started.
pub(crate) fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", text(command))
}

fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_=./:,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/usr/bin/env");
        command.args(["A=b", "two words", "it's"]);
        assert_eq!(text(&command), r"env A=b 'two words' 'it'\''s'");
    }

    #[test]
    fn a_missing_program_is_a_failed_probe() {
        assert!(!succeeds(&["no-such-program-of-pressel"]));
        assert!(!succeeds(&[]));
    }

    #[test]
    fn errors_name_the_command_and_its_words() {
        let error = output(Command::new("cat").arg("/no such file")).unwrap_err();
        assert!(error.contains("cat '/no such file'"), "{error}");
        assert!(error.contains("exit status"), "{error}");
    }
}
