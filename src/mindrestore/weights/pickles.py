"""A pickle machine that imports and calls nothing: it knows the opcodes of weight files and a table of names."""

from __future__ import annotations

import codecs
import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Union

from mindrestore.weights.limits import NotReadError

Buffer = Union[bytes, memoryview]

_STOP = ord(".")
_NEWEST_PROTOCOL = 5
_LONG_BYTES = 256  # longer values stay views of the file
_MOST_OPERATIONS = 1_500_000  # some four seconds; large checkpoints with an optimizer have a third of it
_CALL = 5  # operations that a call counts for: it takes as long
_LONG_TEXT = 1 << 16  # bytes; names have a hundred
_KEYS = (str, int, float, bool, type(None))  # what hashes in constant time, however the file was made


class ForbiddenGlobal(ValueError):
    """Report a name that a file asks for and that no set of weights needs."""


class Named:
    """Stand for something that a file refers to by name.

    Attributes:
        name: dotted name in the file.
        meaning: function that plays its part, or a value when it is never called.
    """

    def __init__(self, name: str, meaning: Any) -> None:
        self.name = name
        self.meaning = meaning


def named_values(keys: Sequence[Any], values: Sequence[Any]) -> dict[Any, Any]:
    """Make a dict whose keys are text or numbers.

    Raises:
        ValueError: a key is something else: hashing a deep tuple, say, can end the process.
    """
    if len(keys) != len(values) or not all(isinstance(key, _KEYS) for key in keys):
        raise ValueError("keys that are neither text nor numbers")
    return dict(zip(keys, values))


class LongText:
    """A text too long to be a name: bytes that protocol 2 writes as letters, left in the file until they are wanted.

    Attributes:
        data: the text in UTF-8.
    """

    def __init__(self, data: memoryview) -> None:
        self.data = data

    def latin_1(self) -> bytes:
        """Return the byte that each letter stands for."""
        decode = codecs.getincrementaldecoder("utf-8")().decode
        blocks = (bytes(self.data[start : start + _LONG_TEXT]) for start in range(0, len(self.data), _LONG_TEXT))
        return b"".join(decode(block).encode("latin-1") for block in blocks)


class Pending(ABC):
    """A value that a file makes in two steps; `build` gets the second part and sets `result`."""

    result: Any = None

    @abstractmethod
    def build(self, state: Any) -> None:
        """Take the second part."""


class Machine:
    """Run pickles of protocols 2 to 5 in which names stand for functions of the reader.

    Python's own unpickler imports what a file asks for. This one looks names up in a table and calls what it finds
    there, sets no attributes, and takes only text and numbers as keys of a dict. Each opcode costs time and memory in
    proportion to the bytes it takes, and their number is limited.

    Args:
        data: bytes that hold one or more pickles.
        names: dotted name -> function or value.
        persistent: function that gives what a persistent id stands for; None refuses them.
    """

    def __init__(self, data: Buffer, names: Mapping[str, Any], persistent: Callable[[Any], Any] | None = None) -> None:
        self.data = memoryview(data)
        self.names = names
        self.persistent = persistent
        self.position = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.named: dict[str, Named] = {}
        self.left = _MOST_OPERATIONS

    def run(self) -> Any:
        """Run one pickle from the present position, and stand behind it afterwards.

        Raises:
            ForbiddenGlobal: it asks for a name that is not in the table.
            ValueError, IndexError, KeyError, TypeError, AttributeError: it is not a pickle of this kind.
        """
        self.stack, self.marks, self.memo = [], [], {}
        data, end = self.data, len(self.data)
        while self.left > 0:
            self.left -= 1
            if self.position >= end:
                raise ValueError(f"cut off at byte {end}")
            code = data[self.position]
            self.position += 1
            if code == _STOP:
                return self.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise ValueError(f"opcode 0x{code:02x} at byte {self.position - 1} does not belong in a weight file")
            operation(self)
        raise NotReadError(
            f"has more than {_MOST_OPERATIONS:,} operations, which no network needs; save the weights alone"
        )

    def take(self, count: int) -> memoryview:
        """Return the next bytes."""
        if count < 0 or self.position + count > len(self.data):
            raise ValueError(f"cut off at byte {len(self.data)}")
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, form: str) -> Any:
        """Return the next number of a `struct` format."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def counted(self, form: str) -> memoryview:
        """Return the bytes whose count comes first."""
        return self.take(self.number(form))

    def line(self) -> str:
        """Return the text up to the end of the line."""
        text, end, _ = bytes(self.data[self.position : self.position + 1000]).partition(b"\n")
        if not end:
            raise ValueError(f"no end of line behind byte {self.position}")
        self.position += len(text) + 1
        return text.decode("utf-8")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the topmost value; a mark protects what lies below it."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise ValueError(f"nothing to take at byte {self.position}")
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        """Take everything above the last mark."""
        height = self.marks.pop()
        values = self.stack[height:]
        del self.stack[height:]
        return values

    def top(self, kind: type) -> Any:
        """Return the topmost value, which has to be of a kind."""
        value = self.stack[-1]
        if not isinstance(value, kind):
            raise ValueError(f"{type(value).__name__} instead of {kind.__name__} at byte {self.position}")
        return value

    def refer(self, name: str) -> None:
        """Push what a dotted name stands for."""
        if name not in self.names:
            raise ForbiddenGlobal(name)
        if name not in self.named:
            self.named[name] = Named(name, self.names[name])
        self.push(self.named[name])

    def remember(self, key: int) -> None:
        """Keep the topmost value under a number."""
        self.memo[key] = self.stack[-1]

    def recall(self, key: int) -> None:
        """Push the value kept under a number."""
        value = self.memo[key]
        self.push(value.result if isinstance(value, Pending) and value.result is not None else value)

    def append(self) -> None:
        """Put the topmost value at the end of the list below it."""
        value = self.pop()
        self.top(list).append(value)

    def extend(self) -> None:
        """Put everything above the last mark at the end of the list below it."""
        values = self.since_mark()
        self.top(list).extend(values)

    def set_items(self, values: list[Any]) -> None:
        """Put keys and values in turn into the dict on top."""
        self.top(dict).update(named_values(values[::2], values[1::2]))

    def reduce(self) -> None:
        """Let the reader's function do what the file would have called."""
        arguments, function = self.pop(), self.pop()
        if not (isinstance(function, Named) and callable(function.meaning) and isinstance(arguments, tuple)):
            raise ValueError(f"a call of something that cannot be called at byte {self.position}")
        self.left -= _CALL
        self.push(function.meaning(*arguments))

    def build(self) -> None:
        """Complete the topmost value; what Python would make attributes of a dict is left out."""
        state = self.pop()
        target = self.stack[-1]
        if isinstance(target, Pending):
            target.build(state)
            self.stack[-1] = target.result
        elif not isinstance(target, dict):
            raise ValueError(f"attributes for {type(target).__name__} at byte {self.position}")

    def protocol(self) -> None:
        """Check the protocol."""
        version = self.take(1)[0]
        if version > _NEWEST_PROTOCOL:
            raise ValueError(f"pickle protocol {version}")

    def global_on_stack(self) -> None:
        """Push what module and name on the stack stand for."""
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise ValueError(f"a name that is not text at byte {self.position}")
        self.refer(f"{module}.{name}")

    def stored(self) -> None:
        """Push what a persistent id stands for."""
        if self.persistent is None:
            raise ValueError(f"data outside of the file at byte {self.position}")
        self.push(self.persistent(self.pop()))


