"""Translation by CTranslate2: a small real model, one of each family made here, and everything that can be wrong with one."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import (
    EngineFailed,
    LanguageMissing,
    ModelCorrupt,
    ModelError,
    ModelMissing,
    NotAgreed,
    TooLarge,
    UsageError,
)
from edge.ports import Stop
from edge.translation import TranslateRequest
from models.ct2_languages import find_code
from models.ct2_pack import Family, pairs_in, read_pack
from models.ct2_translator import MANY, Ct2Translator
from models.ct2_words import breaks_word, continued, joined, most_repeated, one_sided, repeats, unended
from tests.models.tiny_translators import INSTEAD, LEAVE, STAY, Habit, translator
from tests.shared import shared

SENTENCE = "the dog sees a red cat."
SPANISH = "el perro ve un rojo gato."
AGREED = {"threads": 1, "non_commercial": True}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Path]:
    """A model of each family, made once; a test that changes one takes a copy."""
    place = tmp_path_factory.mktemp("translators")
    return {family: translator(place / f"{family.name.lower()}-en-es", family) for family in Family}


@pytest.fixture
def copy(folders: dict[Family, Path], tmp_path: Path) -> Path:
    """A Marian model that may be damaged."""
    return Path(shutil.copytree(folders[Family.MARIAN], tmp_path / "opus-mt-en-es"))


def opened(folder: Path, **rest: object) -> Ct2Translator:
    engine = Ct2Translator(folder, **AGREED | rest)  # type: ignore[arg-type]
    engine.open()
    return engine


def told(engine: Ct2Translator, text: str, prefix: str = "", stop: Stop | None = None, **rest: Any) -> str:
    request = TranslateRequest(text, **{"source": "en", "target": "es", "prefix": prefix, **rest})
    return "".join(engine.translate(request, Stop() if stop is None else stop))


def test_a_real_model_writes_arabic_names_in_latin_letters() -> None:
    folder = shared("models/ct2-aren-transliteration/model.bin").parent
    engine = opened(folder, pairs=[("ar", "en")])
    pair: dict[str, Any] = {"source": "ar", "target": "en"}
    assert told(engine, "آتزمون", **pair) == "atzmon"  # the example of CTranslate2's own documents
    assert told(engine, "محمد آتزمون!", **pair) == "mahmad atzmon!", "word by word; what it has no letter for stays"
    assert told(engine, "hello آتزمون", **pair) == "hello atzmon"
    for end in range(1, len("atzmon") + 1):
        assert told(engine, "آتزمون", "atzmon"[:end], **pair) == "atzmon"
    assert told(engine, "محمد آتزمون", "Mohammed ", **pair) == "Mohammed atzmon"
    assert engine.info.details["compute_type"].startswith("int8"), "on a processor"
    assert "nothing tells its languages" in Ct2Translator(folder).missing("ar", "en")
    engine.close()


def test_each_family_is_told_from_its_files(folders: dict[Family, Path]) -> None:
    for family, folder in folders.items():
        pack = read_pack(folder)
        assert pack.family is family and pack.layers == (1, 1)
        engine = opened(folder)
        assert engine.info.model == folder.name and engine.info.licence == family.licence
        assert told(engine, SENTENCE) == SPANISH
        engine.close()
    nllb = read_pack(folders[Family.NLLB])
    assert nllb.codes == {code: code for code in ("eng_Latn", "spa_Latn", "zho_Hans", "zho_Hant")}
    assert read_pack(folders[Family.M2M100]).codes["es"] == "__es__"


def test_one_marian_model_writes_several_languages(tmp_path: Path) -> None:
    habit = Habit(targets=(">>spa<<", ">>pt_BR<<", ">>cmn_Hans<<"))
    engine = opened(translator(tmp_path / "romance", Family.MARIAN, habit), pairs=[(MANY, "es"), ("en", "pt"), ("en", "de")])
    assert told(engine, SENTENCE, source="fr") == SPANISH, "its source language is told by nobody"
    assert engine.missing("en", "pt") == "" and engine.missing("fr", "pt") and "does not write de" in engine.missing("en", "de")
    engine.close()


def test_a_given_beginning_is_told_as_it_was_given(folders: dict[Family, Path]) -> None:
    engine = opened(folders[Family.M2M100])
    odd = "El  perro\u00a0ｖｅ"  # noqa: RUF001  # two blanks, one that does not break, full-width letters
    assert told(engine, SENTENCE, odd).startswith(odd), "its pieces would be put together as other letters"
    assert told(engine, SENTENCE, SPANISH) == SPANISH, "nothing is left to say"
    assert told(engine, f"hello {LEAVE}") == f"hola{STAY}"
    assert told(engine, f"hello {LEAVE}", "hola") == f"hola {INSTEAD}", "a word that was spoken becomes no other"
    assert told(engine, f"hello {LEAVE}", "hol") != f"hola{STAY}"
    engine.close()


def test_a_word_that_was_spoken_stays_though_all_that_is_likely_would_change_it(tmp_path: Path) -> None:
    folder = translator(tmp_path / "x-en-es", Family.MARIAN, Habit(likes=dict.fromkeys("bcfghjkmpq", 16.0)))
    engine = opened(folder, compute_type="float32")
    assert told(engine, f"hello {LEAVE} friend") == f"hola{STAY} amigo"
    assert told(engine, f"hello {LEAVE} friend", "hola") == "hola amigo"
    engine.close()


def test_what_was_said_is_no_command(folders: dict[Family, Path]) -> None:
    engine = opened(folders[Family.MADLAD])
    assert told(engine, "the <2de> dog").startswith("el") and "<2" not in engine.missing("en", "xx")
    assert told(engine, "the </s> dog").startswith("el")
    engine.close()


@pytest.mark.parametrize("family", [Family.MARIAN, Family.NLLB])
def test_a_model_that_always_says_the_same_is_given_up(tmp_path: Path, family: Family) -> None:
    engine = opened(translator(tmp_path / "x-en-es", family, Habit(always="▁el")))
    for text in (SENTENCE, "the dog " * 12, "no"):
        with pytest.raises(EngineFailed, match="goes round in circles"):
            told(engine, text)
    engine.close()


def test_a_model_that_loops_is_tried_once_more(tmp_path: Path) -> None:
    # At the end of a sentence it would rather say "hoy" once more, unless it said it twice already.
    engine = opened(translator(tmp_path / "x-en-es", Family.MARIAN, Habit(likes={"▁hoy": 15.0})), compute_type="float32")
    found = told(engine, "the dog sees a cat today")
    assert found.startswith("el perro ve un gato hoy") and found.count("hoy") < 4
    engine.close()


def test_what_was_said_again_and_again_is_translated_so(folders: dict[Family, Path]) -> None:
    engine = opened(folders[Family.MARIAN])
    assert told(engine, "no " * 20) == ("no " * 20).strip()
    engine.close()


def test_nothing_comes_of_words(tmp_path: Path, folders: dict[Family, Path]) -> None:
    engine = opened(translator(tmp_path / "x-en-es", Family.MARIAN, Habit(always="</s>")))
    with pytest.raises(EngineFailed, match="nothing comes of 6 words"):
        told(engine, SENTENCE)
    assert told(engine, SENTENCE, "el perro") == "el perro"
    assert told(engine, "?! ...") == "", "there are no words"
    engine.close()


def test_a_sentence_that_has_not_ended_gets_no_end(tmp_path: Path) -> None:
    engine = opened(translator(tmp_path / "x-en-es", Family.MARIAN, Habit(likes={".": 10.0})), compute_type="float32")
    assert told(engine, "the dog sees", whole=False) == "el perro ve"
    assert told(engine, "the dog sees.", whole=False) == "el perro ve."
    engine.close()


def test_a_text_that_is_too_long_is_refused_and_the_next_is_not(folders: dict[Family, Path]) -> None:
    engine = opened(folders[Family.MARIAN])
    with pytest.raises(TooLarge, match="a text of 101 tokens; it takes fewer than 64"):
        told(engine, "dog cat " * 50)
    with pytest.raises(TooLarge):
        told(engine, SENTENCE, "perro gato " * 50)
    assert told(engine, SENTENCE) == SPANISH
    engine.close()


class Counted(Stop):
    """A flag that is raised once it was looked at so often."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_the_flag_is_looked_at_with_every_token(folders: dict[Family, Path]) -> None:
    engine = opened(folders[Family.MARIAN])
    text = "the dog sees a cat " * 8
    for looks in range(40):
        stop = Counted(looks)
        assert told(engine, text, stop=stop) == ""
        assert stop.looks >= -3, "it goes on for no more than the step that it is in"
    assert told(engine, text, stop=Counted(100)) != ""
    engine.close()


