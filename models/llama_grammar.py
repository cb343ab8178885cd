"""Answers that obey a JSON schema, by llama.cpp's grammars."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import EngineFailed
from models.llama_core import Core, listening, reason

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Grammar:
    """Chooses tokens that a JSON schema allows, the best first."""

    def __init__(self, core: Core, schema: Mapping[str, Any]) -> None:
        """Compiles the schema. Raises EngineFailed where it cannot be."""
        from llama_cpp.llama_grammar import json_schema_to_gbnf

        try:
            rules = json_schema_to_gbnf(json.dumps(schema))
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            raise EngineFailed(f"the JSON schema cannot be used: {error}") from error
        self._lib = core.lib
        with listening() as complaints:
            self._sampler = self._lib.llama_sampler_init_grammar(core.vocabulary, rules.encode(), b"root")
        if not self._sampler:
            raise EngineFailed(f"the JSON schema cannot be used: {reason(complaints)}")

    def close(self) -> None:
        """Frees it."""
        self._lib.llama_sampler_free(self._sampler)

    def choose(self, scores: NDArray[np.float32]) -> int:
        """Gives the best token that is allowed, and goes on from it; ``scores`` has shape (vocabulary,)."""
        best = int(scores.argmax())
        # Checking one token takes microseconds, checking all of 150,000 much longer, and nearly always the best is allowed.
        if not np.isfinite(self._apply(np.array([best], np.int32), scores)[0]):
            allowed = self._apply(np.arange(len(scores), dtype=np.int32), scores)
            best = int(allowed.argmax())
            if not np.isfinite(allowed[best]):
                raise EngineFailed("the JSON schema leaves the model nothing to say")
        self._lib.llama_sampler_accept(self._sampler, best)
        return best

    def _apply(self, tokens: NDArray[np.int32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
        candidates = np.zeros(len(tokens), _CANDIDATE)
        candidates["id"] = tokens
        candidates["logit"] = scores[tokens]
        data = candidates.ctypes.data_as(ctypes.POINTER(self._lib.llama_token_data))
        array = self._lib.llama_token_data_array(data=data, size=len(tokens), selected=-1, sorted=False)
        self._lib.llama_sampler_apply(self._sampler, ctypes.byref(array))
        allowed: NDArray[np.float32] = candidates["logit"]
        return allowed
