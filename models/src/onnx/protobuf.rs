//! The wire format of Protocol Buffers, as far as ONNX needs it.
//!
//! Flow in: bytes at places of a file -> fields of messages, in file order; large fields are told
//! by their place and not read. Flow out: fields -> bytes. On the thread that prepares a model, or
//! loads one. What is read is not trusted: lengths stay inside their message, and what is kept in
//! memory comes off a budget.
//!
//! Source: protobuf.dev, "Encoding".

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

/// Bytes that the reader looks at in one go.
const WINDOW_BYTES: usize = 16 * 1024;

/// What names, nodes and tensors of one file may take in memory: 64 MiB. The graphs of large-v3
/// take some 10 MiB. Hit: the file is refused.
const BUDGET_BYTES: u64 = 64 << 20;

/// What a thing costs besides its text: a struct and a place on the heap.
const THING_BYTES: u64 = 96;

/// The longest text that is kept. Hit: the file is refused.
const TEXT_BYTES_MAX: u64 = 4096;

/// Bytes at places: a file, or memory.
pub trait Bytes {
    /// Returns how many there are.
    fn length(&self) -> io::Result<u64>;

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// Also when they end before `into` is full.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
}

impl Bytes for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, at)
    }
}

impl Bytes for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let from = self.get(at..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// Why a message cannot be read, in words that follow the file's name in a sentence.
pub(crate) type Broken = String;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A number.
    Number(u64),
    /// Four bytes.
    Four([u8; 4]),
    /// Eight bytes.
    Eight,
    /// A text, bytes or a message: where it lies.
    Place(Range<u64>),
}

/// Reads fields.
pub(crate) struct Reader<'a> {
    bytes: &'a dyn Bytes,
    length: u64,
    window: Vec<u8>,
    window_start: u64,
    budget: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a dyn Bytes) -> Result<Self, Broken> {
        let length = bytes.length().map_err(|error| error.to_string())?;
        Ok(Self {
            bytes,
            length,
            window: Vec::new(),
            window_start: 0,
            budget: BUDGET_BYTES,
        })
    }

    /// Returns the place of the outermost message: all bytes.
    pub(crate) fn whole(&self) -> Range<u64> {
        0..self.length
    }

    /// Takes the next field of the message whose rest is `rest`; `None` at its end.
    pub(crate) fn field(&mut self, rest: &mut Range<u64>) -> Result<Option<(u32, Value)>, Broken> {
        if rest.start == rest.end {
            return Ok(None);
        }
        let key = self.number(rest)?;
        let number = u32::try_from(key >> 3).unwrap_or(0);
        if number == 0 {
            return Err("is not a protobuf message".into());
        }
        let value = match key & 7 {
            0 => Value::Number(self.number(rest)?),
            1 => {
                skip(rest, 8)?;
                Value::Eight
            }
            2 => {
                let length = self.number(rest)?;
                let start = rest.start;
                skip(rest, length)?;
                Value::Place(start..rest.start)
            }
            5 => {
                let mut four = [0; 4];
                for byte in &mut four {
                    *byte = self.byte(rest)?;
                }
                Value::Four(four)
            }
            _ => return Err("is not a protobuf message".into()),
        };
        Ok(Some((number, value)))
    }

    /// Takes the next number of a packed list.
    pub(crate) fn number(&mut self, rest: &mut Range<u64>) -> Result<u64, Broken> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(rest)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("has a number of more than 64 bits".into())
    }

    /// Reads a text.
    pub(crate) fn text(&mut self, place: Range<u64>) -> Result<String, Broken> {
        let length = place.end - place.start;
        if TEXT_BYTES_MAX < length {
            return Err(format!("has a name of {length} bytes"));
        }
        self.charge(length)?;
        let mut text = vec![0; usize::try_from(length).unwrap_or(0)];
        self.bytes
            .read_at(place.start, &mut text)
            .map_err(|error| error.to_string())?;
        String::from_utf8(text).map_err(|_| "has a name that is not UTF-8".into())
    }

    /// Takes memory for one more thing off the budget.
    pub(crate) fn charge(&mut self, bytes: u64) -> Result<(), Broken> {
        let left = self.budget.checked_sub(bytes.saturating_add(THING_BYTES));
        self.budget = left.ok_or("has more nodes than any Whisper")?;
        Ok(())
    }

    fn byte(&mut self, rest: &mut Range<u64>) -> Result<u8, Broken> {
        let at = rest.start;
        skip(rest, 1)?;
        let inside = at.checked_sub(self.window_start);
        let inside = inside.and_then(|inside| usize::try_from(inside).ok());
        if let Some(&byte) = inside.and_then(|inside| self.window.get(inside)) {
            return Ok(byte);
        }
        let length = (self.length - at).min(WINDOW_BYTES as u64);
        self.window.resize(usize::try_from(length).unwrap_or(0), 0);
        self.window_start = at;
        let read = self.bytes.read_at(at, &mut self.window);
        if let Err(error) = read {
            self.window.clear();
            return Err(error.to_string());
        }
        Ok(self.window[0])
    }
}

