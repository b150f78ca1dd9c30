"""A receiver for the serial line of a Pressel, for MicroPython and Python 3, in one file.

In: bytes of the UART, as they come. Out: a list of events, each a dict with a `kind`; and the bytes
of acknowledgements and commands to send back. The contract is SPEC.md of the link, version 1.

    from pressel import Pressel
    uart = machine.UART(1, 115200, rxbuf=1024)
    pressel = Pressel(saved_mark)               # nothing in the brackets if nothing was saved
    kept = pressel.mark
    while True:
        for event in pressel.push(uart.read() or b""):
            if event["kind"] == "outcome" and event["result"] == "text":
                print(event["text"])
        if pressel.mark != kept:                # after an outcome or a gap: flash wears
            kept = pressel.mark
            save(kept)                          # before it is acknowledged
        uart.write(pressel.acknowledgement())   # empty when none is due

Kinds: `outcome` (the next one, each once and in order, with `text`), `gap` (outcomes that will not
come, `first` to `to`), `bad` (a damaged frame, or a message newer than this file), and all other
messages by their names: `hello`, `state`, `counters`, `pong`, `job`, `alert`. A host that
acknowledges may ignore `transcript` and `plain_outcome`: they come again as `outcome`.

`Pressel(listens=True)` is for a wire in one direction: nothing is sent, `whole` of an outcome is
false when a part of its text was lost.

Memory: some 2 KB, and what the events hold. Licence: MIT OR Apache-2.0, as the rest of Pressel.
"""

FRAME_BYTES_MAX = 254
TEXT_BYTES_MAX = 1536
PART_BYTES_MAX = 192
NAME_BYTES_MAX = 24
U32_MAX = 0xFFFFFFFF

STATES = (
    "starting", "idle", "recording", "recognising", "muted", "miclost", "workerdown", "stopping"
)
PROVIDERS = ("none", "cpu", "cuda")
TRIGGERS = ("ptt", "wake", "voice", "file")
DROP_REASONS = ("busy", "cancelled", "muted", "miclost", "shutdown", "internal")
FAIL_CODES = ("modelmissing", "modelfault", "timeout", "workerdied", "badaudio", "workerdown")
JOB_STATES = ("waiting", "running", "done", "failed", "cancelled", "quarantined", "paused")
ALERTS = ("safemode", "cpufallback", "journaldown", "vadfallback", "wakedown")
COUNTERS = (
    "uptime_s", "utterances", "texts", "no_speech", "dropped", "failed", "overruns",
    "lost_samples", "dropped_blocks", "link_dropped", "link_bad_frames", "worker_restarts"
)
TIMES = ("audio_ms", "capture_ms", "queue_ms", "encode_ms", "decode_ms", "link_ms")


class _BadMessage(Exception):
    """A frame that is whole, and no message."""


