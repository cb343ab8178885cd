"""What lies in the folder of a Whisper model for CTranslate2, checked before anything of it is loaded.

faster-whisper asks the network for a tokenizer that is missing, and CTranslate2 tells little of what does not fit together;
here each fault is one line that names the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import ModelCorrupt, ModelMissing
from models.ct2 import Header, read_header, read_json, read_text

_SPECIAL: Final = ("<|endoftext|>", "<|startoftranscript|>", "<|startofprev|>", "<|transcribe|>", "<|notimestamps|>")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the files say of the model."""

    encoder_layers: int
    decoder_layers: int

    @property
    def distilled(self) -> bool:
        """Whether its decoder is shallower than its encoder.

        OpenAI's models have as many layers in both; turbo and distil-whisper were cut down on transcription alone.
        """
        return self.decoder_layers < self.encoder_layers


def check_folder(folder: Path) -> Facts:
    """Checks the files against one another. Raises ModelMissing, ModelCorrupt."""
    if not folder.is_dir():
        raise ModelMissing(f"{folder} is not a folder with a Whisper model: run nearsight models list")
    header = read_header(folder / "model.bin", "WhisperSpec")
    facts = Facts(header.layers("encoder"), header.layers("decoder"))
    _check_config(folder / "config.json", facts, header.integers.get("decoder/num_heads", 0))
    _check_tokens(folder, header)
    preprocessor = folder / "preprocessor_config.json"
    if preprocessor.exists() and not isinstance(read_json(preprocessor), dict):
        raise ModelCorrupt(f"{preprocessor}: not a JSON object")
    return facts


def _check_config(path: Path, facts: Facts, heads: int) -> None:
    config = read_json(path)
    listed = config.get("alignment_heads") if isinstance(config, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ModelCorrupt(f"{path}: no alignment_heads, so no word has a time: convert the model again")
    # CTranslate2 does not check them: a layer that is not there ends the process, a head too many reads other memory.
    places = [(layer, head) for layer in range(facts.decoder_layers) for head in range(heads)]
    if any(not isinstance(pair, list) or tuple(pair) not in places for pair in listed):
        raise ModelCorrupt(f"{path}: its alignment_heads are not those of {facts.decoder_layers} layers of {heads} heads")


def _check_tokens(folder: Path, header: Header) -> None:
    path, tokens = _vocabulary(folder)
    rows = header.variables.get("decoder/embeddings/weight", (0,))[0]
    if len(tokens) != rows:
        raise ModelCorrupt(f"{path}: {len(tokens)} tokens for a model of {rows}")
    source = folder / "tokenizer.json"
    tokenizer = read_json(source)
    added = tokenizer.get("added_tokens") if isinstance(tokenizer, dict) else None
    if not isinstance(added, list) or not isinstance(tokenizer.get("model"), dict):
        raise ModelCorrupt(f"{source}: not a tokenizer")
    ids = {each.get("content"): each.get("id") for each in added if isinstance(each, dict)}
    for token in _SPECIAL:
        number = ids.get(token)
        if not isinstance(number, int) or number >= rows or tokens[number] != token:
            raise ModelCorrupt(f"{source}: its {token} is not the model's")


def _vocabulary(folder: Path) -> tuple[Path, list[str]]:
    """Gives the model's own list of tokens: older conversions have it as lines of text."""
    path = folder / "vocabulary.json"
    if path.exists():
        tokens = read_json(path)
        if not isinstance(tokens, list):
            raise ModelCorrupt(f"{path}: not a list of tokens")
        return path, tokens
    lines = folder / "vocabulary.txt"
    if not lines.exists():
        raise ModelMissing(f"{path} is not there, nor {lines.name}: run nearsight models list")
    return lines, read_text(lines).removesuffix("\n").split("\n")
