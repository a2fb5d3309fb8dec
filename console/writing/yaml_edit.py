"""Edits of YAML that change only what they name: comments, order, quotes and every other byte stay. Pure.

A place is found by the parser's marks, and what stands there is written over. What would have to be written anew to be
changed is refused (:class:`NotEditable`): nothing is lost by an edit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from contracts.errors import SegmaError

Place = tuple[str | int, ...]
"""From the document inwards: names of mappings, numbers (from 0) of lists."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN: Final = re.compile(r"[a-z][a-z0-9_/-]*|[0-9]{1,9}(ms|s|m|h|d|w)")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Plain texts that some readers of YAML take for something else."""


class NotEditable(SegmaError):
    """The text has no such place, or one that cannot be changed without touching something else."""


def written(value: Any) -> str:
    """A value as YAML in one line, read the same by every reader of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{written(name)}: {written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(written(each) for each in value) + "]"
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value not in _WORDS:
            return value
        return json.dumps(value, ensure_ascii=not value.isprintable())
    return json.dumps(value)


def set_value(text: str, place: Place, value: Any, order: Sequence[str] = ()) -> str:
    """Write a value at a place of a mapping, in place of a former one or as a new entry.

    ``order``: the names of the mapping as they usually stand; a new one comes behind those before it.
    """
    parent = _found(text, place[:-1])
    if not isinstance(parent, yaml.MappingNode):
        raise NotEditable(f"there is no mapping at {place[:-1]}")
    for key, node in parent.value:
        if key.value == place[-1]:
            return _replaced(text, node, written(value))
    return _entered(text, parent, str(place[-1]), written(value), order)


def rename(text: str, place: Place, name: str) -> str:
    """Give an entry of a mapping another name."""
    key, _ = _entry(_found(text, place[:-1]), place)
    return text[: key.start_mark.index] + written(name) + text[key.end_mark.index :]


def remove(text: str, place: Place) -> str:
    """Take an entry out of a mapping, or an element out of a list; the last one leaves an empty one."""
    parent = _found(text, place[:-1])
    nodes = _children(parent)
    number = _number_of(parent, place)
    if len(nodes) == 1:
        return _replaced(text, parent, "{}" if isinstance(parent, yaml.MappingNode) else "[]")
    if _is_in_flow(parent):
        return _out_of_flow(text, nodes, number)
    first, last = nodes[number]
    begin = _line_start(text, first.start_mark.index)
    if isinstance(parent, yaml.MappingNode) and text[begin : first.start_mark.index].strip():
        return _first_beside_a_dash(text, nodes, begin)
    end = _line_end(text, _end(last))
    return text[:begin] + text[end + 1 :]


def append(text: str, place: Place, value: Mapping[str, Any]) -> str:
    """Put a mapping at the end of a list."""
    node = _found(text, place)
    if not isinstance(node, yaml.SequenceNode):
        raise NotEditable(f"there is no list at {place}")
    if node.flow_style and node.value:
        end = node.value[-1].end_mark.index
        return f"{text[:end]}, {written(value)}{text[end:]}"
    lead = " " * node.start_mark.column if node.value else "  "
    lines = [f"{written(name)}: {written(each)}" for name, each in value.items()]
    block = f"{lead}- " + f"\n{lead}  ".join(lines)
    if not node.value:
        return text[: node.start_mark.index].rstrip(" ") + f"\n{block}" + text[node.end_mark.index :]
    return _after(text, node.value[-1], block)


def swap(text: str, place: Place, number: int) -> str:
    """Let an element of a list and the one behind it change places, each with the comments right above it."""
    node = _found(text, place)
    if not isinstance(node, yaml.SequenceNode) or not 0 <= number < len(node.value) - 1:
        raise NotEditable(f"there are no two elements at {place}")
    one, other = node.value[number], node.value[number + 1]
    if node.flow_style:
        a, b, c, d = one.start_mark.index, _end(one), other.start_mark.index, _end(other)
    else:
        a, c = _top(text, one), _top(text, other)
        b, d = min(_line_end(text, _end(one)), c - 1), _line_end(text, _end(other))
    return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def _composed(text: str) -> yaml.Node:
    node = yaml.compose(text, Loader=_LOADER)
    if node is None:
        raise NotEditable("the text is empty")
    return node


def _found(text: str, place: Place) -> yaml.Node:
    node = _composed(text)
    for depth in range(1, len(place) + 1):
        node = _children(node)[_number_of(node, place[:depth])][1]
    return node


def _number_of(parent: yaml.Node, place: Place) -> int:
    """Which of a node's children the last part of a place names."""
    wanted = place[-1]
    if isinstance(parent, yaml.MappingNode):
        found = [at for at, (key, _) in enumerate(parent.value) if key.value == wanted]
    else:
        there = len(parent.value) if isinstance(parent, yaml.SequenceNode) else 0
        found = [wanted] if isinstance(wanted, int) and 0 <= wanted < there else []
    if not found:
        raise NotEditable(f"the text has nothing at {'.'.join(map(str, place))}")
    return int(found[0])


