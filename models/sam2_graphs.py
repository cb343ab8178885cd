"""The parts of a SAM 2.1 network as functions that can be written down as ONNX graphs, and a ``MaskNetwork`` that runs them.

The weights are those of a ``sam2.modeling.sam2_base.SAM2Base``; the arithmetic is that of its methods, with what depends on
weights and sizes alone worked out beforehand:

- Rotary position encoding (RoFormer, Su et al., 2021) turns pairs of channels. The reference turns them as complex numbers,
  which ONNX has not; here ``x cos + turn(x) sin`` does, and ``turn``, a permutation with signs, is folded into the weights.
- Memory attention has values of 64 channels that are projected to 256 before they are summed. Sums and projections commute,
  and the weights of a sum add up to 1, so here the 64 are summed and projected once: 3/8 fewer multiplications.
- What comes before the first look at the memories is the same for all objects, so it is computed once for all.

``tests/models/test_sam2_graphs.py`` holds each against the reference.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import EngineMissing, InputError
from edge.tracks import Candidates, Cues, Floats, Memories, View
from edge.values import EngineInfo, Pixels
from models.sam2_hiera import ImageEncoder
from models.sam2_input import square, stacked
from models.sam2_manifest import ROWS

if TYPE_CHECKING:
    from torch import Tensor

EXPECTED = {
    "num_maskmem": 7,
    "max_obj_ptrs_in_encoder": 16,
    "hidden_dim": 256,
    "mem_dim": 64,
    "backbone_stride": 16,
    "sigmoid_scale_for_mem_enc": 20.0,
    "sigmoid_bias_for_mem_enc": -10.0,
    "directly_add_no_mem_embed": True,
    "use_high_res_features_in_sam": True,
    "add_tpos_enc_to_obj_ptrs": True,
    "proj_tpos_enc_in_obj_ptrs": True,
    "use_signed_tpos_enc_to_obj_ptrs": True,
    "pred_obj_scores": True,
    "fixed_no_obj_ptr": True,
    "soft_no_obj_ptr": False,
    "use_multimask_token_for_obj_ptr": True,
    "non_overlap_masks_for_mem_enc": False,
}
"""What all four SAM 2.1 configurations have in common and the graphs take for granted."""


def check_model(model: Any) -> None:
    """Raises InputError where a ``SAM2Base`` is not configured as SAM 2.1 is: it names the setting."""
    for name, value in EXPECTED.items():
        if (found := getattr(model, name, None)) != value:
            raise InputError(f"not a SAM 2.1 network: {name} is {found}, expected {value}")
    layer = model.memory_attention.layers[0]
    if list(model.image_encoder.neck.fpn_top_down_levels) != [2, 3] or model.image_encoder.scalp != 1:
        raise InputError("not a SAM 2.1 network: its pyramid of features is another")
    if layer.cross_attn_image.num_heads != 1 or layer.pos_enc_at_attn or not layer.pos_enc_at_cross_attn_keys:
        raise InputError("not a SAM 2.1 network: its memory attention is another")


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
        self.cos = turns.real.repeat_interleave(2, dim=1)
        self.sin = turns.imag.repeat_interleave(2, dim=1)
        self.layers = [_Layer(layer) for layer in model.memory_attention.layers]

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
            x = layer.to_itself(x, self.cos, self.sin)
            x = layer.to_memory(x, keys, quarters + ages4, values, self.cos, self.sin)
            x = x + layer.linear2(torch.relu(layer.linear1(layer.norm3(x))))
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
    """One layer of memory attention, its weights rearranged. All matrices multiply from the right."""

    def __init__(self, layer: Any) -> None:
        own, cross = layer.self_attn, layer.cross_attn_image
        self.norm1, self.norm2, self.norm3 = layer.norm1, layer.norm2, layer.norm3
        self.linear1, self.linear2 = layer.linear1, layer.linear2
        scale = own.internal_dim**-0.5  # 1/16: exact
        self.own_query, self.own_key = _Turned(own.q_proj, scale), _Turned(own.k_proj)
        self.own_value = _through(own)
        self.query, self.key = _Turned(cross.q_proj, scale), _Turned(cross.k_proj)
        self.value = _through(cross)

    def to_itself(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        y = self.norm1(x)
        weight, bias = self.own_value
        seen = _attend(self.own_query(y, cos, sin), self.own_key(y, cos, sin), y @ weight)
        return x + seen + bias

    def to_memory(self, x: Tensor, keys: Tensor, pointers: Tensor, values: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        import torch

        query = self.query(self.norm2(x), cos, sin)
        turned = self.key(keys, cos, sin)  # (n, m, f f, 256)
        turned = turned.reshape(turned.shape[0], turned.shape[1] * turned.shape[2], 256)
        weight, bias = self.value
        seen = _attend(query, torch.cat((turned, self.key.plain(pointers)), dim=1), values)  # (n, f f, 64)
        return x + seen @ weight + bias


class _Turned:
    """A projection followed by a rotation of its channels, pair by pair: (x W + b) cos + turn(x W + b) sin."""

    def __init__(self, linear: Any, scale: float = 1.0) -> None:
        import torch

        weight, bias = linear.weight.detach().T * scale, linear.bias.detach() * scale

        def turn(x: Tensor) -> Tensor:  # (a, b) -> (-b, a) for each pair of channels
            pairs = x.reshape(*x.shape[:-1], -1, 2)
            return torch.stack((-pairs[..., 1], pairs[..., 0]), dim=-1).reshape(x.shape)

        self.weight, self.bias = weight.contiguous(), bias
        self.turned_weight, self.turned_bias = turn(weight).contiguous(), turn(bias)

    def __call__(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        return self.plain(x) * cos + (x @ self.turned_weight + self.turned_bias) * sin

    def plain(self, x: Tensor) -> Tensor:
        projected: Tensor = x @ self.weight + self.bias
        return projected


def _through(attention: Any) -> tuple[Tensor, Tensor]:
    """Value and output projection of one head as one: weights in channels x out channels, and bias."""
    out, value = attention.out_proj, attention.v_proj
    weight = (out.weight.detach().double() @ value.weight.detach().double()).T
    bias = out.weight.detach().double() @ value.bias.detach().double() + out.bias.detach().double()
    return weight.float().contiguous(), bias.float()


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of one head, ``ROWS`` queries at a time. Shapes (n, q, 256), (n, k, 256), (n, k, c) -> (n, q, c)."""
    import torch

    keys = key.transpose(1, 2)
    parts = [query[:, at : at + ROWS] for at in range(0, query.shape[1], ROWS)] if query.shape[1] > ROWS else [query]
    seen = [(rows @ keys).softmax(dim=-1) @ value for rows in parts]
    return torch.cat(seen, dim=1) if len(seen) > 1 else seen[0]


