"""Prints what the receiver makes of bytes, in the words of ../vectors.txt. For tests.

    python3 dump.py acknowledge 0 0 < bytes
    python3 dump.py listen < bytes
"""

import sys

from pressel import COUNTERS, TIMES, U32_MAX, Pressel


def quoted(text):
    letters = []
    for byte in text.encode():
        is_plain = 0x20 <= byte < 0x7F and byte not in (0x22, 0x5C)
        letters.append(chr(byte) if is_plain else "\\x%02x" % byte)
    return '"%s"' % "".join(letters)


def result(event):
    if event["result"] == "text":
        return "text %d %d" % (event["bytes"], event["truncated"])
    if "command" in event:
        return "command %d" % event["command"]
    if "why" in event:
        return "%s %s" % (event["result"], event["why"])
    return event["result"]


def outcome(event):
    head = "%d %d %s %s %d" % (
        event["sequence"], event["utterance"], event["trigger"], result(event),
        event["confidence"]
    )
    return " ".join([head] + [str(event[name]) for name in TIMES])


def line(event):
    kind = event["kind"]
    if kind == "hello":
        version = ".".join([str(number) for number in event["version"]])
        board, model = quoted(event["board"]), quoted(event["model"])
        return "hello %d %s %s %d %s" % (event["protocol"], version, board, event["boot"], model)
    if kind == "state":
        flags = (event["microphone_ok"], event["worker_ok"], event["muted"], event["waiting"])
        return "state %s %s %d %d %d %d" % ((event["state"], event["provider"]) + flags)
    if kind == "transcript":
        where = (event["number"], event["part"], event["parts"], quoted(event["text"]))
        return "transcript %d %d %d %s" % where
    if kind == "plain_outcome":
        return "plain %s" % outcome(event)
    if kind == "counters":
        return "counters %s" % " ".join([str(event[name]) for name in COUNTERS])
    if kind == "pong":
        return "pong %d" % event["nonce"]
    if kind == "job":
        left_s = U32_MAX if event["left_s"] is None else event["left_s"]
        return "job %d %s %d %d" % (event["number"], event["state"], event["percent"], left_s)
    if kind == "alert":
        return "alert %s %d" % (event["alert"], event["on"])
    if kind == "outcome":
        words = (event["boot"], outcome(event), event["whole"], quoted(event["text"]))
        return "outcome %d %s %d %s" % words
    if kind == "gap":
        return "gap %d %d %d %d" % (event["first"] + event["to"])
    return kind


def dump(words, data, put):
    """Gives each line to `put`. `words` are the arguments of the command."""
    if words[0] == "listen":
        pressel = Pressel(listens=True)
    else:
        pressel = Pressel((int(words[1]), int(words[2])))
    for at in range(-1, len(data)):
        if 0 <= at:
            for event in pressel.push(data[at : at + 1]):
                put(line(event))
        answer = pressel.acknowledgement()
        if answer:
            put("send %s" % "".join(["%02x" % byte for byte in answer]))


if __name__ == "__main__":
    dump(sys.argv[1:], sys.stdin.buffer.read(), print)
