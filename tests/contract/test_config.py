"""The configuration: checked once, and a wrong key names the right one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import Config, TurnsConfig, parse
from edge.errors import ConfigError
from edge.tables import as_table, merge, nearest, read_toml


def test_defaults_survive_the_way_through_a_table() -> None:
    assert parse(as_table(Config())) == Config()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"turn": {}}, "unknown key 'turn': did you mean 'turns'?"),
        ({"turns": {"min_silense": 1.0}}, "unknown key 'turns.min_silense': did you mean 'min_silence'?"),
        ({"turns": {"min_silence": "x"}}, "turns.min_silence: must be a number, not 'x'"),
        ({"turns": {"wake": 1}}, "turns.wake: must be true or false, not 1"),
        ({"turns": {"hint_silence": 0.5}}, "must not fall"),
        ({"turns": 3}, "turns: must be a table, like [turns]"),
        ({"voice": {"rate": 9.0}}, "voice.rate: must lie between 0.5 and 2.5"),
        ({"wake": {"words": "alexa"}}, "wake.words: must be a list"),
        ({"wake": {"words": [1]}}, "wake.words[0]: must be a text, not 1"),
        ({"language_model": {"n_ctx": 100}}, "language_model.n_ctx: must be at least 256"),
        ({"recogniser": {"device": "gpu"}}, "recogniser.device: must be cpu, cuda or auto"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(table)
    assert says in caught.value.text


def test_whole_numbers_are_numbers() -> None:
    assert parse({"turns": {"max_speech": 10}}).turns == TurnsConfig(max_speech=10.0)


def test_a_file_that_is_no_toml_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[turns\nwake = true\n")
    with pytest.raises(ConfigError, match=r"c\.toml.*line 1"):
        read_toml(path)
    with pytest.raises(ConfigError, match="No such file"):
        read_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tiny-3b", "did you mean 'tiny-3b-q4'?"),
        ("tyny", "did you mean 'tiny-1b-q4'?"),
        ("tinyvision", "did you mean 'tinyvision-1b'?"),
        ("whale", "known are tiny-1b-q4, tiny-3b-q4, tinyvision-1b"),
    ],
)
def test_a_name_may_be_typed_without_its_end(name: str, says: str) -> None:
    assert nearest(name, ["tiny-1b-q4", "tiny-3b-q4", "tinyvision-1b"]) == says


_tables = st.recursive(
    st.integers(), lambda below: st.dictionaries(st.sampled_from("abc"), below, max_size=3), max_leaves=8
).filter(lambda value: isinstance(value, dict))


@given(base=_tables, change=_tables)
def test_merge_takes_every_leaf_of_the_change(base: dict[str, object], change: dict[str, object]) -> None:
    merged = merge(base, change)

    def check(part: dict[str, object], whole: dict[str, object]) -> None:
        for key, value in part.items():
            below = whole[key]
            if isinstance(value, dict) and isinstance(below, dict):
                check(value, below)
            else:
                assert below == value

    check(change, merged)
    assert set(merged) == set(base) | set(change)
