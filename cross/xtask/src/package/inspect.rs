//! What can be said of a package without installing it.
//!
//! In: a `.deb`. Out: a line about it, or the first thing that is wrong: a file that is missing, a
//! program for another machine, a library or a C library's version that it needs and does not ask
//! for.

use std::path::Path;
use std::process::Command;

use super::{Recipe, folder};
use crate::fetch::Arch;
use crate::{Fallible, process};

/// What the package must have.
const FILES: [&str; 22] = [
    "./usr/bin/pressel",
    "./usr/lib/pressel/libonnxruntime.so",
    "./usr/lib/systemd/system/pressel.service",
    "./usr/lib/udev/rules.d/60-pressel.rules",
    "./etc/pressel/pressel.toml",
    "./usr/share/pressel/models/builtin/nano/encoder_model.onnx",
    "./usr/share/pressel/models/builtin/nano/tokenizer.json",
    "./usr/share/pressel/models/wake/wake.onnx",
    "./usr/share/pressel/models/fetched/silero/silero_vad_16k_op15.onnx",
    "./usr/share/pressel/boards/rpi-5.toml",
    "./usr/share/pressel/boards/README.md",
    "./usr/share/pressel/boards/pictures/rpi-5.svg",
    "./usr/share/pressel/demo/demo.csv",
    "./usr/share/man/man1/pressel.1.gz",
    "./usr/share/man/man1/pressel-run.1.gz",
    "./usr/share/bash-completion/completions/pressel",
    "./usr/share/zsh/vendor-completions/_pressel",
    "./usr/share/fish/vendor_completions.d/pressel.fish",
    "./usr/share/doc/pressel/copyright",
    "./usr/share/doc/pressel/third-party.txt",
    "./usr/share/doc/pressel/onnxruntime.txt",
    "./usr/share/doc/pressel/silero.txt",
];
/// What it may be linked with, and the package that has it.
const LIBRARIES: [(&str, &str); 9] = [
    ("libasound.so.2", "libasound2"),
    ("libstdc++.so.6", "libstdc++6"),
    ("libgcc_s.so.1", "libgcc-s1"),
    ("libc.so.6", "libc6"),
    ("libm.so.6", "libc6"),
    ("libdl.so.2", "libc6"),
    ("librt.so.1", "libc6"),
    ("libpthread.so.0", "libc6"),
    ("ld-linux", "libc6"),
];
/// The programs in it.
const PROGRAMS: [&str; 2] = ["usr/bin/pressel", "usr/lib/pressel/libonnxruntime.so"];

/// Looks at a package.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(deb: &Path, recipe: &Recipe) -> Fallible<String> {
    let ask = |words: &[&str]| {
        let mut command = Command::new("dpkg-deb");
        process::output(command.arg(words[0]).arg(deb).args(&words[1..]))
    };
    let arch = ask(&["--field", "Architecture"])?;
    if arch.trim() != recipe.arch.debian() {
        return Err(format!("the package is for {}", arch.trim()));
    }
    let contents = ask(&["--contents"])?;
    files(&contents)?;
    if ask(&["--info", "conffiles"])?.trim() != "/etc/pressel/pressel.toml" {
        return Err("pressel.toml is not the one configuration file of the package".to_owned());
    }
    let depends = ask(&["--field", "Depends"])?;
    let place = folder().join("unpacked");
    std::fs::remove_dir_all(&place).ok();
    process::output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&place))?;
    let copyright = std::fs::read_to_string(place.join("usr/share/doc/pressel/copyright"));
    if !copyright.is_ok_and(|text| text.contains("Files: usr/lib/pressel/libonnxruntime.so")) {
        return Err("copyright is not that of cross/package".to_owned());
    }
    let mut floor = (0, 0);
    for program in PROGRAMS {
        let path = place.join(program);
        floor = floor
            .max(needs(&path, recipe.arch, &depends).map_err(|why| format!("{program}: {why}"))?);
    }
    let declared = declared(&depends).ok_or("the package does not say which libc6 it needs")?;
    if declared < floor {
        return Err(format!(
            "the program needs glibc {}.{}, the package asks for {}.{} only: build on an older \
             Debian (cross/Dockerfile), or raise `depends` in firmware/Cargo.toml",
            floor.0, floor.1, declared.0, declared.1
        ));
    }
    Ok(format!(
        "{} files, {}, glibc {}.{} or later",
        contents
            .lines()
            .filter(|line| line.starts_with('-'))
            .count(),
        recipe.arch.debian(),
        floor.0,
        floor.1
    ))
}