class PromptEncoder:
    """``points`` (n, k, 2), ``labels`` (n, k), ``masks`` (n, 1, 4f, 4f), ``masked`` (n,) -> three embeddings.

    ``masked`` is 1 where the mask counts, else 0. ``sparse`` is (n, k + 1, 256): as in SAM, a point that is none ends it.
    ``dense`` is (n, 256, f, f). ``no_memory`` (1, 256, 1, 1) is always the same: what is added to the features of a picture
    before which there is nothing to remember.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, points: Tensor, labels: Tensor, masks: Tensor, masked: Tensor) -> tuple[Tensor, ...]:
        """Gives the embeddings ``sparse``, ``dense`` and ``no_memory``."""
        encoder = self.model.sam_prompt_encoder
        sparse = encoder._embed_points(points, labels, pad=True)
        given = encoder._embed_masks(masks)
        none = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        share = masked.reshape(-1, 1, 1, 1)
        no_memory = self.model.no_mem_embed.reshape(1, -1, 1, 1)
        return sparse, given * share + none * (1.0 - share), no_memory * 1.0  # a graph cannot give a weight itself


class MaskDownsampler:
    """``masks`` (n, 1, S, S), values 0 to 1 -> ``logits`` (n, 1, 4f, 4f), as the prompt encoder wants them.

    The learned reduction of a mask that is given as the truth.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, masks: Tensor) -> Tensor:
        """Gives the reduced masks."""
        logits: Tensor = self.model.mask_downsample(masks)
        return logits


