//! Text of strangers without what a terminal would obey.
//!
//! In: what was said, a name, a path, an answer of a hub. Out: the same on one line, to be shown.

/// Returns text in which each control character is a space: it moves no cursor and begins no line.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_left_out() {
        assert_eq!(plain("\x1b[2J\nx"), " [2J x");
        assert_eq!(plain("\u{9b}31mrot\u{7f}\t"), " 31mrot  ");
        assert_eq!(plain("schön, 好"), "schön, 好");
    }
}
