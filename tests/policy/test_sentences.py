import re

import pytest
import sentence_stream
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.normalise import plain
from edge.policy.sentences import MAX_PIECE, Sentences


def cut(deltas: list[str]) -> list[str]:
    sentences = Sentences(plain)
    pieces = [piece for delta in deltas for piece in sentences.push(delta)]
    return pieces + sentences.finish()


def tokens(text: str) -> list[str]:
    """Cuts text as the tokenizers of language models do: a word with its leading space, a mark by itself."""
    return re.findall(r" ?[^\W\d]+|\d|[^\w\s]+|\s+", text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("It is shut. Come back later. Bye.", ["It is shut.", "Come back later.", "Bye."]),
        ("Dr. Smith is in. Ask Mr. Jones.", ["Dr. Smith is in.", "Ask Mr. Jones."]),
        ("It costs 4.50 euros. Cheap!", ["It costs 4.50 euros.", "Cheap!"]),
        ("Bread, e.g. rye. Or i.e. none.", ["Bread, e.g. rye.", "Or i.e. none."]),
        ("Ask J. R. Hartley. He knows.", ["Ask J. R. Hartley.", "He knows."]),
        ("Open at 8 a.m. on Monday. Shut at 5 p.m. Then home.", ["Open at 8 a.m. on Monday.", "Shut at 5 p.m.", "Then home."]),
        ("It is 12:30. See a.example.com/x?y=1. Ok.", ["It is 12:30.", "See a.example.com/x?y=1.", "Ok."]),
        ("Wait... there is more. Wait... There is.", ["Wait... there is more.", "Wait...", "There is."]),
        ("Wait… there is more. Wait… There is.", ["Wait… there is more.", "Wait…", "There is."]),
        ("The answer is no. Try bus No. 5 then.", ["The answer is no.", "Try bus No. 5 then."]),
        ("1. Go left.\n2. Go right.", ["1. Go left.", "2. Go right."]),
        ('He said "stop." Then (see it.) he went.', ['He said "stop."', "Then (see it.)", "he went."]),
        ("What?! No!!! Yes", ["What?!", "No!!!", "Yes"]),
        ("第一句话。第二句话！「你好。」好吗？", ["第一句话。", "第二句话！", "「你好。」", "好吗？"]),
        ("NO PARKING\nANY TIME", ["NO PARKING", "ANY TIME"]),
        ("**Yes.** It is. 😀 ...", ["Yes.", "It is."]),
        ("", []),
        (" \n 😀 ** ", []),
    ],
)
def test_sentences(text: str, pieces: list[str]) -> None:
    assert cut([text]) == pieces
    assert cut(tokens(text)) == pieces


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("The sign says no parking, and the rest", "The sign says no parking,"),
        ("The shop is open today; so", "The shop is open today;"),
        ("The shop is open – from nine", "The shop is open –"),
        ("Yes, it is", None),  # too short to stand alone
        ("There are about 1,250 of", None),
        ("It is a well-known thing", None),
        ("See it at https://example", None),
    ],
)
def test_the_first_piece_may_be_a_clause(text: str, first: str | None) -> None:
    sentences = Sentences(plain)
    pieces = [piece for token in tokens(text) for piece in sentences.push(token)]
    assert pieces == ([first] if first else [])


def test_a_domain_stays_whole_although_the_tokenizer_cuts_it() -> None:
    assert cut(["Visit", " example", ".", "com", " for", " more", ".", " Bye"]) == ["Visit example.com for more.", "Bye"]


@given(
    st.lists(
        st.sampled_from(["It is open.", "Is it far?", "Go left!", "Ask Dr. Smith.", "It costs 4.50 euros.", "第一句话。"]),
        max_size=8,
    )
)
def test_sentence_stream_cuts_the_same_sentences(sentences: list[str]) -> None:
    text = " ".join(sentences)
    assert cut(tokens(text)) == list(sentence_stream.stream_to_sentences(tokens(text))) == sentences


def test_later_pieces_are_whole_sentences() -> None:
    text = "Yes. The shop that you mean is open, although it is late, until nine."
    assert cut([text]) == ["Yes.", "The shop that you mean is open, although it is late, until nine."]


@pytest.mark.parametrize("text", ["It says no parking.", "Is it open?", "It says no parking today,", "No!"])
def test_the_first_piece_waits_for_nothing_after_its_mark(text: str) -> None:
    assert Sentences().push(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "It costs 4.",
        "Ask Dr.",
        "It is 5 p.m.",
        "See www.example.",
        "Well..",
        'He said "no.',
        "See (it.",
        "It has 1,",
        "Visit example.",
    ],
)
def test_the_first_piece_waits_where_its_mark_may_not_be_the_end(text: str) -> None:
    assert Sentences().push(text) == []


def test_it_begins_anew_after_finish() -> None:
    sentences = Sentences()
    assert sentences.push("One two. Three") == ["One two."]
    assert sentences.finish() == ["Three"]
    assert sentences.push("The sign says no parking, and") == ["The sign says no parking,"]


def test_a_piece_has_a_bound() -> None:
    pieces = cut(["word " * 500 + "x" * 1000])
    assert max(map(len, pieces)) <= MAX_PIECE
    assert "".join(pieces).replace(" ", "") == "word" * 500 + "x" * 1000
    long = "a few words, " * 30
    assert all(piece.endswith(",") for piece in cut([long]))


WORDS = [
    "it",
    "The",
    "Dr.",
    "e.g.",
    "J.",
    "4.50",
    "12:30",
    "$3",
    "example.com",
    "no.",
    "No.",
    "p.m.",
    "NO",
    "stop",
    "well-known",
    "第一",
    "a,b",
    "x" * 30,
]
ENDS = ["", "", "", ".", ",", "?", "!", "...", ";", ":", ' "', ")", " –", "。", "\n", "?!", "."]
TEXT = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(ENDS)).map("".join), max_size=40).map(" ".join)


@given(TEXT, st.data())
def test_no_word_is_lost_however_the_text_comes(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=30)))
    deltas = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    pieces = cut(deltas)
    assert re.findall(r"\w", " ".join(pieces)) == re.findall(r"\w", text)
    assert all(len(piece) <= MAX_PIECE and re.search(r"\w", piece) for piece in pieces)


@given(TEXT)
def test_words_stay_whole_when_they_come_whole(text: str) -> None:
    words = [word for word in re.findall(r"\S+|\s+", text)]
    expected = [word for word in plain(text).split() if re.search(r"\w", word)]
    assert [word for word in " ".join(cut(words)).split() if re.search(r"\w", word)] == expected
