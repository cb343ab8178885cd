"""The tables of PROFILE.md that follow from the table of the glasses profile."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from tools.profile_python import BITS

Table = Mapping[str, Any]
MARKED = re.compile(r"(<!-- table: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(table: Table, document: str) -> str:
    """Gives the document with every marked place filled. Raises KeyError for a mark that names no table."""
    return MARKED.sub(lambda match: f"{match[1]}\n{_rendered(table, match[2])}\n{match[3]}", document)


def _rendered(table: Table, mark: str) -> str:
    makers: dict[str, Callable[[Table, str], Iterable[str]]] = {
        "characteristics": _characteristics,
        "limits": _limits,
        "times": _times,
        "names": _names,
        "messages": _messages,
        "tags": _tags,
    }
    word, _, argument = mark.partition(" ")
    return "\n".join(makers[word](table, argument)) + "\n"


def _rows(head: str, rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    names = head.split("|")
    yield "| " + " | ".join(names) + " |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"


def _characteristics(table: Table, _: str) -> Iterator[str]:
    base = table["profile"]["uuid"]
    items = table["characteristic"]
    return _rows(
        "name|UUID|properties|use",
        ((item["name"], f"`{base.replace('XXXX', item['uuid'])}`", item["properties"], item["text"]) for item in items),
    )


def _limits(table: Table, _: str) -> Iterator[str]:
    return _rows("name|value|unit|meaning", ((i["name"], i["value"], i["unit"], i["text"]) for i in table["limit"]))


def _times(table: Table, _: str) -> Iterator[str]:
    return _rows("name|ms|meaning", ((i["name"], i["value"], i["text"]) for i in table["time"]))


def _tags(table: Table, _: str) -> Iterator[str]:
    return _rows("tag|name|length|value", ((f"0x{i['tag']:02X}", i["name"], i["length"], i["text"]) for i in table["tag"]))


def _names(table: Table, name: str) -> Iterator[str]:
    item = next(item for kind in ("enum", "flags") for item in table[kind] if item["name"] == name)
    yield f"**{name}**: {item['text']}"
    yield ""
    shown = "{:#04x}" if item in table["flags"] else "{}"
    yield from _rows("value|name|meaning", ((shown.format(v["value"]), v["name"], v["text"]) for v in item["values"]))


def _messages(table: Table, name: str) -> Iterator[str]:
    channel = next(channel for channel in table["channel"] if channel["name"] == name)
    yield "Head:"
    yield ""
    yield from _fields(channel["head"], 0)
    offset = sum(BITS[field["type"]] // 8 for field in channel["head"])
    for message in table["message"]:
        if message["channel"] == name:
            yield ""
            yield f"**0x{message['type']:02X} {message['name']}**: {message['text']}"
            if message["fields"]:
                yield ""
                yield from _fields(message["fields"], offset)


def _fields(fields: Iterable[Mapping[str, Any]], offset: int) -> Iterator[str]:
    rows = []
    for field in fields:
        size = {"bytes16": 16}.get(field["type"]) or BITS.get(field["type"], 0) // 8
        words = {"bytes16": "16 bytes", "rest": f"{field.get('min')} to {field.get('max')} bytes"}
        bounds = f"{field.get('min', '')}..{field.get('max', '')}" if {"min", "max"} & field.keys() else ""
        bounds = "" if field["type"] == "rest" else bounds
        meaning = " ".join(p for p in (f"{field['values']}." if "values" in field else "", field["text"]) if p)
        kind = words.get(field["type"], field["type"])
        rows.append((offset, field["name"], kind, field.get("unit", ""), bounds, meaning))
        offset += size
    return _rows("offset|field|type|unit|limits|meaning", rows)
