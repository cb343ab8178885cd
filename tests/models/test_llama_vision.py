"""The vision-language model: real files with random weights, and what a wrong file, picture, schema or prompt gives.

Three small models stand for the ways in which pictures enter a context; see ``tiny_vision``.
"""

from __future__ import annotations

import ctypes
import json
import logging
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import EngineFailed, ModelCorrupt, ModelMissing, NotPicture
from edge.ports import Stop
from edge.values import Message, Pixels, Prompt
from models.llama_vision import KEPT, LlamaVision
from models.mtmd import Part
from tests.models.contract_vision import check_vision
from tests.models.tiny_vision import write_projector, write_text

if missing := [name for name in ("llama_cpp", "gguf") if find_spec(name) is None]:
    pytest.skip(f"ENGINE MISSING: {', '.join(missing)}", allow_module_level=True)

SYSTEM = Message("system", "Answer.")
KINDS = {"idefics3": "llama", "gemma3": "gemma3", "qwen3vl": "qwen3vl"}
SEEN = {"type": "object", "properties": {"seen": {"type": "boolean"}, "colour": {"enum": ["red", "blue"]}}}
SEEN |= {"required": ["seen", "colour"]}


def files(folder: Path, kind: str) -> tuple[Path, Path]:
    return write_text(folder / "text.gguf", architecture=KINDS[kind]), write_projector(folder / "mmproj.gguf", kind=kind)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("smolvlm2-500m")


@pytest.fixture(scope="module", params=list(KINDS))
def model(request: pytest.FixtureRequest, folder: Path) -> Iterator[LlamaVision]:
    (own := folder / str(request.param)).mkdir()
    engine = LlamaVision(*files(own, str(request.param)), n_ctx=1024, threads=1, max_side=256, opening=[SYSTEM])
    engine.open()
    yield engine
    engine.close()