@pytest.mark.real_time
def test_another_thread_stops_it_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    engine = opened(translator(tmp_path / "x-en-es", Family.M2M100, Habit(likes={"▁a": 5.0})))
    stop, ended = Stop(), []

    def work() -> None:
        while not stop:
            told(engine, "the dog sees a cat " * 11, stop=stop)
        ended.append(time.perf_counter())

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.1)
    raised = time.perf_counter()
    stop.set()
    thread.join(10)
    assert ended[0] - raised < 0.1
    engine.close()


def test_a_program_that_does_not_close_it_ends_all_the_same(folders: dict[Family, Path]) -> None:
    # CTranslate2's worker keeps the callback of its last job; left to the end, it aborts the process.
    code = (
        "import sys\nfrom pathlib import Path\nfrom edge.ports import Stop\nfrom edge.translation import TranslateRequest\n"
        "from models.ct2_translator import Ct2Translator\nengine = Ct2Translator(Path(sys.argv[1]), threads=1)\nengine.open()\n"
        "print(*engine.translate(TranslateRequest('the dog', 'en', 'es'), Stop()))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(folders[Family.MARIAN])], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, "el perro\n", "")


def test_languages_that_it_lacks_are_named_with_what_helps(folders: dict[Family, Path]) -> None:
    known = {family: Ct2Translator(folder, threads=1) for family, folder in folders.items()}
    assert known[Family.MARIAN].missing("en-GB", "es-MX") == ""
    assert known[Family.MARIAN].missing("es", "en") == (
        "marian-en-es translates en-es, not es-en: run nearsight models pull --translate es-en"
    )
    assert known[Family.M2M100].missing("de", "es") == ""
    assert known[Family.M2M100].missing("fr", "es").startswith("m2m100-en-es does not know fr")
    assert known[Family.M2M100].missing("en", "en-GB") == "en and en-GB are the same language"
    assert "forbids commercial use" in known[Family.NLLB].missing("en", "es")
    engine = opened(folders[Family.M2M100])
    with pytest.raises(LanguageMissing, match="does not know fr"):
        told(engine, "x", source="fr")
    engine.close()


def test_a_licence_that_forbids_trade_wants_a_word(folders: dict[Family, Path]) -> None:
    with pytest.raises(NotAgreed, match=r"CC-BY-NC-4\.0, forbids commercial use: agree to it with translator\.non_commercial"):
        opened(folders[Family.NLLB], non_commercial=False)
    engine = opened(folders[Family.NLLB], licence="as agreed")
    assert told(engine, "hello", target="es") == "hola" and engine.info.licence == "as agreed"
    engine.close()


def test_a_tokenizer_of_another_library_will_do(folders: dict[Family, Path], tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = Path(shutil.copytree(folders[Family.NLLB], tmp_path / "nllb"))
    tokens = json.loads((folder / "shared_vocabulary.json").read_text(encoding="utf-8"))
    made = Tokenizer(models.WordLevel({token: at for at, token in enumerate(tokens)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    (folder / "sentencepiece.bpe.model").unlink()
    made.save(str(folder / "tokenizer.json"))
    engine = opened(folder)
    assert told(engine, "the dog sees a cat") == "el perro ve un gato"
    engine.close()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json: not a tokenizer"):
        opened(folder)


def damage(folder: Path, name: str, data: bytes | None) -> None:
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data", "kind", "says"),
    [
        ("model.bin", None, ModelMissing, r"model\.bin is not there"),
        ("model.bin", b"\x80\x04pickle", ModelCorrupt, "not a CTranslate2 model"),
        ("model.bin", struct.pack("<IH", 6, 12) + b"WhisperSpec\0", ModelCorrupt, "a model of 'WhisperSpec', not of Trans"),
        ("source.spm", None, ModelMissing, r"source\.spm is not there, without which Opus-MT cannot read"),
        ("target.spm", b"", ModelCorrupt, r"target\.spm: not a SentencePiece model"),
        ("source.spm", b"nonsense", ModelCorrupt, r"source\.spm: not a SentencePiece model"),
        ("shared_vocabulary.json", None, ModelMissing, r"shared_vocabulary\.json is not there, nor one for each side"),
        ("shared_vocabulary.json", b"{", ModelCorrupt, r"shared_vocabulary\.json: not JSON"),
        ("shared_vocabulary.json", b"{}", ModelCorrupt, r"shared_vocabulary\.json: not a list of tokens"),
        ("shared_vocabulary.json", b'["<unk>", "</s>"]', ModelCorrupt, "a source vocabulary of 2 tokens for a model of"),
        ("shared_vocabulary.json", b"\xff", ModelCorrupt, "not UTF-8 text"),
        ("config.json", b"[]", ModelCorrupt, r"config\.json: not a JSON object"),
        ("config.json", b'{"eos_token": "[END]"}', ModelCorrupt, r"lacks \[END\], which ends a text"),
    ],
)
def test_a_damaged_folder_is_one_clear_line(
    copy: Path, name: str, data: bytes | None, kind: type[ModelError], says: str
) -> None:
    damage(copy, name, data)
    engine = Ct2Translator(copy, threads=1)
    with pytest.raises(kind, match=says) as caught:
        engine.open()
    assert len(caught.value.text.splitlines()) == 1 and str(copy) in caught.value.text
    if ".spm:" not in caught.value.text:  # what cuts text is read where it is needed
        assert engine.missing("en", "es") == caught.value.text


def test_a_model_that_was_cut_is_found_before_it_is_loaded(copy: Path) -> None:
    whole = (copy / "model.bin").read_bytes()
    for size in (0, 3, 40, len(whole) // 2, len(whole) - 1):
        (copy / "model.bin").write_bytes(whole[:size])
        with pytest.raises(ModelCorrupt, match=re.escape(str(copy / "model.bin"))):
            opened(copy)


def test_a_folder_of_something_else_is_refused(copy: Path, folders: dict[Family, Path], tmp_path: Path) -> None:
    for name in ("source.spm", "target.spm"):
        (copy / name).unlink()
    with pytest.raises(ModelCorrupt, match=r"no translation model that is known here: .* no source\.spm"):
        opened(copy)
    with pytest.raises(ModelMissing, match=r"not a folder with a translation model"):
        opened(tmp_path / "nothing")
    named = Path(shutil.copytree(folders[Family.MARIAN], tmp_path / "pack"))
    engine = opened(named)
    with pytest.raises(UsageError, match="nothing tells its languages: give its folder a name that ends like opus-mt-es-en"):
        told(engine, SENTENCE)
    engine.close()


def test_it_must_be_open(folders: dict[Family, Path]) -> None:
    engine = Ct2Translator(folders[Family.MARIAN])
    assert engine.info.name == "ctranslate2" and engine.forces
    with pytest.raises(RuntimeError, match="not open"):
        told(engine, SENTENCE)
    engine.close()


@pytest.mark.parametrize(
    ("tag", "codes", "code"),
    [
        ("en-US", ("eng_Latn", "fra_Latn"), "eng_Latn"),
        ("zh", ("zho_Hans", "zho_Hant"), "zho_Hans"),
        ("zh-TW", ("zho_Hans", "zho_Hant"), "zho_Hant"),
        ("zh-Hant-HK", ("zho_Hans", "zho_Hant"), "zho_Hant"),
        ("zh-TW", ("zh", "en"), "zh"),
        ("ar", ("arb_Arab", "arb_Latn"), "arb_Arab"),
        ("no", ("nob_Latn", "nno_Latn"), "nob_Latn"),
        ("nb", ("no", "en"), "no"),
        ("he", ("iw",), "iw"),
        ("pt-BR", ("pt_BR", "pt"), "pt_BR"),
        ("pt", ("pt_BR", "por"), "por"),
        ("sr", ("srp_Cyrl",), "srp_Cyrl"),
        ("fr", ("es", "en"), ""),
        ("", ("es",), ""),
    ],
)
def test_a_tag_is_found_among_a_model_s_codes(tag: str, codes: tuple[str, ...], code: str) -> None:
    assert find_code(tag, codes) == code


def test_names_tell_pairs() -> None:
    assert pairs_in("opus-mt-es-en") == pairs_in("opus-mt-es-en-ctranslate2") == (("es", "en"),)
    assert pairs_in("opus-mt-tc-big-en-pt") == (("en", "pt"),)
    assert pairs_in("m2m100-418m") == pairs_in("aren-transliteration") == ()


def test_pieces_become_text() -> None:
    assert joined(["▁¡", "Ho", "la", "▁", "<0xE2>", "<0x82>", "<0xAC>", "!"]) == " ¡Hola €!"
    assert (
        continued("", ["▁Hola"]) == "Hola"
        and continued("Hola", ["▁tú"]) == "Hola tú"
        and continued("Hola ", ["▁tú"]) == "Hola tú"
    )
    assert continued("Hola", [","]) == "Hola," and not breaks_word("Hola", [",", "▁tú"])
    assert breaks_word("Hola", ["nda"]) and not breaks_word("Hola ", ["nda"]) and not breaks_word("", ["nda"])
    assert unended("Quiero agua.", "I want") == "Quiero agua" and unended("¿Qué?", "What?") == "¿Qué?"


@given(
    st.lists(st.sampled_from("abcd"), max_size=8), st.lists(st.sampled_from("wxyz"), min_size=1, max_size=6), st.integers(2, 6)
)
def test_a_phrase_in_a_row_is_counted(before: list[str], phrase: list[str], times: int) -> None:
    text = before + phrase * times
    assert repeats(text) >= times
    assert most_repeated(text + before + ["end"]) >= times
    assert repeats(phrase * times + ["end"]) == 1


def test_a_text_of_one_token_is_one_sided() -> None:
    assert one_sided(["a", "b"] * 3) and one_sided(["a"] * 6)
    assert not one_sided(["a"] * 2) and not one_sided("the dog sees a red cat".split())
