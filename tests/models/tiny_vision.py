"""Vision-language models small enough to be made by a test: random weights, real files, a tokenizer of single bytes.

What they say is noise. Everything around it is real: the loader's checks, the tokenizer, the picture's way through the
projector into the context, the grammar, the cache. Three projectors stand for the three ways a picture enters a model:
SmolVLM's (causal, cut into tiles), Gemma 3's (not causal: a picture is one batch) and Qwen3-VL's (positions in two
dimensions, features added to several layers).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EMBED = 64
HEADS = 2
LAYERS = 2
SIDE, PATCH, WIDTH = 64, 8, 32
ROWS = tuple(f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3))
CONTROL = (
    "<|im_start|>",
    "<|im_end|>",
    "<fake_token_around_image>",
    "<global-img>",
    "<|vision_start|>",
    "<|vision_end|>",
    *ROWS,
)
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_EOS = 257
_QKV = ("attn_q", "attn_k", "attn_v")


def _bytes_as_text() -> list[str]:
    """Gives GPT-2's printable characters for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [one for one in range(256) if one not in plain]
    table = {one: chr(one) for one in plain} | {one: chr(256 + at) for at, one in enumerate(others)}
    return [table[one] for one in range(256)]


class _Weights:
    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> NDArray[np.float32]:
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        return np.asarray(self._random.standard_normal(shape) / np.sqrt(fan), np.float32)


def write_text(path: Path, *, architecture: str = "llama", embed: int = EMBED, paragraphs: bool = True, seed: int = 1) -> Path:
    """Writes a text model of 2 layers over single bytes; without ``paragraphs`` it has no token for an empty line."""
    import gguf

    tokens = [*_bytes_as_text(), *CONTROL, *(["ĊĊ"] if paragraphs else [])]
    kinds = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * len(CONTROL) + [gguf.TokenType.NORMAL] * paragraphs
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(4096)
    writer.add_embedding_length(embed)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * embed)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    if architecture == "qwen3vl":
        writer.add_rope_dimension_sections([6, 5, 5, 0])
        writer.add_num_deepstack_layers(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["Ċ Ċ"] if paragraphs else ["Ġ t"])
    writer.add_eos_token_id(_EOS)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)
    random = _Weights(seed)
    writer.add_tensor("token_embd.weight", random(len(tokens), embed))
    writer.add_tensor("output_norm.weight", np.ones(embed, np.float32))
    chosen = random(len(tokens), embed)
    chosen[256 : 256 + len(CONTROL)] = 0  # an answer goes on until it must end
    writer.add_tensor("output.weight", chosen)
    for at in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{at}.{name}.weight", np.ones(embed, np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{at}.{name}.weight", random(embed, embed))
        if architecture in ("qwen3vl", "gemma3"):
            for name in ("attn_q_norm", "attn_k_norm"):
                writer.add_tensor(f"blk.{at}.{name}.weight", np.ones(embed // HEADS, np.float32))
        if architecture == "gemma3":
            for name in ("post_attention_norm", "post_ffw_norm"):
                writer.add_tensor(f"blk.{at}.{name}.weight", np.ones(embed, np.float32))
        writer.add_tensor(f"blk.{at}.ffn_gate.weight", random(2 * embed, embed))
        writer.add_tensor(f"blk.{at}.ffn_up.weight", random(2 * embed, embed))
        writer.add_tensor(f"blk.{at}.ffn_down.weight", random(embed, 2 * embed))
    _finish(writer)
    return path


class _Tensors:
    """Writes layers of random weights."""

    def __init__(self, writer: Any, seed: int) -> None:
        self.add = writer.add_tensor
        self.random = _Weights(seed)

    def linear(self, name: str, out: int, into: int) -> None:
        self.add(f"{name}.weight", self.random(out, into))
        self.add(f"{name}.bias", np.zeros(out, np.float32))

    def norm(self, name: str, size: int) -> None:
        self.add(f"{name}.weight", np.ones(size, np.float32))
        self.add(f"{name}.bias", np.zeros(size, np.float32))


def write_projector(path: Path, *, kind: str = "idefics3", embed: int = EMBED, seed: int = 2) -> Path:
    """Writes a projector of 2 layers of 32 features for pictures of 64 x 64, in patches of 8."""
    import gguf

    writer = gguf.GGUFWriter(path, "clip")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", {"qwen3vl": "qwen3vl_merger"}.get(kind, kind))
    writer.add_bool("clip.use_gelu", True)
    for name, value in {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": 2 * WIDTH,
        "block_count": LAYERS,
        "attention.head_count": HEADS,
        "projection_dim": embed,
        "projector.scale_factor": 2,
        "preproc_image_size": 2 * SIDE,
        "spatial_merge_size": 2,
    }.items():
        writer.add_uint32(f"clip.vision.{name}", value)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    if kind == "qwen3vl":
        writer.add_array("clip.vision.is_deepstack_layers", [True, False])
    tensors = _Tensors(writer, seed)
    _encoder(tensors, kind)
    _projection(tensors, kind, embed)
    _finish(writer)
    return path


def _encoder(tensors: _Tensors, kind: str) -> None:
    tensors.add("v.patch_embd.weight", tensors.random(WIDTH, 3, PATCH, PATCH))
    tensors.add("v.patch_embd.bias", np.zeros(WIDTH, np.float32))
    tensors.add("v.position_embd.weight", tensors.random((SIDE // PATCH) ** 2, WIDTH))
    for at in range(LAYERS):
        for name in ("ln1", "ln2"):
            tensors.norm(f"v.blk.{at}.{name}", WIDTH)
        for name, size in {"attn_qkv": 3 * WIDTH}.items() if kind == "qwen3vl" else dict.fromkeys(_QKV, WIDTH).items():
            tensors.linear(f"v.blk.{at}.{name}", size, WIDTH)
        tensors.linear(f"v.blk.{at}.attn_out", WIDTH, WIDTH)
        tensors.linear(f"v.blk.{at}.ffn_up", 2 * WIDTH, WIDTH)
        tensors.linear(f"v.blk.{at}.ffn_down", WIDTH, 2 * WIDTH)
    tensors.norm("v.post_ln", WIDTH)


def _projection(tensors: _Tensors, kind: str, embed: int) -> None:
    merged = 4 * WIDTH
    match kind:
        case "idefics3":
            tensors.add("mm.model.fc.weight", tensors.random(embed, merged))
        case "gemma3":
            tensors.add("mm.input_projection.weight", tensors.random(embed, WIDTH).T.copy())
            tensors.add("mm.soft_emb_norm.weight", np.ones(WIDTH, np.float32))
        case "qwen3vl":
            tensors.add("v.patch_embd.weight.1", tensors.random(WIDTH, 3, PATCH, PATCH))
            tensors.norm("v.deepstack.0.norm", merged)
            tensors.linear("v.deepstack.0.fc1", merged, merged)
            tensors.linear("v.deepstack.0.fc2", embed, merged)
            tensors.linear("mm.0", merged, merged)
            tensors.linear("mm.2", embed, merged)


def _finish(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