def _text(data: memoryview) -> str | LongText:
    return LongText(data) if len(data) >= _LONG_TEXT else str(data, "utf-8", "surrogatepass")


def _old_text(data: memoryview) -> str | memoryview:
    # Python 2 kept bytes and text in one type; what is long are the values of an array
    return data if len(data) >= _LONG_BYTES else str(data, "latin-1")


def _bytes(data: memoryview) -> Buffer:
    return data if len(data) >= _LONG_BYTES else bytes(data)


def _integer(data: memoryview) -> int:
    return int.from_bytes(data, "little", signed=True)


def _top_of(machine: Machine, count: int) -> tuple[Any, ...]:
    return tuple(machine.pop() for _ in range(count))[::-1]


_OPERATIONS: dict[int, Callable[[Machine], Any]] = {
    0x80: Machine.protocol,
    0x95: lambda m: m.take(8),  # a frame only tells how much may be read ahead
    ord("("): lambda m: m.marks.append(len(m.stack)),
    ord("0"): Machine.pop,
    ord("1"): Machine.since_mark,
    ord("2"): lambda m: m.push(m.stack[-1]),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: m.push(m.number("<i")),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    0x8A: lambda m: m.push(_integer(m.counted("<B"))),
    ord("G"): lambda m: m.push(m.number(">d")),
    ord("X"): lambda m: m.push(_text(m.counted("<I"))),
    0x8C: lambda m: m.push(_text(m.counted("<B"))),
    0x8D: lambda m: m.push(_text(m.counted("<Q"))),
    ord("T"): lambda m: m.push(_old_text(m.counted("<i"))),
    ord("U"): lambda m: m.push(_old_text(m.counted("<B"))),
    ord("B"): lambda m: m.push(_bytes(m.counted("<I"))),
    ord("C"): lambda m: m.push(_bytes(m.counted("<B"))),
    0x8E: lambda m: m.push(_bytes(m.counted("<Q"))),
    0x96: lambda m: m.push(_bytes(m.counted("<Q"))),
    ord("]"): lambda m: m.push([]),
    ord("a"): Machine.append,
    ord("e"): Machine.extend,
    ord("}"): lambda m: m.push({}),
    ord("s"): lambda m: m.set_items([*_top_of(m, 2)]),
    ord("u"): lambda m: m.set_items(m.since_mark()),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.since_mark())),
    0x85: lambda m: m.push(_top_of(m, 1)),
    0x86: lambda m: m.push(_top_of(m, 2)),
    0x87: lambda m: m.push(_top_of(m, 3)),
    0x8F: lambda m: m.push([]),  # a set; nobody needs it to be one
    0x90: Machine.extend,
    ord("q"): lambda m: m.remember(m.number("<B")),
    ord("r"): lambda m: m.remember(m.number("<I")),
    0x94: lambda m: m.remember(len(m.memo)),
    ord("h"): lambda m: m.recall(m.number("<B")),
    ord("j"): lambda m: m.recall(m.number("<I")),
    ord("c"): lambda m: m.refer(f"{m.line()}.{m.line()}"),
    0x93: Machine.global_on_stack,
    ord("R"): Machine.reduce,
    ord("b"): Machine.build,
    ord("Q"): Machine.stored,
}