/// Takes `bytes` off the front.
fn skip(rest: &mut Range<u64>, bytes: u64) -> Result<(), Broken> {
    if rest.end - rest.start < bytes {
        return Err("is truncated or damaged".into());
    }
    rest.start += bytes;
    Ok(())
}

/// Writes fields behind those that are there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// Returns what was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes a number.
    pub(crate) fn number(&mut self, field: u32, value: u64) -> &mut Self {
        self.raw(u64::from(field) << 3).raw(value)
    }

    /// Writes a 32-bit float.
    pub(crate) fn float(&mut self, field: u32, value: f32) -> &mut Self {
        self.raw(u64::from(field) << 3 | 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    /// Writes a text.
    pub(crate) fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.raw_bytes(field, value.as_bytes())
    }

    /// Writes bytes.
    pub(crate) fn raw_bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.raw(u64::from(field) << 3 | 2).raw(value.len() as u64);
        self.bytes.extend(value);
        self
    }

    /// Writes a message in the message.
    pub(crate) fn message(&mut self, field: u32, value: &Self) -> &mut Self {
        self.raw_bytes(field, &value.bytes)
    }

    fn raw(&mut self, mut value: u64) -> &mut Self {
        while 0x80 <= value {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Value)>, Broken> {
        let mut reader = Reader::new(&bytes)?;
        let mut rest = reader.whole();
        let mut found = Vec::new();
        while let Some(field) = reader.field(&mut rest)? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut inner = Message::default();
        inner.number(1, u64::MAX).text(536_870_911, "weight");
        let mut outer = Message::default();
        outer.number(2, 0).message(3, &inner).float(4, 1.5);
        let expected = [
            (2, Value::Number(0)),
            (3, Value::Place(4..27)),
            (4, Value::Four(1.5_f32.to_le_bytes())),
        ];
        assert_eq!(fields(outer.bytes()).unwrap(), expected);
        let found = fields(&outer.bytes()[4..27]).unwrap();
        assert_eq!(found[0], (1, Value::Number(u64::MAX)));
        assert_eq!(found[1], (536_870_911, Value::Place(17..23)));
    }

    #[test]
    fn broken_messages_are_refused_in_words() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(fields(bytes).unwrap_err(), expected, "{bytes:?}");
        };
        check(&[0x08], "is truncated or damaged");
        check(&[0x08, 0x80], "is truncated or damaged");
        check(&[0x12, 0x02, 0x00], "is truncated or damaged");
        check(&[0x15, 0, 0, 0], "is truncated or damaged");
        check(&[0x09, 0, 0, 0], "is truncated or damaged");
        check(&[0x00, 0x00], "is not a protobuf message");
        check(&[0x0b], "is not a protobuf message");
        let endless = [&[0x08][..], &[0xff; 11]].concat();
        check(&endless, "has a number of more than 64 bits");
        let huge = [&[0x12][..], &[0xff; 9], &[0x01]].concat();
        check(&huge, "is truncated or damaged");
    }
}
