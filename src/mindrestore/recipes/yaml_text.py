"""Read YAML that people write by hand: numbers as they are written, and nothing that unpacks to more than it looks."""

from __future__ import annotations

import re
from typing import Any

import yaml

from mindrestore.errors import first_line

LONGEST = 200_000  # bytes; the longest recipe that ships has 2,000
_DEEPEST = 20  # lists and mappings in each other
_MOST = 5_000  # values, those that aliases repeat included
_LONGEST_NUMBER = 400  # characters


class YamlTextError(ValueError):
    """Report text that is not YAML, or too much of it; the message says where."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-4 is a number; YAML 1.1 asks for a decimal point and reads it as text."""

    def __init__(self, stream: str | bytes) -> None:
        super().__init__(stream)
        self.depth = 0
        self.sizes: dict[int, int] = {}  # node -> values below it, an alias counting as what it repeats
        self.kept: list[yaml.Node] = []  # so that no two nodes get one id

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """Compose a node, and count what it unpacks to before anything is made of it."""
        alias = self.check_event(yaml.AliasEvent)
        self.depth += 1
        if self.depth > _DEEPEST:
            raise YamlTextError(f"lists and mappings lie more than {_DEEPEST} deep in each other{self._place()}")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not alias:
            self.kept.append(node)
            self.sizes[id(node)] = 1 + sum(self.sizes[id(child)] for child in _children(node))
        elif id(node) not in self.sizes:
            raise YamlTextError(f"a value that contains itself{self._place()}")
        if self.sizes[id(node)] > _MOST or len(self.kept) > _MOST:
            raise YamlTextError(f"more than {_MOST:,} values{self._place()}")
        return node

    def _place(self) -> str:
        return f" (line {self.peek_event().start_mark.line + 1})" if self.check_event() else ""


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(text: str | bytes) -> Any:
    """Read YAML.

    Args:
        text: At most 200 kB; bytes in UTF-8 or UTF-16, with or without a mark of the byte order.

    Returns:
        Plain values.

    Raises:
        YamlTextError: It is not YAML, is too long, too deep, or unpacks to too many values.
    """
    if len(text) > LONGEST:
        raise YamlTextError(f"more than {LONGEST:,} bytes, which is not a recipe")
    digits = f"[0-9_]{{{_LONGEST_NUMBER}}}"  # Python reads a number in the square of its length
    if re.search(digits.encode() if isinstance(text, bytes) else digits, text):
        raise YamlTextError(f"a number of more than {_LONGEST_NUMBER} digits")
    try:
        return yaml.load(text, Loader=_Loader)
    except YamlTextError:
        raise
    except yaml.MarkedYAMLError as error:
        raise YamlTextError(" ".join(str(error).split())) from error
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, KeyError, AttributeError) as error:
        # of values: a date of month 13, a number in a base that it is not of, text in no known encoding
        raise YamlTextError(first_line(error)) from error
