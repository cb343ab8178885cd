"""``nearsight models export``: its words, its lines, its exit status. What it writes: tests/models/test_sam2_export.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models import sam2_export
from models.sam2_export import Exported
from models.sam2_manifest import GRAPHS, Gate, GraphFile, Manifest
from tests.cli.command import Command


class Writer:
    """Stands for what takes a minute; notes what it is asked for."""

    iou = 0.99

    def __call__(
        self, model: Any, out: Path, name: str, source: Any, smaller: Sequence[str], frames: Sequence[Any], progress: Any
    ) -> Exported:
        self.asked = (model, out, name, source, smaller, len(frames))
        progress("writing image_encoder")
        graphs = {graph: {"fp32": GraphFile(f"{graph}.onnx", 1_000_000, "0" * 64)} for graph in GRAPHS}
        gates = {each: Gate(self.iou, 0.98, len(frames), self.iou >= 0.98) for each in smaller}
        return Exported(out, Manifest(name, 512, 18, source, {}, graphs, dict.fromkeys(GRAPHS, 2e-6), gates))


@pytest.fixture
def writer(monkeypatch: pytest.MonkeyPatch) -> Writer:
    made = Writer()
    monkeypatch.setattr(sam2_export, "write", made)
    monkeypatch.setattr(sam2_export, "build", lambda variant, size, checkpoint, seed: (variant, size, checkpoint, seed))
    monkeypatch.setattr(sam2_export, "_need_packages", lambda: None)
    return made


def test_what_is_written_is_told(nearsight: Command, writer: Writer, tmp_path: Path) -> None:
    done = nearsight("models", "export", "sam2.1-hiera-tiny", "--random", 5, "--out", tmp_path / "x")
    assert done.status == 0
    assert done.out.splitlines()[0] == f"sam2.1-hiera-tiny@512: {tmp_path / 'x'} (6.0 MB)"
    assert "  image_encoder      differs from torch by 2.0e-06" in done.out.splitlines()
    assert done.err.splitlines() == ["building sam2.1-hiera-tiny for 512 pixels", "writing image_encoder"]
    source = {"file": None, "sha256": None, "seed": 5}
    assert writer.asked == (("tiny", 512, None, 5), tmp_path / "x", "sam2.1-hiera-tiny", source, (), 0)


def test_the_checkpoint_s_hash_is_kept_and_the_folder_is_among_the_models(
    nearsight: Command, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARSIGHT_CACHE", str(tmp_path))
    (tmp_path / "w.pt").write_bytes(b"weights")
    done = nearsight("models", "export", "sam2.1-hiera-large", "--size", 1024, "--checkpoint", tmp_path / "w.pt", "--json")
    assert done.status == 0 and done.err == ""
    (row,) = done.rows
    assert row["path"] == str(tmp_path / "exported" / "sam2.1-hiera-large-1024")
    assert row["bytes"] == 6_000_000 and row["parity"]["mask_decoder"] == 2e-6
    assert writer.asked[3]["file"] == "w.pt" and len(writer.asked[3]["sha256"]) == 64


def test_what_was_exported_is_listed_and_what_is_damaged_is_not(
    nearsight: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEARSIGHT_CACHE", str(tmp_path))
    graphs = {graph: {"fp32": GraphFile(f"{graph}.onnx", 1_000_000, "0" * 64)} for graph in GRAPHS}
    for name in ("sam2.1-hiera-tiny-512", "broken"):
        (tmp_path / "exported" / name).mkdir(parents=True)
    made = Manifest("sam2.1-hiera-tiny", 512, 18, {"file": "w.pt", "sha256": "0", "seed": None}, {}, graphs, {})
    made.write(tmp_path / "exported" / "sam2.1-hiera-tiny-512")
    (tmp_path / "exported" / "broken" / "manifest.json").write_text("{")
    rows = [row for row in nearsight("models", "list", "--json").rows if row["state"] == "exported"]
    assert [(row["model"], row["bytes"], row["source"]) for row in rows] == [
        ("sam2.1-hiera-tiny-512", 6_000_000, "export:w.pt")
    ]
    assert "sam2.1-hiera-tiny-512" in nearsight("models", "list", "--profile", "phone").out


def test_numbers_that_were_refused_are_a_failure_with_their_figure(nearsight: Command, writer: Writer, tmp_path: Path) -> None:
    for at in range(3):
        cv2.imwrite(str(tmp_path / f"{at}.png"), np.full((30, 40, 3), 80 * at, np.uint8))
    writer.iou = 0.7123
    words = ("models", "export", "sam2.1-hiera-tiny", "--random", 0, "--out", tmp_path / "x", "--half", "--int8")
    done = nearsight(*words, "--gate-frames", tmp_path, "--json")
    assert done.status == 1
    assert done.rows[0]["gates"] == {name: {"iou": 0.7123, "kept": False} for name in ("fp16", "int8")}
    assert "fp16 not kept: on 3 pictures its masks have a mean IoU of 0.712" in done.err
    assert writer.asked[4:] == (("fp16", "int8"), 3)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("sam2.1-hiera-tiny",), 2, "--checkpoint"),
        (("sam3", "--random", 0), 2, "cannot be exported"),
        (("sam2.1-hiera-tiny", "--checkpoint", "/no/such.pt", "--random", 0), 2, "not both"),
        (("sam2.1-hiera-tiny", "--random", 0, "--gate-frames", "/no/such"), 1, "/no/such"),
        (("sam2.1-hiera-tiny", "--random", "x"), 2, "--random"),
        ((), 2, "name"),
    ],
)
def test_wrong_words_are_one_clear_line(
    nearsight: Command, writer: Writer, words: tuple[Any, ...], status: int, says: str
) -> None:
    done = nearsight("models", "export", *words)
    assert done.status == status and says in done.err and done.out == ""
    assert not hasattr(writer, "asked")
