"""Pulling from a model hub: what it states is asked for, agreed to, written down, and holds from then on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import FetchFailed, ModelCorrupt, NotAgreed, UsageError
from models.catalog import Catalogue, Entry, ModelFile, State
from models.download import Patience
from models.fetch import Consent, asks, pull, remove
from models.record import RECORD, read_record
from tests.models.hub import COMMIT, Hub, serving

pytestmark = pytest.mark.real_time

WEIGHTS, CONFIG = bytes(range(256)) * 200, b'{"model_type": "tiny"}\n'
FILES = (ModelFile("model.bin"), ModelFile("config.json", "en/config.json"))
TRUST = Consent("latest")
QUICK = Patience(tries=2, first_wait_s=0.0, timeout_s=5.0)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    for name in ("HF_TOKEN", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serving(Hub({"ada/tiny/model.bin": WEIGHTS, "ada/tiny/en/config.json": CONFIG})) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        yield served


def catalogue(tmp_path: Path, source: str = "hf:ada/tiny", *files: ModelFile, licence: str = "MIT") -> Catalogue:
    entry = Entry("tiny", "recogniser", source, licence, files or FILES, terms="on its page")
    return Catalogue({"tiny": entry}, tmp_path / "cache")


def test_what_nobody_has_pinned_is_pulled_only_when_its_owner_trusts_the_hub(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path)
    assert "nobody has pinned its hashes" in asks(models, "tiny")[0]
    with pytest.raises(NotAgreed, match="--trust latest"):
        pull(models, "tiny")
    assert not hub.asked and not models.folder("tiny").exists()
    path = pull(models, "tiny", consent=TRUST)
    assert path.name == "model.bin" and path.read_bytes() == WEIGHTS
    assert (path.parent / "config.json").read_bytes() == CONFIG
    record = read_record(path.parent)
    assert (record.source, record.revision) == ("hf:ada/tiny", COMMIT)
    assert {name: pin.sha256 for name, pin in record.files.items()} == {
        "model.bin": hashlib.sha256(WEIGHTS).hexdigest(),
        "config.json": hashlib.sha256(CONFIG).hexdigest(),
    }
    assert models.status("tiny").state is State.TRUSTED and not asks(models, "tiny")
    assert {place.split("/")[3] for place, _ in hub.asked} == {COMMIT}, "never a branch: it may move between two files"


def test_what_was_trusted_once_holds(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path)
    path = pull(models, "tiny", consent=TRUST)
    path.write_bytes(WEIGHTS[::-1])
    with pytest.raises(ModelCorrupt, match="its SHA-256 is wrong"):
        models.path("tiny")
    assert pull(models, "tiny").read_bytes() == WEIGHTS, "it need not be trusted again"
    path.unlink()
    hub.files["ada/tiny/model.bin"] = WEIGHTS[::-1]
    with pytest.raises(ModelCorrupt, match="is not what the catalogue names"):
        pull(models, "tiny", consent=TRUST)
    remove(models, "tiny")
    assert pull(models, "tiny", consent=TRUST).read_bytes() == WEIGHTS[::-1], "who removes it may trust anew"


def test_a_pull_that_was_cut_stays_with_the_commit_that_it_began_with(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, "hf:ada/tiny", ModelFile("model.bin"))
    hub.faults = [("cut", 4321), 404]
    with pytest.raises(FetchFailed):
        pull(models, "tiny", consent=TRUST, patience=QUICK)
    assert models.status("tiny").state is State.MISSING
    hub.api = 500
    pull(models, "tiny")
    assert hub.asked[-1] == (f"ada/tiny/resolve/{COMMIT}/model.bin", "bytes=4321-"), "the hub's word is not asked for twice"


def test_a_small_file_is_checked_by_git_s_name_of_it(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, "hf:ada/tiny", ModelFile("config.json", "en/config.json"))
    hub.faults = ["wrong"]
    with pytest.raises(ModelCorrupt, match="config.json"):
        pull(models, "tiny", consent=TRUST)
    assert models.status("tiny").state is State.MISSING


def test_what_was_learnt_of_one_source_says_nothing_of_another(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path)
    pull(models, "tiny", consent=TRUST)
    (models.folder("tiny") / "model.bin").unlink()
    models.entries["tiny"] = replace(models.entries["tiny"], source="hf:eve/tiny")
    hub.files |= {path.replace("ada", "eve"): data[::-1] for path, data in hub.files.items()}
    with pytest.raises(NotAgreed, match="--trust"):
        pull(models, "tiny")
    assert pull(models, "tiny", consent=TRUST).read_bytes() == WEIGHTS[::-1]


@pytest.mark.parametrize("pinned", [True, False])
def test_a_catalogue_that_pins_needs_no_word(tmp_path: Path, hub: Hub, pinned: bool) -> None:
    file = ModelFile("model.bin", "", len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest()) if pinned else ModelFile("model.bin")
    models = catalogue(tmp_path, f"hf:ada/tiny@{COMMIT}", file)
    hub.api = 500 if pinned else 200
    assert pull(models, "tiny").read_bytes() == WEIGHTS
    assert models.status("tiny").state is (State.INSTALLED if pinned else State.TRUSTED)


def test_a_commit_can_be_named(tmp_path: Path, hub: Hub) -> None:
    assert pull(catalogue(tmp_path), "tiny", consent=Consent(COMMIT)).read_bytes() == WEIGHTS
    with pytest.raises(UsageError, match="forty digits, or latest"):
        pull(catalogue(tmp_path / "b"), "tiny", consent=Consent("main"))
    with pytest.raises(FetchFailed, match="there is no ada/tiny at aaaa"):
        pull(catalogue(tmp_path / "c"), "tiny", consent=Consent("a" * 40))


def test_a_licence_with_conditions_is_agreed_to_once_and_written_down(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path, licence="Llama 3.2 Community")
    assert len(asks(models, "tiny")) == 2
    with pytest.raises(NotAgreed, match=r"Llama 3.2 Community \(on its page\): agree to it with --accept-licence"):
        pull(models, "tiny", consent=TRUST)
    pull(models, "tiny", consent=Consent("latest", licence=True))
    assert read_record(models.folder("tiny")).licence == "Llama 3.2 Community"
    (models.folder("tiny") / "model.bin").unlink()
    pull(models, "tiny")
    models.entries["tiny"] = replace(models.entries["tiny"], licence="Llama 4 Community")
    (models.folder("tiny") / "model.bin").unlink()
    with pytest.raises(NotAgreed, match="Llama 4"):
        pull(models, "tiny")


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, "", "wants a login: set HF_TOKEN"),
        (403, "", "wants a login: set HF_TOKEN"),
        (429, "", "too many requests"),
        (500, "", "answers 500; run it again"),
        (200, "<html>captive portal</html>", "something that is no hub's answer"),
        (200, "[]", "something that is no hub's answer"),
        (200, '{"id": "ada/tiny"}', "has no model.bin, en/config.json at main"),
        (200, '{"id": "ada/tiny", "sha": "abc", "siblings": [{"rfilename": "model.bin"}]}', "has no en/config.json"),
    ],
)
def test_a_hub_that_says_no_or_nonsense(tmp_path: Path, hub: Hub, status: int, body: str, says: str) -> None:
    hub.api, hub.api_body = status, body
    with pytest.raises(FetchFailed, match=says) as caught:
        pull(catalogue(tmp_path), "tiny", consent=TRUST, patience=QUICK)
    assert "\n" not in caught.value.text
    hub.api, hub.api_body = 200, ""
    assert pull(catalogue(tmp_path), "tiny", consent=TRUST).read_bytes() == WEIGHTS


def test_a_hub_without_hashes_is_not_believed(tmp_path: Path, hub: Hub) -> None:
    rows = '{"rfilename": "model.bin", "size": 5}, {"rfilename": "en/config.json"}'
    hub.api_body = f'{{"id": "ada/tiny", "sha": "{COMMIT}", "siblings": [{rows}]}}'
    with pytest.raises(FetchFailed, match="states no hash of model.bin, so it cannot be checked"):
        pull(catalogue(tmp_path), "tiny", consent=TRUST)


def test_nobody_there_and_offline(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(FetchFailed, match="the hub does not answer") as caught:
        pull(catalogue(tmp_path), "tiny", consent=TRUST)
    assert "\n" not in caught.value.text
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FetchFailed, match="HF_HUB_OFFLINE keeps ada/tiny away"):
        pull(catalogue(tmp_path), "tiny", consent=TRUST)


def test_the_token_goes_to_the_hub_and_nowhere_else(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving(Hub({"blob": WEIGHTS})) as elsewhere:
        hub.faults = [("to", f"{elsewhere.address}/blob")]
        models = catalogue(tmp_path, "hf:ada/tiny", ModelFile("model.bin"))
        assert pull(models, "tiny", consent=TRUST).read_bytes() == WEIGHTS
        assert set(hub.tokens) == {"Bearer hf_secret"} and elsewhere.tokens == [""]


def test_a_record_that_is_unreadable_is_said_and_can_be_removed(tmp_path: Path, hub: Hub) -> None:
    models = catalogue(tmp_path)
    pull(models, "tiny", consent=TRUST)
    (models.folder("tiny") / RECORD).write_text("files = 3\n")
    assert models.status("tiny").state is State.CORRUPT
    with pytest.raises(ModelCorrupt, match="run nearsight models remove tiny"):
        models.path("tiny")
    remove(models, "tiny")
    assert pull(models, "tiny", consent=TRUST).read_bytes() == WEIGHTS
