"""Events cut anywhere, and objects that tell of errors."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.openai_events import MAX_LINE, Events, TooLong, error_in, parsed


def events(data: bytes, cuts: list[int]) -> list[str]:
    reader, found, places = Events(), list[str](), sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in zip(places, places[1:], strict=False):
        found += reader.add(data[start:end])
    return found + list(reader.finish())


@given(st.lists(st.text(min_size=1), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0), max_size=20))
def test_events_are_the_same_however_they_are_cut(texts: list[str], end: str, cuts: list[int]) -> None:
    lines = [f": waiting{end}{end}id: {at}{end}data: {json.dumps(text)}{end}{end}" for at, text in enumerate(texts)]
    assert [json.loads(found) for found in events("".join(lines).encode(), cuts)] == texts


@given(st.binary(max_size=200), st.lists(st.integers(0), max_size=20))
def test_any_bytes_give_the_same_events_however_they_are_cut(data: bytes, cuts: list[int]) -> None:
    assert events(data, cuts) == events(data, [])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"data:a\ndata: b\n\n\n\n", ["a\nb"]),
        (b"event: x\nretry: 5\n:\n\ndata: a", ["a"]),
        (b"data: caf\xc3\n\n", ["caf\ufffd"]),
        (b"data\n\n", [""]),
        (b"dataset: a\n\n", []),
    ],
)
def test_the_corners_of_the_standard(data: bytes, found: list[str]) -> None:
    assert events(data, list(range(len(data)))) == found


def test_an_endless_line_and_an_endless_event_are_refused() -> None:
    with pytest.raises(TooLong):
        list(Events().add(b"data: " + b"a" * MAX_LINE))
    reader = Events()
    with pytest.raises(TooLong):
        for _ in range(MAX_LINE):
            list(reader.add(b"data: aaaaaaaa\n"))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"choices": []}, None),
        ({"error": None, "choices": []}, None),
        ([], None),
        ({"error": "the prompt was: my secret"}, (500, "")),
        ({"error": {"message": "my secret", "code": 400, "type": "BadRequestError"}}, (400, "BadRequestError")),
        ({"error": {"code": "model_not_found", "type": "x"}}, (500, "model_not_found")),
        ({"error": {"code": "what I said was private"}}, (500, "")),
        ({"object": "error", "message": "my secret", "code": 404}, (404, "")),
    ],
)
def test_an_error_is_known_by_status_and_code_alone(value: object, told: tuple[int, str] | None) -> None:
    assert error_in(value) == told


def test_a_value_nested_too_deeply_is_none() -> None:
    with pytest.raises(ValueError, match="nested"):
        parsed("[" * 200_000)