/// All files are there, root's, and writable by nobody else.
fn files(contents: &str) -> Fallible<()> {
    for line in contents.lines() {
        let writable =
            line.as_bytes().get(8) == Some(&b'w') || line.as_bytes().get(5) == Some(&b'w');
        // cargo-deb writes numbers only.
        let is_roots = line.contains(" root/root ") || line.contains(" 0/0 ");
        if writable || !is_roots {
            return Err(format!("not root's alone: {line}"));
        }
    }
    let has = |file: &str| contents.lines().any(|line| line.ends_with(file));
    match FILES.into_iter().find(|file| !has(file)) {
        Some(file) => Err(format!("{file} is not in the package")),
        None => Ok(()),
    }
}

/// The glibc that a program needs, when it is for the right machine and all its libraries are asked
/// for.
fn needs(program: &Path, arch: Arch, depends: &str) -> Fallible<(u32, u32)> {
    let read = |what: &str| {
        let mut command = Command::new("readelf");
        process::output(
            command
                .args([what, "--wide"])
                .arg(program)
                .env("LC_ALL", "C"),
        )
    };
    let machine = match arch {
        Arch::X86_64 => "X86-64",
        Arch::Aarch64 => "AArch64",
    };
    if !read("--file-header")?.contains(machine) {
        return Err(format!("not for {machine}"));
    }
    let dynamic = read("--dynamic")?;
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    for name in needed.filter_map(|line| line.split(['[', ']']).nth(1)) {
        let library = LIBRARIES.iter().find(|(start, _)| name.starts_with(start));
        let is_asked = library.is_some_and(|(_, package)| depends.contains(package));
        if !is_asked {
            return Err(format!(
                "needs {name}, and `depends` asks for no package with it"
            ));
        }
    }
    Ok(floor(&read("--version-info")?))
}

/// The highest version of glibc in what readelf says.
fn floor(versions: &str) -> (u32, u32) {
    let names = versions.split("GLIBC_").skip(1);
    names.filter_map(version).max().unwrap_or_default()
}

/// The libc6 that the package asks for.
fn declared(depends: &str) -> Option<(u32, u32)> {
    let rest = depends.split("libc6 (>= ").nth(1)?;
    version(rest)
}

/// `2.34` at the start of a text.
fn version(text: &str) -> Option<(u32, u32)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (major, minor) = text[..end.unwrap_or(text.len())].split_once('.')?;
    let minor = minor.split('.').next().unwrap_or(minor);
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_counts() {
        let said = "  0x0020: Name: GLIBC_2.9  Flags: none\n  0x30: Name: GLIBC_2.34  Flags\n \
                    0x40: Name: GLIBC_2.2.5  Flags: none\n 0x50: GLIBC_PRIVATE\n";
        assert_eq!(floor(said), (2, 34));
        assert_eq!(declared("libc6 (>= 2.34), adduser"), Some((2, 34)));
        assert_eq!(declared("adduser"), None);
    }

    #[test]
    fn a_missing_or_open_file_is_told() {
        let line = |mode: &str, owner: &str, file: &str| {
            format!("{mode} {owner}         1 2026-01-01 00:00 {file}\n")
        };
        let all: String = FILES
            .iter()
            .map(|file| line("-rw-r--r--", "root/root", file))
            .collect();
        assert_eq!(files(&all), Ok(()));
        let check = |text: String, expected: &str| {
            let error = files(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(all.replace(FILES[3], "./x"), FILES[3]);
        check(all.clone() + &line("-rw-r--rw-", "root/root", "./x"), "./x");
        check(all + &line("-rw-r--r--", "me/me", "./x"), "./x");
    }
}