def _entry(parent: yaml.Node, place: Place) -> tuple[yaml.Node, yaml.Node]:
    number = _number_of(parent, place)
    if not isinstance(parent, yaml.MappingNode):
        raise NotEditable(f"there is no mapping at {place[:-1]}")
    key, value = parent.value[number]
    return key, value


def _children(parent: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    """Each child as its first and its last node: a name and its value, or an element twice."""
    if isinstance(parent, yaml.MappingNode):
        return list(parent.value)
    return [(each, each) for each in parent.value]


def _end(node: yaml.Node) -> int:
    """The place behind the last character of a value, without what the parser passed over to find its end."""
    if isinstance(node, yaml.ScalarNode):
        # A text in `|` or `>` has its line's end in it.
        return int(node.end_mark.index) - (node.style in ("|", ">"))
    if _is_in_flow(node) or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(node, yaml.MappingNode) else last)


def _is_in_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _line_start(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _line_end(text: str, at: int) -> int:
    """The place of the line's end, or of the text's."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _top(text: str, item: yaml.Node) -> int:
    """The start of an element's line, or of the first of the comments right above it."""
    begin = _line_start(text, item.start_mark.index)
    while begin:
        above = _line_start(text, begin - 1)
        if not text[above:begin].lstrip().startswith("#"):
            break
        begin = above
    return begin


def _replaced(text: str, node: yaml.Node, new: str) -> str:
    start, end = node.start_mark.index, _end(node)
    if start == end:  # a name without a value
        new = f" {new}" if text[start - 1 : start] == ":" else new
    return text[:start] + new + text[end:]


def _after(text: str, node: yaml.Node, block: str) -> str:
    end = _line_end(text, _end(node))
    return f"{text[:end]}\n{block}{text[end:] or chr(10)}"


def _entered(text: str, parent: yaml.MappingNode, name: str, value: str, order: Sequence[str]) -> str:
    entry = f"{written(name)}: {value}"
    if not parent.value:
        return _replaced(text, parent, "{" + entry + "}")
    before = set(order[: order.index(name)]) if name in order else {key.value for key, _ in parent.value}
    place = max((at for at, (key, _) in enumerate(parent.value) if key.value in before), default=0)
    key, node = parent.value[place]
    if parent.flow_style:
        end = _end(node)
        return f"{text[:end]}, {entry}{text[end:]}"
    return _after(text, node, " " * key.start_mark.column + entry)


def _out_of_flow(text: str, nodes: Sequence[tuple[yaml.Node, yaml.Node]], number: int) -> str:
    if number:
        start, end = _end(nodes[number - 1][1]), _end(nodes[number][1])
    else:
        start, end = nodes[0][0].start_mark.index, nodes[1][0].start_mark.index
    return text[:start] + text[end:]


def _first_beside_a_dash(text: str, nodes: Sequence[tuple[yaml.Node, yaml.Node]], begin: int) -> str:
    """Without the first entry of a mapping that begins behind a list's dash; comments below it come above it."""
    start, end = nodes[0][0].start_mark.index, nodes[1][0].start_mark.index
    between = text[_line_end(text, _end(nodes[0][1])) : end].splitlines()
    said = "".join(f"{line}\n" for line in between if line.strip().startswith("#"))
    return text[:begin] + said + text[begin:start] + text[end:]
