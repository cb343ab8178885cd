"""Models that come by hand: a file, a folder, a bundle on a stick."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import InputError, ModelCorrupt, ModelMissing, NearsightError, UsageError
from models.carry import LIST, add, bundle, is_bundle, unpack
from models.catalog import Catalogue, Entry, ModelFile, State
from models.record import RECORD

DATA, CONFIG = bytes(range(256)) * 40, b"{}"
DIGEST = hashlib.sha256(DATA).hexdigest()


def catalogue(folder: Path) -> Catalogue:
    pinned = Entry(
        "pinned", "language_model", "url:http://models.invalid/", "MIT", (ModelFile("m.gguf", "", len(DATA), DIGEST),)
    )
    files = (ModelFile("model.bin"), ModelFile("config.json"))
    loose = Entry("loose", "recogniser", "hf:ada/loose", "CC-BY-NC-4.0", files)
    return Catalogue({"pinned": pinned, "loose": loose}, folder)


@pytest.fixture
def here(tmp_path: Path) -> Catalogue:
    """A machine that has both models."""
    models = catalogue(tmp_path / "here")
    add(models, written(tmp_path / "m.gguf", DATA), "pinned")
    folder = tmp_path / "loose"
    written(folder / "deep" / "model.bin", DATA[::-1])
    written(folder / "config.json", CONFIG)
    add(models, folder, "loose")
    return models


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_what_is_added_by_hand_must_keep_its_hash(here: Catalogue) -> None:
    assert here.status("loose").state is State.ADDED and here.status("pinned").state is State.INSTALLED
    path = here.path("loose")
    assert path.name == "model.bin" and hashlib.sha256(DATA[::-1]).hexdigest() in (path.parent / RECORD).read_text()
    path.write_bytes(DATA)
    with pytest.raises(ModelCorrupt):
        here.path("loose")


def test_what_is_added_must_be_what_the_catalogue_names(tmp_path: Path) -> None:
    models = catalogue(tmp_path / "cache")
    own = written(tmp_path / "mine.gguf", DATA[1:])
    with pytest.raises(ModelCorrupt, match=r"not the m\.gguf of the catalogue"):
        add(models, own, "pinned")
    assert models.status("pinned").state is State.MISSING
    with pytest.raises(InputError, match="not loaded; known are"):
        add(models, own.rename(tmp_path / "mine.pkl"), "pinned")
    with pytest.raises(InputError, match="no such file"):
        add(models, own, "pinned")
    with pytest.raises(UsageError, match="did you mean 'pinned'"):
        add(models, written(own, DATA), "pined")
    with pytest.raises(UsageError, match="it has model.bin, config.json"):
        add(models, own, "loose")
    folder = tmp_path / "half"
    written(folder / "model.bin", DATA)
    with pytest.raises(InputError, match="of loose it lacks config.json"):
        add(models, folder, "loose")


def test_a_model_that_no_catalogue_has_gets_a_name_of_its_own(tmp_path: Path) -> None:
    models = catalogue(tmp_path / "cache")
    folder = tmp_path / "own"
    written(folder / "small.json", CONFIG)
    written(folder / "large.gguf", DATA)
    assert add(models, folder, "my-llama", "language_model").name == "large.gguf"
    known = Catalogue.load(cache=models.cache)
    assert known.path("my-llama").read_bytes() == DATA
    row = known.status("my-llama")
    assert row.state is State.ADDED and row.entry.task == "language_model"
    with pytest.raises(UsageError, match="no plain name"):
        add(models, folder, "../up", "voice")


def test_a_bundle_brings_models_to_a_board_without_a_network(here: Catalogue, tmp_path: Path) -> None:
    stick = tmp_path / "stick.tar"
    assert bundle(here, ["pinned", "loose"], stick) == stick.stat().st_size
    assert is_bundle(stick) and not is_bundle(tmp_path / "m.gguf")
    board = catalogue(tmp_path / "board")
    assert unpack(board, stick) == ["pinned", "loose"]
    assert board.path("pinned").read_bytes() == DATA and board.path("loose").read_bytes() == DATA[::-1]
    assert board.status("loose").state is State.ADDED
    strange = Catalogue({}, tmp_path / "strange")
    unpack(strange, stick)
    assert strange.path("loose").read_bytes() == DATA[::-1], "also where the catalogue does not know them"
    with pytest.raises(ModelMissing, match="pinned, loose not installed: run nearsight models pull pinned loose"):
        bundle(catalogue(tmp_path / "empty"), ["pinned", "loose"], tmp_path / "none.tar")
    with pytest.raises(InputError, match="No such file or directory"):
        bundle(here, ["pinned"], tmp_path / "no" / "folder.tar")
    assert not list(tmp_path.glob("*.part"))


@given(at=st.integers(0, 33000), flip=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_bundle_never_brings_a_wrong_file(here: Catalogue, tmp_path: Path, at: int, flip: bool) -> None:
    stick = tmp_path / "stick.tar"
    if not stick.exists():
        bundle(here, ["pinned", "loose"], stick)
    whole = stick.read_bytes()
    at = min(at, len(whole) - 1)
    bad = tmp_path / "bad.tar"
    bad.write_bytes(whole[:at] + bytes([whole[at] ^ 64]) + whole[at + 1 :] if flip else whole[:at])
    board = catalogue(tmp_path / f"board-{at}-{flip}")
    try:
        unpack(board, bad)
    except NearsightError as error:
        assert "\n" not in error.text
    right = {"pinned": {DATA}, "loose": {DATA[::-1]}}
    for name, contents in right.items():
        if board.status(name).state.here:
            assert board.path(name).read_bytes() in contents


def tar(path: Path, *members: tuple[str, bytes | None]) -> Path:
    with tarfile.open(path, "w") as out:
        for name, data in members:
            header = tarfile.TarInfo(name)
            if data is None:
                header.type, header.linkname = tarfile.SYMTYPE, "/etc/hostname"
            else:
                header.size = len(data)
            out.addfile(header, io.BytesIO(data or b""))
    return path


def listing(name: str, sha256: str = DIGEST, model: str = "pinned") -> tuple[str, bytes]:
    text = f'bundle = 1\n[model."{model}".files."{name}"]\nbytes = {len(DATA)}\nsha256 = "{sha256}"\n'
    return LIST, text.encode()


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([("README", b"hello")], "does not begin with"),
        ([(LIST, b"bundle = 2\n")], "another version"),
        ([(LIST, b"\xff")], "cannot be read"),
        ([listing("m.gguf"), ("pinned/m.gguf", None)], "is not in its list"),
        ([listing("m.gguf"), ("../m.gguf", DATA)], "is not in its list"),
        ([listing("m.gguf"), ("pinned/m.gguf", DATA[::-1])], "not what the catalogue names"),
        ([listing("m.gguf")], "it lacks m.gguf"),
        ([listing("../m.gguf")], "no plain name"),
        ([listing("m.gguf", model="../x")], "no plain name"),
        ([listing("m.gguf", sha256="12")], "64 digits"),
    ],
)
def test_what_a_bundle_may_not_do(tmp_path: Path, members: list[tuple[str, bytes | None]], says: str) -> None:
    board = catalogue(tmp_path / "board")
    with pytest.raises(NearsightError, match=says):
        unpack(board, tar(tmp_path / "bad.tar", *members))
    assert board.status("pinned").state is State.MISSING
    assert {path.name for path in tmp_path.iterdir()} <= {"board", "bad.tar"}
