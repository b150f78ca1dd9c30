//! Kernel, drivers and small programs of the virtual board, out of Debian's packages.
//!
//! In: an architecture. Out: a folder `target/vm/ARCH` with all that a boot needs, whole or absent:
//! packages are fetched and unpacked beside it without being installed, and what is needed is
//! copied. With the folder in place nothing is fetched.

use std::fs;
use std::path::{Path, PathBuf};

use super::{drivers, failed};
use crate::cross::Apt;
use crate::fetch::Arch;
use crate::{Fallible, console};

/// Packages of programs beside the kernel.
const PROGRAMS: [&str; 2] = ["busybox-static", "alsa-utils"];
/// What is taken out of them, and its name here.
const FILES: [(&str, &str); 2] = [("bin/busybox", "busybox"), ("usr/bin/aplay", "aplay")];

/// What is there.
pub(super) struct Prepared {
    pub(super) folder: PathBuf,
}

impl Prepared {
    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Drivers in the order in which they are loaded.
    pub(super) fn drivers(&self) -> Fallible<Vec<PathBuf>> {
        let path = self.folder.join("order");
        let order = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
        let driver = |name: &str| self.folder.join("modules").join(format!("{name}.ko"));
        Ok(order.lines().map(driver).collect())
    }
}

/// Fetches and prepares what is not there yet.
///
/// # Errors
/// Names the package, program or file that failed. Nothing half-made stays in place.
pub(super) fn prepare(arch: Arch, work: &Path) -> Fallible<Prepared> {
    let folder = work.join(arch.debian());
    if folder.is_dir() {
        return Ok(Prepared { folder });
    }
    let part = work.join(format!(".part-{}", arch.debian()));
    remove(&part)?;
    let (root, new) = (part.join("root"), part.join("new"));
    for path in [&root, &new] {
        fs::create_dir_all(path).map_err(|error| failed("create", path, &error))?;
    }
    let apt = Apt::open(work)?;
    let kernel = Kernel::newest(arch, &apt)?;
    kernel.unpack(arch, &apt, &root)?;
    kernel.take(arch, &root, &new)?;
    if arch == Arch::X86_64 {
        let made = drivers::make_gpio_sim(&kernel.source_of(&root), &kernel.headers(&root), &part)?;
        drivers::collect(&kernel.modules(&root), &made, drivers::BOARD, &new)?;
    } else {
        drivers::collect(&kernel.modules(&root), &[], drivers::RASPI, &new)?;
    }
    fs::rename(&new, &folder).map_err(|error| failed("create", &folder, &error))?;
    remove(&part)?;
    Ok(Prepared { folder })
}

/// Names of Debian's newest kernel.
struct Kernel {
    /// For example `6.1.0-57-amd64`.
    release: String,
    /// For example `6.1`.
    series: String,
    /// Packages with headers and build programs.
    headers: Vec<String>,
}

impl Kernel {
    fn newest(arch: Arch, apt: &Apt) -> Fallible<Self> {
        let image = apt
            .depends(&format!("linux-image-{0}:{0}", arch.debian()))?
            .into_iter()
            .find_map(|name| name.strip_prefix("linux-image-").map(str::to_owned));
        let Some(release) = image else {
            return Err(format!(
                "apt knows no kernel linux-image-{}: this needs Debian's package lists \
                 (`sudo apt-get update` refreshes them)",
                arch.debian()
            ));
        };
        let series = series(&release).to_owned();
        let mut headers = Vec::new();
        if arch == Arch::X86_64 {
            let own = format!("linux-headers-{release}");
            headers = apt
                .depends(&own)?
                .into_iter()
                .filter(|name| name.starts_with("linux-headers-") || name.contains("kbuild"))
                .collect();
            headers.push(own);
        }
        Ok(Self {
            release,
            series,
            headers,
        })
    }

    /// Unpacks all packages below `root`.
    fn unpack(&self, arch: Arch, apt: &Apt, root: &Path) -> Fallible<()> {
        let mut names = vec![format!("linux-image-{}", self.release)];
        names.extend(self.headers.iter().cloned());
        if arch == Arch::X86_64 {
            names.push(format!("linux-source-{}", self.series));
        }
        names.extend(PROGRAMS.map(str::to_owned));
        console::say(&format!("vm fetches {}", names.join(", ")));
        for name in names {
            apt.unpack_alone(&format!("{name}:{}", arch.debian()), root)?;
        }
        Ok(())
    }

    /// Copies kernel and programs.
    fn take(&self, arch: Arch, root: &Path, new: &Path) -> Fallible<()> {
        let image = format!("boot/vmlinuz-{}", self.release);
        let mut files = vec![(image, "vmlinuz")];
        if arch == Arch::Aarch64 {
            let folder = format!("usr/lib/linux-image-{}/broadcom", self.release);
            files.push((format!("{folder}/{RASPI_TREE}"), RASPI_TREE));
        }
        files.extend(FILES.map(|(from, to)| (from.to_owned(), to)));
        for (from, to) in files {
            let (from, to) = (root.join(from), new.join(to));
            fs::copy(&from, &to).map_err(|error| failed("copy", &from, &error))?;
        }
        Ok(())
    }

    fn modules(&self, root: &Path) -> PathBuf {
        root.join("lib/modules").join(&self.release)
    }

    fn headers(&self, root: &Path) -> PathBuf {
        root.join(format!("usr/src/linux-headers-{}", self.release))
    }

    fn source_of(&self, root: &Path) -> PathBuf {
        root.join(format!("usr/src/linux-source-{}.tar.xz", self.series))
    }
}

/// The device tree of the Zero 2 W: its chip is the one that QEMU's Raspberry Pi 3 has.
pub(super) const RASPI_TREE: &str = "bcm2837-rpi-zero-2-w.dtb";

/// `6.1` of `6.1.0-57-amd64`.
fn series(release: &str) -> &str {
    let dots = release.match_indices('.').map(|(at, _)| at);
    dots.take(2).last().map_or(release, |at| &release[..at])
}

fn remove(folder: &Path) -> Fallible<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed("remove", folder, &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_kernel_is_its_first_two_numbers() {
        assert_eq!(series("6.1.0-57-amd64"), "6.1");
        assert_eq!(series("6.12.43+deb13-arm64"), "6.12");
        assert_eq!(series("next"), "next");
    }
}
