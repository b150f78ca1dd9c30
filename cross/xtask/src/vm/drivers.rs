//! Kernel modules of the virtual board: which, in which order, and gpio-sim, which is built here.
//!
//! In: Debian's modules, headers and source. Out: files and `order` in a folder. A module names the
//! modules that it needs in its own `.modinfo`, so no `depmod` is needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::failed;
use crate::{Fallible, process};

/// What the x86-64 board needs, in the order in which it is wanted: a loop for sound, pins, the
/// agent's port, a disk, and a serial cable that can be pulled out.
pub(super) const BOARD: &[&str] = &[
    "snd-aloop",
    "gpio-sim",
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "crc32c_generic",
    "ext4",
    "xhci-pci",
    "ftdi_sio",
];
/// What the Raspberry Pi's kernel does not have built in: sound, and the agent's way in, over USB.
pub(super) const RASPI: &[&str] = &["snd-aloop", "phy-generic", "dwc2", "ftdi_sio"];

/// Files of the kernel's source that gpio-sim is made of.
const GPIO_SIM: [&str; 3] = [
    "drivers/gpio/gpio-sim.c",
    "drivers/gpio/gpiolib.h",
    "kernel/irq/irq_sim.c",
];

/// Builds gpio-sim and irq_sim, which Debian's kernel leaves out, and returns their files.
///
/// # Errors
/// What `tar` or `make` said.
pub(super) fn make_gpio_sim(source: &Path, headers: &Path, part: &Path) -> Fallible<Vec<PathBuf>> {
    let folder = part.join("gpio-sim");
    fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, &error))?;
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let top = name.trim_end_matches(".tar.xz");
    let mut command = Command::new("tar");
    command.arg("-xJf").arg(source).arg("-C").arg(&folder);
    // Its reading ends with the last of them.
    command.args(["--strip-components=3", "--occurrence=1"]);
    process::output(command.args(GPIO_SIM.map(|file| format!("{top}/{file}"))))?;
    let write = |name: &str, change: &dyn Fn(String) -> String| {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, change(text)).map_err(|error| failed("write", &path, &error))
    };
    write("irq_sim.c", &as_module)?;
    write("Makefile", &|_| {
        "obj-m := irq_sim.o gpio-sim.o\n".to_owned()
    })?;
    relocate(headers)?;
    let mut command = Command::new("make");
    command.arg("-C").arg(headers);
    command.arg(format!("M={}", folder.display()));
    // Debian's headers name the compiler's version; any gcc of this machine builds a module.
    process::output(command.args(["CC=cc", "modules"]))
        .map_err(|error| format!("gpio-sim does not build: {error}"))?;
    Ok(["irq_sim.ko", "gpio-sim.ko"]
        .map(|file| folder.join(file))
        .to_vec())
}

/// Makes a module of `irq_sim.c`, which the kernel only builds in: `irq_to_desc` is no symbol for
/// modules.
fn as_module(text: String) -> String {
    let text = text.replace(
        "irq_to_desc(irqnum)",
        "irq_data_to_desc(irq_get_irq_data(irqnum))",
    );
    format!("#include <linux/module.h>\n{text}\nMODULE_LICENSE(\"GPL\");\n")
}

/// Debian's headers are made for the root of a file system; these lie elsewhere.
fn relocate(headers: &Path) -> Fallible<()> {
    let path = headers.join("Makefile");
    let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
    let here = headers.parent().unwrap_or(headers);
    let text = text.replace("/usr/src", &here.to_string_lossy());
    fs::write(&path, text).map_err(|error| failed("write", &path, &error))
}

/// Copies modules and all that they need to `new/modules`, and writes their order to `new/order`.
///
/// # Errors
/// A module that the kernel does not have.
pub(super) fn collect(
    modules: &Path,
    made: &[PathBuf],
    wanted: &[&str],
    new: &Path,
) -> Fallible<()> {
    let mut known = BTreeMap::new();
    find(&modules.join("kernel"), &mut known)?;
    known.extend(made.iter().map(|path| (key(&stem(path)), path.clone())));
    let mut order = Vec::new();
    for name in wanted {
        add(name, &known, &mut order)?;
    }
    let folder = new.join("modules");
    fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, &error))?;
    for path in &order {
        let to = folder.join(path.file_name().unwrap_or_default());
        fs::copy(path, &to).map_err(|error| failed("copy", path, &error))?;
    }
    let names: String = order.iter().map(|path| stem(path) + "\n").collect();
    let path = new.join("order");
    fs::write(&path, names).map_err(|error| failed("write", &path, &error))
}

/// Puts what a module needs, and then the module, behind what is there.
fn add(name: &str, known: &BTreeMap<String, PathBuf>, order: &mut Vec<PathBuf>) -> Fallible<()> {
    let path = known
        .get(&key(name))
        .ok_or_else(|| format!("this kernel has no module {name}"))?;
    if order.contains(path) {
        return Ok(());
    }
    let bytes = fs::read(path).map_err(|error| failed("read", path, &error))?;
    for needed in depends(&bytes) {
        add(&needed, known, order)?;
    }
    order.push(path.clone());
    Ok(())
}

/// The names after `depends=` in the module's information.
fn depends(module: &[u8]) -> Vec<String> {
    let tag = b"\0depends=";
    let Some(at) = module.windows(tag.len()).position(|bytes| bytes == tag) else {
        return Vec::new();
    };
    let names = module[at + tag.len()..].split(|byte| *byte == 0).next();
    let names = String::from_utf8_lossy(names.unwrap_or_default()).into_owned();
    let names = names.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// All modules below a folder, by name.
fn find(folder: &Path, known: &mut BTreeMap<String, PathBuf>) -> Fallible<()> {
    let entries = fs::read_dir(folder).map_err(|error| failed("read", folder, &error))?;
    for entry in entries {
        let path = entry
            .map_err(|error| failed("read", folder, &error))?
            .path();
        if path.is_dir() {
            find(&path, known)?;
        } else if path.extension().is_some_and(|ending| ending == "ko") {
            known.insert(key(&stem(&path)), path);
        }
    }
    Ok(())
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Names of modules do not tell `-` from `_`.
fn key(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(module: &[u8], expected: &[&str]) {
        assert_eq!(depends(module), expected);
    }

    #[test]
    fn modules_name_what_they_need() {
        check(
            b"\x7fELF\0license=GPL\0depends=snd,snd-pcm\0retpoline=Y\0",
            &["snd", "snd-pcm"],
        );
        check(b"\0depends=\0name=soundcore\0", &[]);
        check(b"nothing", &[]);
    }

    #[test]
    fn irq_sim_becomes_a_module() {
        let text = as_module("\thandle_simple_irq(irq_to_desc(irqnum));\n".to_owned());
        assert!(
            text.contains("(irq_data_to_desc(irq_get_irq_data(irqnum)));"),
            "{text}"
        );
        assert!(text.ends_with("MODULE_LICENSE(\"GPL\");\n"), "{text}");
    }
}