class MaskDecoder:
    """``seen`` (n, 256, f, f), ``fine``, ``middle``, ``sparse``, ``dense`` -> ``logits``, ``ious``, ``pointers``, ``scores``.

    All four masks, as the decoder makes them: the choice, and emptying those of hidden objects, is the host's.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.position = model.sam_prompt_encoder.get_dense_pe().detach()  # (1, 256, f, f)

    def __call__(self, seen: Tensor, fine: Tensor, middle: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, ...]:
        """Gives ``logits`` (n, 4, 4f, 4f), ``ious`` (n, 4), ``pointers`` (n, 4, 256) and ``scores`` (n,)."""
        import torch

        decoder = self.model.sam_mask_decoder
        own = torch.cat((decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight))
        n, side = seen.shape[0], seen.shape[2]
        tokens = torch.cat((own.unsqueeze(0).expand(n, 6, 256), sparse), dim=1)
        hidden, image = decoder.transformer(seen + dense, self.position, tokens)
        first, norm, act1, second, act2 = decoder.output_upscaling
        image = image.transpose(1, 2).reshape(n, 256, side, side)
        image = act2(second(act1(norm(first(image) + middle))) + fine)  # (n, 32, 4f, 4f)
        masks = hidden[:, 2:6]  # (n, 4, 256)
        weights = torch.stack([mlp(masks[:, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1)
        logits = (weights @ image.flatten(2)).reshape(n, 4, 4 * side, 4 * side)
        scores = decoder.pred_obj_score_head(hidden[:, 0])  # (n, 1)
        here = (scores > 0).float().unsqueeze(-1)
        pointers = here * self.model.obj_ptr_proj(masks) + (1 - here) * self.model.no_obj_ptr
        return logits, decoder.iou_prediction_head(hidden[:, 1]), pointers, scores[:, 0]


class MemoryEncoder:
    """``features`` (1, 256, f, f), ``masks`` (n, 1, S, S), values 0 to 1, ``scores`` (n,) -> ``maps`` (n, 64, f, f)."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, features: Tensor, masks: Tensor, scores: Tensor) -> Tensor:
        """Gives the maps; those of hidden objects say so."""
        model, encoder = self.model, self.model.memory_encoder
        scaled = masks * model.sigmoid_scale_for_mem_enc + model.sigmoid_bias_for_mem_enc
        x = encoder.pix_feat_proj(features) + encoder.mask_downsampler(scaled)
        maps: Tensor = encoder.out_proj(encoder.fuser(x))
        if model.no_obj_embed_spatial is None:
            return maps
        hidden = 1 - (scores > 0).float().reshape(-1, 1, 1, 1)
        maps = maps + hidden * model.no_obj_embed_spatial.reshape(1, -1, 1, 1)
        return maps


def graphs_of(model: Any) -> dict[str, Any]:
    """Gives the callable parts of a ``SAM2Base`` by their names in ``models.sam2_manifest``. Raises InputError."""
    import torch

    check_model(model)
    model.eval()
    with torch.no_grad():
        return {
            "image_encoder": ImageEncoder(model),
            "memory_attention": MemoryAttention(model),
            "prompt_encoder": PromptEncoder(model),
            "mask_downsampler": MaskDownsampler(model),
            "mask_decoder": MaskDecoder(model),
            "memory_encoder": MemoryEncoder(model),
        }


class TorchNetwork:
    """The parts of a SAM 2.1 network in torch, on the CPU. Implements ``edge.ports.MaskNetwork``.

    The exported graphs compute the same; this is for holding them, and the tracker, against the reference.
    """

    def __init__(self, model: Any, *, graphs: dict[str, Any] | None = None) -> None:
        self._model = model
        self._graphs = graphs or {}

    @property
    def info(self) -> EngineInfo:
        """Name, version of torch, model and licence."""
        return EngineInfo("sam2-graphs-torch", version("torch"), "sam2.1", "Apache-2.0")

    @property
    def size(self) -> int:
        """The side of the square input, in pixels."""
        return int(self._model.image_size)

    def open(self) -> None:
        """Rearranges the weights. Raises EngineMissing without torch and sam2, InputError for another network."""
        if self._graphs:
            return
        try:
            self._graphs = graphs_of(self._model)
        except ImportError as error:
            raise EngineMissing("SAM 2 in torch needs torch and sam2: pip install 'nearsight[sam2]'") from error

    def close(self) -> None:
        """Drops the rearranged weights."""
        self._graphs = {}

    def encode(self, pixels: Pixels) -> View:
        """Gives a picture's features."""
        features, fine, middle = self._run("image_encoder", square(pixels, self.size))
        return View(features, fine, middle, pixels.shape[0], pixels.shape[1])

    def recall(self, view: View, memories: Memories | None) -> Any:
        """Gives the features as n objects see them, or without any memory (n = 1)."""
        if memories is None:
            return view.features + self._model.no_mem_embed.detach().numpy().reshape(1, -1, 1, 1)
        return self._run("memory_attention", view.features, *stacked(memories))[0]

    def decode(self, view: View, seen: Any, cues: Cues) -> Candidates:
        """Gives the masks of n objects."""
        n, side = len(cues.points), self.size // 4
        masks = cues.masks
        if masks is not None and masks.shape[-1] == self.size:
            (masks,) = self._run("mask_downsampler", masks)
        given = np.full(n, masks is not None, np.float32)
        if masks is None:
            masks = np.zeros((n, 1, side, side), np.float32)
        sparse, dense, _ = self._run("prompt_encoder", cues.points, cues.labels, masks, given)
        return Candidates(*self._run("mask_decoder", seen, view.fine, view.middle, sparse, dense))

    def memorise(self, view: View, masks: Floats, scores: Floats) -> Floats:
        """Gives the memory maps of masks."""
        return self._run("memory_encoder", view.features, masks, scores)[0]

    def _run(self, name: str, *inputs: Any) -> list[Floats]:
        import torch

        with torch.inference_mode():
            outputs = self._graphs[name](*(torch.from_numpy(np.ascontiguousarray(x)) for x in inputs))
        return [x.numpy() for x in (outputs if isinstance(outputs, tuple) else (outputs,))]
