//! The languages that Whisper knows, by code and by name.
//!
//! Flow: what the owner wrote, or a token of the model -> [`Language`] -> a code for texts, and two
//! bytes for the wire. Plain data, on any thread, nothing allocates.
//!
//! Source: `LANGUAGES` of openai-whisper's tokenizer.py; the codes are its own (`jw` is Javanese).

use core::fmt;

/// Codes and names, in the order of Whisper's tokens.
const KNOWN: &str = "en english, zh chinese, de german, es spanish, ru russian, ko korean, \
    fr french, ja japanese, pt portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, \
    sv swedish, it italian, id indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, \
    uk ukrainian, el greek, ms malay, cs czech, ro romanian, da danish, hu hungarian, ta tamil, \
    no norwegian, th thai, ur urdu, hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, \
    ml malayalam, cy welsh, sk slovak, te telugu, fa persian, lv latvian, bn bengali, sr serbian, \
    az azerbaijani, sl slovenian, kn kannada, et estonian, mk macedonian, br breton, eu basque, \
    is icelandic, hy armenian, ne nepali, mn mongolian, bs bosnian, kk kazakh, sq albanian, \
    sw swahili, gl galician, mr marathi, pa punjabi, si sinhala, km khmer, sn shona, yo yoruba, \
    so somali, af afrikaans, oc occitan, ka georgian, be belarusian, tg tajik, sd sindhi, \
    gu gujarati, am amharic, yi yiddish, lo lao, uz uzbek, fo faroese, ht haitian creole, \
    ps pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish, my myanmar, \
    bo tibetan, tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, \
    ha hausa, ba bashkir, jw javanese, su sundanese, yue cantonese";

/// A language, by its code of two or three letters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Language([u8; 3]);

impl Language {
    /// English, the only language of many models.
    pub const ENGLISH: Self = Self(*b"en\0");

    /// Returns the language of a code of two or three small letters, known to Whisper or not.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        let letters = code.as_bytes();
        if !letters.iter().all(u8::is_ascii_lowercase) {
            return None;
        }
        match *letters {
            [a, b] => Some(Self([a, b, 0])),
            [a, b, c] => Some(Self([a, b, c])),
            _ => None,
        }
    }

    /// Returns the language that Whisper knows by this code or English name, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let same = |word: &str| word.eq_ignore_ascii_case(text);
        let found = Self::known().find(|&(code, name)| same(code) || same(name));
        found.and_then(|(code, _)| Self::of_code(code))
    }

    /// Returns code and name of each language that Whisper knows.
    pub fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
        KNOWN.split(", ").filter_map(|entry| entry.split_once(' '))
    }

    /// Returns the code.
    #[must_use]
    pub fn code(&self) -> &str {
        let end = if self.0[2] == 0 { 2 } else { 3 };
        core::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }

    /// Returns the two bytes of the wire: the code; of a code of three letters the first and the
    /// last, so that Hawaiian (`haw`) is `hw` and not Hausa, and Cantonese (`yue`) is `ye`. No
    /// language has these two as its own code.
    #[must_use]
    pub fn wire(self) -> [u8; 2] {
        match self.0 {
            [a, b, 0] => [a, b],
            [a, _, c] => [a, c],
        }
    }

    /// Returns the language of two bytes of the wire; `None` when they are no two letters.
    #[must_use]
    pub fn of_wire(wire: [u8; 2]) -> Option<Self> {
        let longer = Self::known().filter_map(|(code, _)| Self::of_code(code));
        let mut longer = longer.filter(|language| language.0[2] != 0);
        longer
            .find(|language| language.wire() == wire)
            .or_else(|| Self::of_code(core::str::from_utf8(&wire).ok()?))
    }
}

impl fmt::Debug for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let found = Language::parse(text);
        assert_eq!(found.as_ref().map(Language::code), expected, "{text}");
    }

    #[test]
    fn languages_are_known_by_code_and_by_name() {
        check("en", Some("en"));
        check(" DE ", Some("de"));
        check("Haitian Creole", Some("ht"));
        check("yue", Some("yue"));
        check("xx", None);
        check("", None);
        check("e", None);
    }

    #[test]
    fn a_hundred_languages_come_back_from_the_wire_each_as_itself() {
        assert_eq!(Language::known().count(), 100);
        for (code, name) in Language::known() {
            let language = Language::of_code(code).unwrap();
            assert_eq!(Language::of_wire(language.wire()), Some(language), "{name}");
            assert_eq!(language.code(), code);
        }
        assert_eq!(Language::of_wire([0; 2]), None);
        assert_eq!(Language::of_wire([0xff, b'a']), None);
    }

    #[test]
    fn codes_that_are_no_two_or_three_small_letters_are_none() {
        for code in ["", "a", "abcd", "e\0", "é", "EN", "e1"] {
            assert_eq!(Language::of_code(code), None, "{code}");
        }
    }
}