def _crc(data):
    """CRC-16/IBM-SDLC, also called X-25."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0x8408 if crc & 1 else crc >> 1
    return crc ^ 0xFFFF


def _unstuff(data):
    """Undoes COBS; None for a fault."""
    out = bytearray()
    at = 0
    while at < len(data):
        code = data[at]
        at += 1
        if len(data) < at + code - 1:
            return None
        out.extend(data[at : at + code - 1])
        at += code - 1
        if code < 255 and at < len(data):
            out.append(0)
    return out


def _is_text(data):
    """Whether bytes are UTF-8; not every Python looks."""
    at = 0
    while at < len(data):
        first = data[at]
        if first < 0x80:
            at += 1
            continue
        if first < 0xC2 or 0xF4 < first:
            return False
        count = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        if len(data) < at + count:
            return False
        low = {0xE0: 0xA0, 0xF0: 0x90}.get(first, 0x80)  # no longer form than needed
        high = {0xED: 0x9F, 0xF4: 0x8F}.get(first, 0xBF)  # no halves, nothing above U+10FFFF
        for byte in data[at + 1 : at + count]:
            if byte < low or high < byte:
                return False
            low, high = 0x80, 0xBF
        at += count
    return True


class _Reader:
    """Reads the fields of one message."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def u8(self):
        if len(self.data) <= self.at:
            raise _BadMessage()
        self.at += 1
        return self.data[self.at - 1]

    def flag(self):
        byte = self.u8()
        if 1 < byte:
            raise _BadMessage()
        return byte == 1

    def varint(self, value_max):
        """Seven bits a byte, lowest first; what is above `value_max` is a fault."""
        value = 0
        for shift in range(0, 35 if value_max == U32_MAX else 21, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value_max < value:
                    break
                return value
        raise _BadMessage()

    def u32(self):
        return self.varint(U32_MAX)

    def u16(self):
        return self.varint(0xFFFF)

    def text(self, bytes_max):
        length = self.u32()
        data = bytes(self.data[self.at : self.at + length])
        if bytes_max < length or len(data) < length or not _is_text(data):
            raise _BadMessage()
        self.at += length
        return data

    def name(self):
        return self.text(NAME_BYTES_MAX).decode()

    def mark(self):
        boot = self.u32()
        return (boot, self.u32())

    def code(self, names):
        code = self.u8()
        return names[code] if code < len(names) else "unknown"

    def hello(self):
        return {
            "protocol": self.u8(),
            "version": (self.u16(), self.u16(), self.u16()),
            "board": self.name(),
            "boot": self.u32(),
            "model": self.name(),
        }

    def state(self):
        return {
            "state": self.code(STATES),
            "provider": self.code(PROVIDERS),
            "microphone_ok": self.flag(),
            "worker_ok": self.flag(),
            "muted": self.flag(),
            "waiting": self.u8(),
        }

    def part(self):
        return {
            "number": self.u32(),
            "part": self.u8(),
            "parts": self.u8(),
            "text": self.text(PART_BYTES_MAX),
        }

    def outcome(self):
        event = {"sequence": self.u32(), "utterance": self.u32(), "trigger": self.code(TRIGGERS)}
        result = self.u32()
        if result == 0:
            event["result"] = "text"
            event["bytes"] = self.u16()
            event["truncated"] = self.flag()
        elif result == 1:
            event["result"] = "nospeech"
        elif result == 2:
            event["result"] = "dropped"
            event["why"] = self.code(DROP_REASONS)
        elif result == 3:
            event["result"] = "failed"
            event["why"] = self.code(FAIL_CODES)
        elif result == 4:
            event["result"] = "command"
            event["command"] = self.u16()
        elif result == 5:
            event["result"] = "unknown"
        else:
            raise _BadMessage()
        event["confidence"] = self.u8()
        for name in TIMES:
            event[name] = self.u32()
        return event

    def counters(self):
        event = {}
        for name in COUNTERS:
            event[name] = self.u32()
        return event

    def pong(self):
        return {"nonce": self.u32()}

    def delivery(self):
        after, boot = self.mark(), self.u32()
        event = self.outcome()
        event["after"] = after
        event["boot"] = boot
        return event

    def delivery_part(self):
        boot = self.u32()
        event = self.part()
        event["boot"] = boot
        return event

    def gap(self):
        return {"first": self.mark(), "to": self.mark()}

    def job(self):
        event = {"number": self.u32(), "state": self.code(JOB_STATES), "percent": self.u8()}
        left_s = self.u32()
        event["left_s"] = None if left_s == U32_MAX else left_s
        return event

    def alert(self):
        return {"alert": self.code(ALERTS), "on": self.flag()}


# Name and reader of each kind, in the order of their numbers.
_KINDS = (
    ("hello", _Reader.hello),
    ("state", _Reader.state),
    ("transcript", _Reader.part),
    ("plain_outcome", _Reader.outcome),
    ("counters", _Reader.counters),
    ("pong", _Reader.pong),
    ("part", _Reader.delivery_part),
    ("delivered", _Reader.delivery),
    ("gap", _Reader.gap),
    ("job", _Reader.job),
    ("alert", _Reader.alert),
)


def _message(frame):
    """What stood between two 0x00 as an event; None when it is no message."""
    payload = _unstuff(frame)
    if payload is None or len(payload) < 4 or payload[0] != 0x10:
        return None
    if _crc(payload[:-2]) != payload[-2] | payload[-1] << 8:
        return None
    reader = _Reader(payload[1:-2])
    try:
        kind = reader.u32()
        if len(_KINDS) <= kind:
            return None
        name, read = _KINDS[kind]
        event = read(reader)
    except _BadMessage:
        return None
    if reader.at != len(reader.data):
        return None
    event["kind"] = name
    return event


def _varint(value):
    out = bytearray()
    while 0x80 <= value:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return out


def _frame(message):
    """The bytes on the line of a message to the appliance."""
    payload = bytearray(b"\x11") + message
    crc = _crc(payload)
    payload.append(crc & 0xFF)
    payload.append(crc >> 8)
    out = bytearray(b"\x00")
    for piece in bytes(payload).split(b"\x00"):  # all of it is shorter than 254
        out.append(len(piece) + 1)
        out.extend(piece)
    out.append(0)
    return bytes(out)


def ping(nonce):
    """Asks for a `pong` with the same number."""
    return _frame(b"\x00" + _varint(nonce))


def ptt(is_down):
    """As if the push-to-talk button went down, or up."""
    return _frame(b"\x01" if is_down else b"\x02")


def cancel():
    """Gives up what is recorded and recognised."""
    return _frame(b"\x03")


def mute(is_muted):
    """Switches the microphone off, or on."""
    return _frame(b"\x04\x01" if is_muted else b"\x04\x00")


def get_status():
    """Asks for `hello`, `state` and `counters`."""
    return _frame(b"\x05")


class Pressel:
    """The receiver. `mark` is what an earlier one kept."""

    def __init__(self, mark=(0, 0), listens=False):
        self.mark = (mark[0], mark[1])
        self.frames_good = 0
        self.frames_bad = 0
        self._listens = listens
        self._buffer = bytearray()
        self._is_overlong = False
        self._is_due = not listens
        self._has_asked = False
        self._heard = None
        self._forget_text((0, 0), 0)

    def push(self, data):
        """Takes in bytes; returns what they completed."""
        events = []
        for byte in data:
            if byte != 0:
                if len(self._buffer) < FRAME_BYTES_MAX:
                    self._buffer.append(byte)
                else:
                    self._is_overlong = True
                continue
            frame, is_overlong = self._buffer, self._is_overlong
            self._buffer, self._is_overlong = bytearray(), False
            if not frame:
                continue
            event = None if is_overlong else _message(frame)
            if event is None:
                self.frames_bad += 1
                events.append({"kind": "bad"})
                continue
            self.frames_good += 1
            event = self._overhear(event) if self._listens else self._rule(event)
            if event is not None:
                events.append(event)
        return events

    def acknowledgement(self):
        """Returns the bytes to send now; empty when none are due. Keep `mark` for good before."""
        if not self._is_due:
            return b""
        self._is_due = False
        return _frame(b"\x06" + _varint(self.mark[0]) + _varint(self.mark[1]))

    def _forget_text(self, of, parts):
        self._text = bytearray()
        self._of = of
        self._parts = parts
        self._next = 0

    def _collect(self, of, event):
        part, parts, text = event["part"], event["parts"], event["text"]
        if part == 0 or of != self._of or parts != self._parts:
            self._forget_text(of, parts)
        fits = len(self._text) + len(text) <= TEXT_BYTES_MAX
        if part == self._next and part < parts and fits:
            self._text.extend(text)
            self._next += 1

    def _is_whole(self, of, event):
        is_all = self._of == of and self._parts != 0 and self._next == self._parts
        return is_all and len(self._text) == event["bytes"]

    def _ask_once(self):
        self._is_due = self._is_due or not self._has_asked
        self._has_asked = True

    def _go_to(self, mark):
        self.mark = mark
        self._is_due = True
        self._has_asked = False

    def _rule(self, event):
        """What a receiver that acknowledges does with a message."""
        kind = event["kind"]
        if kind == "part":
            self._collect((event["boot"], event["number"]), event)
            return None
        if kind == "delivered":
            return self._deliver(event)
        if kind == "gap":
            return self._skip(event)
        if kind in ("hello", "plain_outcome", "counters"):
            self._is_due = True
        return _readable(event)

    def _deliver(self, event):
        of = (event["boot"], event["sequence"])
        end = (of[0], min(of[1] + 1, U32_MAX))
        if end <= self.mark:
            self._is_due = True
            return None
        if event["result"] == "text":
            is_whole = self._is_whole(of, event)
        else:
            is_whole = True
            self._forget_text((0, 0), 0)
        if self.mark < event["after"] or not is_whole:
            self._ask_once()
            return None
        self._go_to(end)
        return self._outcome(event, True)

    def _skip(self, event):
        first, to = event["first"], event["to"]
        has_forgotten = first == self.mark and to < first
        if not has_forgotten and to <= self.mark:
            self._is_due = True
            return None
        if self.mark < first:
            self._ask_once()
            return None
        event["first"] = self.mark  # what is missing begins here
        self._go_to(to)
        return event

    def _overhear(self, event):
        """What a receiver that only listens does with a message."""
        kind = event["kind"]
        if kind == "transcript":
            self._collect((0, event["number"]), event)
            return None
        if kind == "hello" and event["boot"] != self.mark[0]:
            self._forget_text((0, 0), 0)
            self.mark = (event["boot"], self.mark[1])
            self._heard = None
        if kind == "plain_outcome":
            if self._heard == event["sequence"]:
                return None
            self._heard = event["sequence"]
            event["boot"] = self.mark[0]
            return self._tell(event)
        return _readable(event)

    def _tell(self, event):
        is_whole = event["result"] != "text"
        if is_whole or self._of != (0, event["utterance"]):
            self._forget_text((0, 0), 0)
        else:
            is_whole = self._is_whole(self._of, event)
        event = self._outcome(event, is_whole)
        self._parts = self._next = 0
        return event

    def _outcome(self, event, is_whole):
        event["kind"] = "outcome"
        event["whole"] = is_whole
        event["text"] = bytes(self._text).decode()
        return event


def _readable(event):
    """Text of a part as a string; it was cut between two characters."""
    if event["kind"] in ("part", "transcript"):
        event["text"] = event["text"].decode()
    return event
