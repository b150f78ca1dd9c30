"""Runs the example in the head of pressel.py; prints the marks that it saves. For tests.

    python3 example.py acknowledge 0 0 < bytes

`save BOOT NEXT` for a mark that is kept, `send HEX` for bytes that are sent, in their order.
"""

import sys
import textwrap
import types

import pressel


class Uart:
    """One byte for each turn of the example, behind a turn without any."""

    def __init__(self, *_, **__):
        self._turns = iter([None] + [bytes([byte]) for byte in sys.stdin.buffer.read()])

    def read(self):
        try:
            return next(self._turns)
        except StopIteration:
            raise EOFError from None

    def write(self, data):
        if data:
            said.append("send %s" % data.hex())


def example():
    """What is indented in the head."""
    lines = pressel.__doc__.splitlines()
    first = lines.index("    from pressel import Pressel")
    return textwrap.dedent("\n".join(lines[first : lines.index("", first)]))


said = []
machine = types.ModuleType("machine")
machine.UART = Uart
names = {
    "machine": machine,
    "saved_mark": (int(sys.argv[2]), int(sys.argv[3])),
    "save": lambda mark: said.append("save %d %d" % mark),
    "print": lambda text: None,
}
try:
    exec(example(), names)
except EOFError:
    print("\n".join(said))
