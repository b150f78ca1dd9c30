//! The machine that is measured on: what it is, and which cores are used.
//!
//! Read from `/proc` and `/sys`; what is not there is left out. Nothing is changed.

use std::fs;

/// What is said about the machine above each table.
pub(crate) struct Machine {
    /// The processor's own name.
    pub(crate) processor: String,
    /// Cores that this process may use, one of each physical core first.
    cores: Vec<usize>,
    /// Processes that wanted to run in the last minute, on average.
    load: f64,
}

/// Load above which the table is not to be trusted.
const LOAD_MAX: f64 = 0.7;

impl Machine {
    /// Looks at this machine.
    pub(crate) fn look() -> Self {
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = ["model name", "Model"]
            .iter()
            .find_map(|key| field(&information, key));
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = field(&status, "Cpus_allowed_list").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().and_then(|word| word.parse().ok());
        Self {
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.into()),
            cores: apart(&list(&allowed), &siblings),
            load: load.unwrap_or_default(),
        }
    }

    /// The first `count` cores, as taskset wants them; `None` when there are fewer.
    pub(crate) fn cores(&self, count: usize) -> Option<String> {
        let cores = self.cores.get(..count)?;
        let words: Vec<String> = cores.iter().map(ToString::to_string).collect();
        Some(words.join(","))
    }

    /// How many cores there are.
    pub(crate) fn count(&self) -> usize {
        self.cores.len()
    }

    /// What makes the numbers doubtful.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let busy = LOAD_MAX < self.load;
        let line = format!(
            "the load of this machine is {:.1} already: the times will be too long, and the ratios \
             rough",
            self.load
        );
        busy.then_some(line).into_iter().collect()
    }
}

/// The value of `key: value` in a text of such lines.
fn field(text: &str, key: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = pairs.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}

/// The numbers in `0-2,5`.
fn list(text: &str) -> Vec<usize> {
    let ranges = text.trim().split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().collect()
}

/// The cores that share a physical core with `core`, itself included.
fn siblings(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    list(&fs::read_to_string(path).unwrap_or_default())
}

/// Orders cores so that no two of one physical core come early.
fn apart(cores: &[usize], siblings: &dyn Fn(usize) -> Vec<usize>) -> Vec<usize> {
    let is_first = |core: &usize| {
        let together = siblings(*core);
        together
            .iter()
            .filter(|other| cores.contains(other))
            .min()
            .unwrap_or(core)
            == core
    };
    let (mut first, second): (Vec<usize>, Vec<usize>) =
        cores.iter().partition(|core| is_first(core));
    first.extend(second);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_read() {
        let check = |text, expected: &[usize]| assert_eq!(list(text), expected, "{text}");
        check("0-2,5\n", &[0, 1, 2, 5]);
        check("3", &[3]);
        check("", &[]);
    }

    #[test]
    fn threads_of_one_core_come_late() {
        let pairs = |core: usize| vec![core / 2 * 2, core / 2 * 2 + 1];
        assert_eq!(apart(&[0, 1, 2, 3], &pairs), [0, 2, 1, 3]);
        assert_eq!(apart(&[1, 2, 3], &pairs), [1, 2, 3]);
        assert_eq!(apart(&[0, 1], &|_| Vec::new()), [0, 1]);
    }

    #[test]
    fn a_machine_knows_its_cores() {
        let machine = Machine::look();
        assert!(machine.cores(machine.count() + 1).is_none());
        assert!(machine.cores(machine.count().min(1)).is_some());
    }
}
