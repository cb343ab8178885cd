"""The phrase syntax and the form in which utterances are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.policy.phrases import called, parse, plain, trimmed, variants


def test_variants_are_every_way_to_say_it() -> None:
    assert variants("[please] what does (this | the) sign say") == (
        "please what does this sign say",
        "please what does the sign say",
        "what does this sign say",
        "what does the sign say",
    )


def test_variants_nest_and_repeat_nothing() -> None:
    assert variants("(read | tell me [all of]) (it | this | it)") == (
        "read it",
        "read this",
        "tell me all of it",
        "tell me all of this",
        "tell me it",
        "tell me this",
    )
    assert variants("[very] [very] good", limit=2) == ("very very good", "very good")


@pytest.mark.parametrize(
    ("utterance", "slots"),
    [
        ("what is the price of soup", {"thing": "soup"}),
        ("what is the price of the big red soup", {"thing": "the big red soup"}),
        ("what's the price of soup please", {"thing": "soup"}),
        ("what is the price of the very big red soup", None),
        ("what is the price of", None),
        ("and what is the price of soup", None),
        ("what is the price ofsoup", None),
    ],
)
def test_a_slot_takes_one_to_four_words(utterance: str, slots: dict[str, str] | None) -> None:
    assert parse("what's the price of {thing} [please]").match(plain(utterance)) == slots


def test_a_slot_may_stand_in_several_alternatives() -> None:
    phrase = parse("(find {thing} | where is {thing} now)")
    assert phrase.slotted
    assert phrase.match("where is my red cup now") == {"thing": "my red cup"}
    assert phrase.match("find it") == {"thing": "it"}


@pytest.mark.parametrize(
    ("phrase", "why"),
    [
        ("", "is empty"),
        ("(read it", "has a '(' that is not closed by a ')'"),
        ("read it]", "has a ']' that was never opened"),
        ("(read it]", "not closed"),
        ("read | scan", "'|' outside"),
        ("(read | )", "empty alternative"),
        ("read ()", "empty alternative"),
        ("[please]", "matches silence"),
        ("[please] {thing}", "nothing but a slot"),
        ("swap {one} {other}", "side by side"),
        ("swap {one} and {one}", "same slot twice"),
        ("find {the thing}", "'the thing', which is not a name"),
        ("find {thing", "stray '{'"),
        ("Read this", "capitals in 'Read'"),
        ("read this.", "punctuation in 'this.'"),
        (" ".join(["[very]"] * 12) + " good", "has 4096 variants"),
    ],
)
def test_a_bad_phrase_is_refused_with_its_reason(phrase: str, why: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(phrase)
    assert repr(phrase) in refused.value.text
    assert why in refused.value.text


_WORDS = st.sampled_from(["read", "what's", "this", "o'clock", "sign", "a"])
_PHRASES = st.recursive(
    _WORDS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(" ".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: f"({' | '.join(options)})"),
        inner.map(lambda option: f"[{option}]"),
    ),
    max_leaves=8,
).map(lambda phrase: f"say {phrase}")


@given(_PHRASES, st.lists(_WORDS, max_size=4))
def test_the_pattern_matches_the_variants_and_nothing_else(phrase: str, words: list[str]) -> None:
    parsed = parse(phrase)
    said = {plain(" ".join(way)) for way in parsed.ways}
    assert all(parsed.match(utterance) == {} for utterance in said)
    other = plain(" ".join(["say", *words]))
    assert (parsed.match(other) is not None) == (other in said)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("What\u2019s today's date?", "what is todays date"),
        ("It's 4:20, don't you think?", "it is 4 20 do not you think"),
        ("<sil> stop [NOISE] ++breath++ it", "stop it"),
        ("scan a QR-code or two barcodes, ok", "scan a q r code or two bar codes okay"),
        ("twenty-two   o'clock", "twenty two oclock"),
        ("  \n", ""),
        ("Caf\u00e9 cr\u00e8me", "caf\u00e9 cr\u00e8me"),
    ],
)
def test_plain(text: str, words: str) -> None:
    assert plain(text) == words


@pytest.mark.parametrize(
    ("text", "core"),
    [
        ("hey jarvis what time is it", "what time is it"),
        ("jarvis um could you tell me what time it is please", "what time it is"),
        ("okay stop stop please thank you", "stop"),
        ("can you see what you can do", "see what you can do"),
        ("what can you do", "what can you do"),
        ("umbrella please", "umbrella"),
        ("um hey jarvis", ""),
        ("thank you", ""),
    ],
)
def test_trimmed(text: str, core: str) -> None:
    assert trimmed(text) == core


def test_called_takes_off_the_wake_word_only() -> None:
    assert called("hey jarvis can you read french please") == "can you read french please"
    assert called("who is jarvis lorry") == "who is jarvis lorry"
    assert called("jarvis") == ""


@given(st.text(max_size=60))
def test_plain_and_trimmed_change_nothing_the_second_time(text: str) -> None:
    words = plain(text)
    assert plain(words) == words
    assert trimmed(trimmed(words)) == trimmed(words)
