"""The memory attention of SAM 2.1 as a function that can be written down as an ONNX graph.

The arithmetic is that of ``sam2.modeling.memory_attention``, rearranged:

- Rotary position encoding (RoFormer, Su et al., 2021) turns pairs of channels. The reference turns them as complex numbers,
  which ONNX has not. Queries and keys may have their channels in any order that is the same for both: here all real parts come
  before all imaginary ones, and each half has a projection of its own.
- Values have 64 channels that are projected to 256 before they are summed. Sums and projections commute, and the weights of a
  sum add up to 1, so here the 64 are summed and projected once: 3/8 fewer multiplications.
- What comes before the first look at the memories is the same for all objects, so it is computed once for all.

What is left for one object at 512 pixels, with 7 maps and 16 pointers, is 33 GFLOP, of which the products of queries with keys
are 15; the image encoder of the tiny network has 50. ``tests/models/test_sam2_graphs.py`` holds it against the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.sam2_manifest import ROWS
from models.sam2_parts import Projection, one_after_other, part_of, project, projection

if TYPE_CHECKING:
    from torch import Tensor


class MemoryAttention:
    """``features`` (1, 256, f, f) and n objects' memories -> ``seen`` (n, 256, f, f).

    ``maps`` (n, m, 64, f, f); ``slots`` (n, m); ``pointers`` (n, p, 256); ``ages`` (n, p). n, m at least 1; p may be 0.
    A slot is 0 for a prompted picture, else how many pictures ago it was: 1 to 6.
    """

    def __init__(self, model: Any) -> None:
        import torch
        from sam2.modeling.position_encoding import compute_axial_cis

        self.model = model
        self.side = side = model.image_size // model.backbone_stride
        channels, narrow = model.hidden_dim, model.mem_dim

        def grid(encoding: Any, c: int) -> Any:  # (f f, c)
            blank = torch.zeros(1, c, side, side)
            return encoding(blank)[0].flatten(1).T.contiguous()

        self.position = 0.1 * grid(model.image_encoder.neck.position_encoding, channels)
        self.map_position = grid(model.memory_encoder.position_encoding, narrow)
        self.time = model.maskmem_tpos_enc.detach().reshape(-1, narrow)  # (7, 64)
        turns = compute_axial_cis(channels, side, side)  # (f f, 128), complex
        self.layers = [_Layer(layer, turns) for layer in model.memory_attention.layers]

    def __call__(self, features: Tensor, maps: Tensor, slots: Tensor, pointers: Tensor, ages: Tensor) -> Tensor:
        """Gives the features of a picture as each object's memories show them."""
        import torch

        n, m, p = maps.shape[0], maps.shape[1], pointers.shape[1]
        area = self.side * self.side
        tokens = maps.flatten(3).transpose(2, 3)  # (n, m, f f, 64)
        when = self.time[(slots + (len(self.time) - 1)) % len(self.time)]  # slot 0 has the last entry, slot t entry t - 1
        keys = tokens + self.map_position + when.unsqueeze(2)
        # A pointer is four tokens of 64 channels, which share its age.
        quarters = pointers.reshape(n, p * 4, 64)
        ages4 = self._age(ages).unsqueeze(2).expand(n, p, 4, 64).reshape(n, p * 4, 64)
        values = torch.cat((tokens.reshape(n, m * area, 64), quarters), dim=1)  # (n, k, 64)
        x: Tensor = features.flatten(2).transpose(1, 2) + self.position  # (1, f f, 256)
        for layer in self.layers:
            x = layer.to_itself(x)
            x = layer.to_memory(x, keys, quarters + ages4, values)
            x = layer.mlp(x)
        x = self.model.memory_attention.norm(x)  # (n, f f, 256)
        return x.transpose(1, 2).reshape(n, 256, self.side, self.side)

    def _age(self, ages: Tensor) -> Tensor:  # (n, p) -> (n, p, 64)
        import torch

        half = self.model.hidden_dim // 2
        at = torch.arange(half, dtype=torch.float32)
        scale = 10000.0 ** (2 * torch.div(at, 2, rounding_mode="floor") / half)
        angles = (ages / (self.model.max_obj_ptrs_in_encoder - 1)).unsqueeze(-1) / scale
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1)
        encoded: Tensor = self.model.obj_ptr_tpos_proj(waves)
        return encoded


class _Layer:
    """One layer, its weights rearranged."""

    def __init__(self, layer: Any, turns: Tensor) -> None:
        own, cross = layer.self_attn, layer.cross_attn_image
        self.norm1, self.norm2, self.norm3 = layer.norm1, layer.norm2, layer.norm3
        self.wide, self.narrow = projection(layer.linear1), projection(layer.linear2)
        scale = own.internal_dim**-0.5  # 1/16: exact
        self.own_query, self.own_key = _Turned(projection(own.q_proj, scale), turns), _Turned(projection(own.k_proj), turns)
        self.query, self.key = _Turned(projection(cross.q_proj, scale), turns), _Turned(projection(cross.k_proj), turns)
        # Value and output projection of one head as one.
        self.own_value = one_after_other(own.v_proj, own.out_proj)
        self.value = one_after_other(cross.v_proj, cross.out_proj)

    def to_itself(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        return x + _attend(self.own_query(y), self.own_key(y), project(y, self.own_value))

    def to_memory(self, x: Tensor, keys: Tensor, pointers: Tensor, values: Tensor) -> Tensor:
        import torch

        query = self.query(self.norm2(x))
        key = torch.cat((self.key(keys).flatten(1, 2), self.key.plain(pointers)), dim=1)  # (n, k, 256)
        return x + project(_attend(query, key, values), self.value)

    def mlp(self, x: Tensor) -> Tensor:
        return x + project(project(self.norm3(x), self.wide).relu(), self.narrow)


class _Turned:
    """A projection whose pairs of channels are turned by an angle that the place decides; real parts come first."""

    def __init__(self, whole: Projection, turns: Tensor) -> None:
        self.real, self.imaginary = part_of(whole, slice(0, None, 2)), part_of(whole, slice(1, None, 2))
        self.cos, self.sin = turns.real.contiguous(), turns.imag.contiguous()

    def __call__(self, x: Tensor) -> Tensor:  # (..., f f, c) -> (..., f f, 256)
        import torch

        a, b = project(x, self.real), project(x, self.imaginary)
        return torch.cat((a * self.cos - b * self.sin, a * self.sin + b * self.cos), dim=-1)

    def plain(self, x: Tensor) -> Tensor:
        """Without a place, so not turned."""
        import torch

        return torch.cat((project(x, self.real), project(x, self.imaginary)), dim=-1)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of one head, ``ROWS`` queries at a time. Shapes (n, q, 256), (n, k, 256), (n, k, c) -> (n, q, c)."""
    import torch

    keys = key.transpose(1, 2)
    parts = [query[:, at : at + ROWS] for at in range(0, query.shape[1], ROWS)] if query.shape[1] > ROWS else [query]
    seen = [(rows @ keys).softmax(dim=-1) @ value for rows in parts]
    return torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]
