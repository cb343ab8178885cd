"""The language of an utterance that is recognised elsewhere: what a server is told, and what it tells."""

from __future__ import annotations

import pytest

from edge.ports import Stop
from models.whisper_languages import code_of
from tests.models.openai_server import as_json, serving
from tests.models.test_openai_audio import SPEECH, VERBOSE, ears

pytestmark = pytest.mark.real_time


def test_the_server_is_told_the_language_of_each_utterance_or_finds_it() -> None:
    answers = [as_json(VERBOSE | {"language": told}) for told in ("spanish", "es", "Spanish", "no such", 7)]
    with serving(*answers) as server:
        engine = ears(server)
        told = []
        for languages in (("es-MX",), ("en", "es"), ("en", "es"), ("en", "es"), ("en", "es"), ()):
            stream = engine.stream(languages=languages)
            stream.accept(SPEECH)
            told.append(stream.final(Stop()).language)
        engine.close()
    assert [seen.field("language") for seen in server.seen] == ["es", None, None, None, None, "en"]
    assert told == ["es", "es", "es", "", "", "en"]
    assert code_of("Haitian Creole") == "ht" and code_of("zh-TW") == "zh" and code_of("english") == "en"
