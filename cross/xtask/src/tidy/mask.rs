//! Rust text without its comments and literals, so that a rule sees only code.
//!
//! In: the text of a file. Out: the same text, line by line, with spaces where comments, strings
//! and characters were. A small scanner, not a parser: it knows nested comments, raw strings,
//! escapes and the difference between `'a'` and a lifetime.

/// Blanks comments and literals; lines keep their numbers.
pub(super) fn mask(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = hidden_end(&letters[at..]).map_or(at, |count| at + count);
        if end == at {
            masked.push(letters[at]);
            at += 1;
        }
        for letter in &letters[at..end.max(at)] {
            masked.push(if *letter == '\n' { '\n' } else { ' ' });
        }
        at = end.max(at);
    }
    masked
}

/// How many characters are hidden from here on; none when code begins here.
fn hidden_end(rest: &[char]) -> Option<usize> {
    match rest {
        ['/', '/', ..] => Some(until(rest, &['\n'])),
        ['/', '*', ..] => Some(comment_end(rest)),
        ['"', ..] => Some(quoted_end(rest, '"')),
        ['r', '"' | '#', ..] => raw_end(rest),
        ['\'', '\\', ..] | ['\'', _, '\'', ..] => Some(quoted_end(rest, '\'')),
        _ => None,
    }
}

/// Characters before the next `mark`.
fn until(rest: &[char], mark: &[char]) -> usize {
    rest.windows(mark.len())
        .position(|window| window == mark)
        .unwrap_or(rest.len())
}

fn comment_end(rest: &[char]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_end(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn raw_end(rest: &[char]) -> Option<usize> {
    let hash_count = rest[1..]
        .iter()
        .take_while(|letter| **letter == '#')
        .count();
    let body = 2 + hash_count;
    if rest.get(body - 1) != Some(&'"') {
        return None; // A raw identifier: `r#type`.
    }
    let mut mark = vec!['"'];
    mark.extend(std::iter::repeat_n('#', hash_count));
    Some((body + until(&rest[body..], &mark) + mark.len()).min(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(mask(text), expected, "{text}");
        assert_eq!(mask(text).lines().count(), text.lines().count());
    }

    #[test]
    fn comments_and_literals_are_blank() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
        check("f(\"unsafe\", 'u', '\\'')", "f(        ,    ,     )");
        check("f(r#\"a\"b\"#) + r\"c\"", "f(        ) +     ");
        check("f(b\"\\\"\") + 1", "f(b    ) + 1");
    }

    #[test]
    fn code_stays() {
        check(
            "fn f<'a>(x: &'a str) -> r#type { }",
            "fn f<'a>(x: &'a str) -> r#type { }",
        );
        check("let d = a / b;", "let d = a / b;");
    }

    #[test]
    fn a_literal_without_end_hides_the_rest() {
        check("a \"b\nc", "a   \n ");
        check("a /* b", "a     ");
        check("a r#\"b", "a     ");
    }
}
