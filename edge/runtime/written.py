"""The language that a text is written in: by its commonest words where they tell, else by an engine."""

from __future__ import annotations

import logging

from edge.errors import EngineError, ModelError
from edge.policy.language_guess import guess, likeliest
from edge.ports import Stop, TextLanguage
from edge.runtime.lane import Lane

log = logging.getLogger(__name__)


async def written_in(text: str, lane: Lane[TextLanguage] | None, stop: Stop | None = None) -> str:
    """Gives the primary tag; empty where it is not plain.

    An engine that fails costs nobody the answer: whoever asks can name the language.
    """
    found = guess(text)
    if found or lane is None:
        return found
    try:
        return likeliest(await lane.call(lambda engine, _: engine.identify(text), stop=stop))
    except (EngineError, ModelError) as error:
        log.warning("no language told: %s", error.text)
        return ""
