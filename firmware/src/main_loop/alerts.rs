//! Alerts: what the owner should know, as long as it is so.
//!
//! Beginnings and ends in, what the host has not been told out. Pure. Runs on the main loop. A host
//! that is greeted anew knows of none.

use pressel_wire::Alert;

/// Which alerts are on, and what the host knows; a bit for each code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Alerts {
    on: u8,
    told: u8,
}

const _: () = assert!(Alert::ALL.len() <= 8); // a bit each

impl Alerts {
    /// Begins or ends an alert.
    pub(super) fn set(&mut self, alert: Alert, on: bool) {
        change(&mut self.on, alert, on);
    }

    /// Returns whether an alert is on.
    #[must_use]
    pub(super) fn is_on(&self, alert: Alert) -> bool {
        self.on & bit(alert) != 0
    }

    /// Returns which alerts are on, a bit for each code.
    #[must_use]
    pub(super) fn bits(&self) -> u8 {
        self.on
    }

    /// Returns the next change that the host has not been told.
    #[must_use]
    pub(super) fn news(&self) -> Option<(Alert, bool)> {
        let differs = |alert: &&Alert| (self.on ^ self.told) & bit(**alert) != 0;
        let alert = *Alert::ALL.iter().find(differs)?;
        Some((alert, self.is_on(alert)))
    }

    /// The host was told this.
    pub(super) fn told(&mut self, alert: Alert, on: bool) {
        change(&mut self.told, alert, on);
    }

    /// The host was greeted: it knows of none.
    pub(super) fn greeted(&mut self) {
        self.told = 0;
    }
}

fn change(bits: &mut u8, alert: Alert, on: bool) {
    if on {
        *bits |= bit(alert);
    } else {
        *bits &= !bit(alert);
    }
}

/// Returns the bit of an alert; one that this version does not know has none.
fn bit(alert: Alert) -> u8 {
    1_u8.checked_shl(u32::from(u8::from(alert))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_news_until_they_are_told_and_again_after_a_greeting() {
        let mut alerts = Alerts::default();
        assert_eq!(alerts.news(), None);
        alerts.set(Alert::JournalDown, true);
        alerts.set(Alert::Unknown, true);
        assert_eq!(alerts.news(), Some((Alert::JournalDown, true)));
        alerts.told(Alert::JournalDown, true);
        assert_eq!(alerts.news(), None);
        alerts.greeted();
        assert_eq!(alerts.news(), Some((Alert::JournalDown, true)));
        alerts.set(Alert::JournalDown, false);
        assert_eq!(alerts.news(), None);
    }
}
