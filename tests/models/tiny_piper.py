"""A Piper voice of two kilobytes, built in the test: the real signature, phonemes, JSON and lengths, and a tone for speech.

A phoneme sounds for 58 ms, padding and stress marks for nothing; a space is 46 ms of silence, a comma 0.15 s, a full stop
0.3 s. So the sound itself tells where words begin and end.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper, save

HOP = 64
_PHONEMES = "abcdefghijklmnopqrstuvwxyzæçðøħŋœɐɑɒɓɔɕɖɗɘəɚɛɜɞɟɡɢɣɤɥɦɨɪɫɬɭɮɯɰɱɲɳɴɵɸɹɺɻɽɾʀʁʂʃʈʉʊʋʌʍʎʏʐʑʒʔβθχᵻ̩̃"
_FRAMES = {"_": 0, "^": 16, "$": 24, " ": 16, "ˈ": 0, "ˌ": 0, "ː": 8, ",": 52, ";": 52, ":": 52, ".": 104, "!": 104, "?": 104}
"""At 22.05 kHz a frame is 2.9 ms."""
_SILENT = frozenset("_^$ ,;:.!?")
SYMBOLS = [*_FRAMES, *_PHONEMES]
IDS = {symbol: [number] for number, symbol in enumerate(SYMBOLS)}


def build(
    folder: Path,
    name: str = "en_US-tiny-low",
    *,
    rate: int = 22_050,
    speakers: int = 1,
    aligned: bool = True,
    heavy: int = 0,
    nan: bool = False,
    **told: Any,
) -> Path:
    """Writes the voice's two files; gives the first.

    Args:
        folder: Where to.
        name: Of the voice.
        rate: Hz.
        speakers: Above 1, the network takes ``sid``, and each speaker is a tone half as high again as the one before.
        aligned: Whether the network has the tensor from which Piper reads the lengths of phonemes.
        heavy: Matrix products of a gigaflop or so in front of the sound, which make it slow.
        nan: Whether the sound is no number.
        told: What the JSON says otherwise.
    """
    path = folder / f"{name}.onnx"
    save(_network(rate, speakers, aligned, heavy, nan), str(path))
    facts: dict[str, Any] = {
        "audio": {"sample_rate": rate, "quality": "low"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_id_map": IDS,
        "num_symbols": len(SYMBOLS),
        "num_speakers": speakers,
        "speaker_id_map": {f"s{number}": number for number in range(speakers)} if speakers > 1 else {},
        "hop_length": HOP,
        "language": {"code": name.split("-")[0]},
        "piper_version": "1.0.0",
    }
    path.with_name(path.name + ".json").write_text(json.dumps(facts | told, ensure_ascii=False), encoding="utf-8")
    return path


def _network(rate: int, speakers: int, aligned: bool, heavy: int, nan: bool) -> ModelProto:
    frames = np.array([_FRAMES.get(symbol, 20) for symbol in SYMBOLS], np.float32)
    level = np.array([0.0 if symbol in _SILENT else 0.4 for symbol in SYMBOLS], np.float32)
    hertz = np.array([220 * 1.5**number for number in range(speakers)], np.float32)
    constants = {
        "frames": frames,
        "level": level,
        "hertz": hertz * np.float32(2 * np.pi / rate),
        "zero": np.array(0.0, np.float32),
        "one": np.array(1.0, np.float32),
        "half": np.array(0.5, np.float32),
        "grain": np.array(np.nan if nan else 0.02, np.float32),
        "first": np.array(0),
        "second": np.array(1),
        "axis": np.array([1]),
        "flat": np.array([-1]),
        "column": np.array([-1, 1]),
        "hop": np.array([1, HOP]),
        "shape": np.array([1, 1, -1]),
        "square": np.array([700, 700]),
    }
    add = helper.make_node
    length = [add("Ceil", ["stretched"], ["w"])] if aligned else [
        add("Add", ["stretched", "half"], ["rounded"]),
        add("Floor", ["rounded"], ["w"]),
    ]  # fmt: skip
    nodes = [
        add("Gather", ["scales", "first"], ["noise_scale"]),
        add("Gather", ["scales", "second"], ["length_scale"]),
        add("Gather", ["frames", "input"], ["own"]),
        add("Mul", ["own", "length_scale"], ["stretched"]),
        *length,
        # which phoneme each frame belongs to: how many have ended before it
        add("CumSum", ["w", "axis_0"], ["ends"]),
        add("ReduceSum", ["w"], ["count"], keepdims=0),
        add("Range", ["zero", "count", "one"], ["frame"]),
        add("Reshape", ["frame", "column"], ["frame_column"]),
        add("LessOrEqual", ["ends", "frame_column"], ["ended"]),
        add("Cast", ["ended"], ["ended_1"], to=TensorProto.INT64),
        add("ReduceSum", ["ended_1", "axis"], ["at"], keepdims=0),
        add("Gather", ["level", "input"], ["levels"]),
        add("Reshape", ["levels", "flat"], ["levels_flat"]),
        add("Gather", ["levels_flat", "at"], ["loud"]),
        add("Reshape", ["loud", "column"], ["loud_column"]),
        add("Expand", ["loud_column", "hop"], ["loud_hops"]),
        add("Reshape", ["loud_hops", "flat"], ["envelope"]),
        add("Shape", ["envelope"], ["samples_1"]),
        add("Squeeze", ["samples_1"], ["samples"]),
        add("Cast", ["samples"], ["samples_f"], to=TensorProto.FLOAT),
        add("Range", ["zero", "samples_f", "one"], ["time"]),
        add("Gather", ["hertz", "sid" if speakers > 1 else "first"], ["omega"]),
        add("Mul", ["time", "omega"], ["phase"]),
        add("Sin", ["phase"], ["tone"]),
        add("RandomNormalLike", ["tone"], ["normal"]),
        add("Mul", ["normal", "noise_scale"], ["noise"]),
        add("Mul", ["noise", "grain"], ["faint"]),
        add("Add", ["tone", "faint"], ["voiced"]),
        add("Mul", ["voiced", "envelope"], ["sound"]),
        add("Mul", ["noise_scale", "zero"], ["nothing"]),
        add("Expand", ["nothing", "square"], ["h0"]),
        *(add("MatMul", [f"h{number}", f"h{number}"], [f"h{number + 1}"]) for number in range(heavy)),
        add("ReduceMax", [f"h{heavy}"], ["waste"], keepdims=0),
        add("Add", ["sound", "waste"], ["whole"]),
        add("Reshape", ["whole", "shape"], ["output"]),
    ]
    value = helper.make_tensor_value_info
    inputs = [
        value("input", TensorProto.INT64, [1, "phonemes"]),
        value("input_lengths", TensorProto.INT64, [1]),
        value("scales", TensorProto.FLOAT, [3]),
    ]
    if speakers > 1:
        inputs.append(value("sid", TensorProto.INT64, [1]))
    constants["axis_0"] = np.array(1)
    graph = helper.make_graph(
        nodes,
        "tiny-piper",
        inputs,
        [value("output", TensorProto.FLOAT, [1, 1, "time"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