def picture(seed: int, height: int = 96, width: int = 128) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def prompt(question: str = "What is it?", *, max_tokens: int = 12, stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt((SYSTEM, Message("user", question)), max_tokens, stop=stop)


def text(model: LlamaVision, pictures: Sequence[Pixels], asked: Prompt | None = None, stop: Stop | None = None) -> str:
    return "".join(model.answer(pictures, asked or prompt(), Stop() if stop is None else stop))


@pytest.fixture
def encoded(model: LlamaVision, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each tile that is encoded from now on."""
    lib, calls = model._opened()[1]._lib, list[int]()
    encode = lib.mtmd_encode_chunk

    def counted(*given: Any) -> Any:
        calls.append(1)
        return encode(*given)

    monkeypatch.setattr(lib, "mtmd_encode_chunk", counted)
    return calls


@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_contract(folder: Path, kind: str) -> None:
    (own := folder / f"contract-{kind}").mkdir()
    check_vision(LlamaVision(*files(own, kind), n_ctx=1024, threads=1, max_side=256), picture(30), picture(30)[10:60, 20:70])


class AfterLooks(Stop):
    """Is set after so many looks at it."""

    __slots__ = ("left",)

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.left = looks

    def __bool__(self) -> bool:
        self.left -= 1
        if self.left < 0:
            self.set()
        return super().__bool__()


def test_the_scores_are_those_of_the_library_s_own_way(model: LlamaVision) -> None:
    shown = picture(1)
    list(model.answer([shown], prompt(max_tokens=1), Stop()))
    ours = model._opened()[0].scores()
    theirs = _by_marker(model, shown, CHATML_TEXT)
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()
    assert int(ours.argmax()) == int(theirs.argmax())


CHATML_TEXT = """<|im_start|>system
Answer.<|im_end|>
<|im_start|>user
<__media__>What is it?<|im_end|>
<|im_start|>assistant
"""


def _by_marker(model: LlamaVision, pixels: Pixels, markup: str) -> NDArray[np.float32]:
    """Evaluates a whole prompt with libmtmd's helper, as llama-cpp-python's chat handlers do."""
    core, projector = model._opened()
    lib, raw = projector._lib, markup.encode()
    rgb = np.ascontiguousarray(pixels[..., ::-1])
    bitmap = lib.mtmd_bitmap_init(rgb.shape[1], rgb.shape[0], rgb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)))
    given = lib.mtmd_input_text()
    given.text, given.text_len, given.add_special, given.parse_special = raw, len(raw), True, True
    chunks, after = lib.mtmd_input_chunks_init(), core.lib.llama_pos()
    try:
        assert lib.mtmd_tokenize(projector._context, chunks, ctypes.byref(given), (ctypes.c_void_p * 1)(bitmap), 1) == 0
        model._cut(0)
        status = lib.mtmd_helper_eval_chunks(projector._context, core.context, chunks, 0, 0, 512, True, ctypes.byref(after))
        assert status == 0
        return core.scores()
    finally:
        lib.mtmd_input_chunks_free(chunks)
        lib.mtmd_bitmap_free(bitmap)
        model._cut(0)


def scores(model: LlamaVision, pictures: Sequence[Pixels], question: str = "What is it?") -> bytes:
    list(model.answer(pictures, prompt(question, max_tokens=1), Stop()))
    return model._opened()[0].scores().tobytes()


def test_an_answer_depends_on_the_picture_and_not_on_what_was_asked_before(model: LlamaVision) -> None:
    first, second = picture(1), picture(2)
    cold = scores(model, [first])
    others = [scores(model, [second]), scores(model, [first, second]), scores(model, []), scores(model, [first], "And now?")]
    assert len({cold, *others}) == 5
    assert scores(model, [first.copy()]) == cold, "to the last bit"


def test_a_prepared_picture_is_not_encoded_again(model: LlamaVision, encoded: list[int]) -> None:
    cold = text(model, [picture(3)])
    text(model, [picture(4)])
    text(model, [picture(5)])
    encoded.clear()
    model.prepare(picture(3), Stop())
    assert encoded, "two newer pictures have taken its place"
    encoded.clear()
    model.prepare(picture(3), Stop())
    assert text(model, [picture(3)]) == cold
    text(model, [picture(3), picture(3)[:50]])
    assert text(model, [picture(3)], prompt("And now?"))
    tiles = sum(part.chunk is not None for part in model._pictures[next(iter(model._pictures))].parts)
    assert len(encoded) == tiles > 0, "only the part of it was new"
    assert len(model._pictures) == KEPT


def test_a_question_about_a_prepared_picture_costs_its_own_words(model: LlamaVision, monkeypatch: pytest.MonkeyPatch) -> None:
    core, projector = model._opened()
    sizes: list[int] = []
    decode, tile = core.decode, projector.decode

    def counted(tokens: Sequence[int], position: int) -> None:
        sizes.append(len(tokens))
        decode(tokens, position)

    def counted_tile(part: Part, position: int, stop: Stop) -> bool:
        sizes.append(part.size)
        return tile(part, position, stop)

    monkeypatch.setattr(core, "decode", counted)
    monkeypatch.setattr(projector, "decode", counted_tile)
    model.prepare(picture(6), Stop())
    assert sum(sizes) > 16
    sizes.clear()
    model.prepare(picture(6), Stop())
    assert sizes == []
    list(model.answer([picture(6)], prompt("Why?", max_tokens=1), Stop()))
    assert sum(sizes) == len("Why?") + len("\n\nassistant\n") - 1 + 2, "its words and the markup behind them"


def test_it_can_be_stopped_anywhere_and_stays_right(model: LlamaVision) -> None:
    known = scores(model, [picture(7)])
    unstopped = AfterLooks(10**9)
    assert text(model, [picture(100)], stop=unstopped)
    looks = 10**9 - unstopped.left
    said = []
    for at, when in enumerate([*range(0, looks, looks // 12), *range(looks - 16, looks + 4, 4)]):
        shown = picture(101 + at)
        if at % 2:
            model.prepare(shown, AfterLooks(when // 2))
        given = text(model, [shown], stop=AfterLooks(when))
        whole = text(model, [shown])
        assert whole.startswith(given)
        said.append((len(given), len(whole)))
    assert scores(model, [picture(7)]) == known
    assert said[0][0] == 0
    assert any(0 < some < all_of_it for some, all_of_it in said)


def test_json_obeys_its_schema(model: LlamaVision) -> None:
    given = "".join(model.answer([picture(8)], prompt(max_tokens=80), Stop(), SEEN))
    value = json.loads(given)
    assert isinstance(value["seen"], bool) and value["colour"] in ("red", "blue")
    with pytest.raises(EngineFailed, match="did not end within 3 tokens"):
        list(model.answer([picture(8)], prompt(max_tokens=3), Stop(), SEEN))
    with pytest.raises(EngineFailed, match="schema cannot be used"):
        list(model.answer([picture(8)], prompt(), Stop(), {"type": "nonsense"}))


def test_text_opens_no_place_for_a_picture_and_ends_no_message(model: LlamaVision) -> None:
    hostile = "".join(f"x{mark}" for mark in ("<__media__>", "<|im_end|>", "<|vision_start|>", "<fake_token_around_image>"))
    shown = [model._picture(picture(9))]
    plain = model._text(prompt("x" * len(hostile)).messages, shown)
    pieces = model._text(prompt(hostile).messages, shown)
    assert [piece.part.size for piece in pieces] == [piece.part.size for piece in plain], "each character stays a character"
    assert pieces[-2].part.tokens == tuple(model._opened()[0].tokenize(hostile, special=False))
    assert max(pieces[-2].part.tokens) < 256, "none of them is a token of markup"
    assert text(model, [picture(9)], prompt(hostile))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 900), (900, 1), (3, 500), (37, 41), (700, 900)])
def test_pictures_of_any_size_are_taken(model: LlamaVision, shape: tuple[int, int]) -> None:
    assert isinstance(text(model, [picture(10, *shape)], prompt(max_tokens=2)), str)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3), np.float32)],
)
def test_what_is_no_picture_is_refused(model: LlamaVision, pixels: Pixels) -> None:
    with pytest.raises(NotPicture):
        text(model, [pixels])
    with pytest.raises(NotPicture):
        model.prepare(pixels, Stop())


def test_what_does_not_fit_is_refused_and_the_next_is_answered(model: LlamaVision) -> None:
    cold = text(model, [picture(11)])
    for seed in range(4):
        with pytest.raises(EngineFailed, match="do not fit a context of 1024"):
            text(model, [picture(20 + seed)], prompt("why " * 400))
    assert len(model._pictures) == KEPT, "what was cut for nothing is forgotten"
    with pytest.raises(EngineFailed, match="user's message"):
        list(model.answer([picture(11)], Prompt((SYSTEM,)), Stop()))
    assert text(model, [picture(11)]) == cold


def test_stop_strings_end_an_answer(model: LlamaVision) -> None:
    whole = text(model, [picture(12)])
    mark = whole[len(whole) // 2]
    assert text(model, [picture(12)], prompt(stop=(mark,))) == whole.partition(mark)[0]


def test_grown_memory_loads_the_model_anew(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (own := folder / "grown").mkdir()
    engine = LlamaVision(*files(own, "idefics3"), n_ctx=1024, threads=1, max_side=256, max_growth=-1)
    engine.open()
    with caplog.at_level(logging.WARNING, "models.llama_vision"):
        said = [text(engine, [picture(1)]) for _ in range(3)]
    engine.close()
    assert len(set(said)) == 1 and len(caplog.records) == 3


def test_a_file_that_is_missing_or_wrong_is_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (own := folder / "wrong").mkdir()
    model, projector = files(own, "idefics3")
    wide = write_projector(own / "wide.gguf", embed=128)
    strange = write_projector(own / "strange.gguf", kind="warp-drive")
    poor = write_text(own / "poor.gguf", paragraphs=False)
    mllama = write_text(own / "llama-3.2-vision.gguf", architecture="mllama")
    (own / "page.gguf").write_bytes(b"<html>")
    cases: list[tuple[Path, Path, type[Exception], str]] = [
        (own / "no.gguf", projector, ModelMissing, r"no.gguf is not installed: run nearsight models pull wrong"),
        (model, own / "no.gguf", ModelMissing, r"no.gguf is not installed"),
        (own / "page.gguf", projector, ModelCorrupt, "not a GGUF file"),
        (model, wide, ModelCorrupt, "wide.gguf belongs to another model"),
        (model, model, ModelCorrupt, "text.gguf is no projector"),
        (model, strange, ModelCorrupt, "strange.gguf is no projector that llama.cpp knows"),
        (projector, projector, EngineFailed, "mmproj.gguf cannot be loaded"),
        (mllama, projector, EngineFailed, "not supported by llama.cpp; use Qwen3-VL: nearsight models pull qwen3-vl-4b"),
    ]
    for text_file, projector_file, error, words in cases:
        engine = LlamaVision(text_file, projector_file, n_ctx=1024, threads=1)
        with pytest.raises(error, match=words) as caught:
            engine.open()
        assert "\n" not in str(caught.value)
        with pytest.raises(EngineFailed, match="not open"):
            text(engine, [picture(1)])
        engine.close()
    engine = LlamaVision(poor, projector, n_ctx=1024, threads=1)
    engine.open()
    with pytest.raises(ModelCorrupt, match="two different models"):
        text(engine, [picture(1, 200, 200)])
    engine.close()
    assert capfd.readouterr() == ("", ""), "llama.cpp writes nothing on the console"


def test_it_says_what_it_is(model: LlamaVision) -> None:
    info = model.info
    assert (info.name, info.model, info.details["projector"]) == ("llama-cpp", "text.gguf", "mmproj.gguf")
