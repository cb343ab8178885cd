"""The parts of a SAM 2.1 network as functions that can be written down as ONNX graphs, and a ``MaskNetwork`` that runs them.

The weights are those of a ``sam2.modeling.sam2_base.SAM2Base``; the arithmetic is that of its methods, with what depends on
weights and sizes alone worked out beforehand. The two that take the time have files of their own: ``models.sam2_hiera`` and
``models.sam2_attention``. ``tests/models/test_sam2_graphs.py`` holds each against the reference.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import EngineMissing, InputError
from edge.tracks import Candidates, Cues, Floats, Memories, View
from edge.values import EngineInfo, Pixels
from models.sam2_attention import MemoryAttention
from models.sam2_hiera import ImageEncoder
from models.sam2_input import square, stacked
from models.sam2_parts import norm_channels, project, projection

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
        image = act1(norm_channels(first(image) + middle, norm)).permute(0, 3, 1, 2)
        image = act2(second(image) + fine)  # (n, 32, 4f, 4f)
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
        self.fusers = [_Fuser(layer) for layer in model.memory_encoder.fuser.layers]

    def __call__(self, features: Tensor, masks: Tensor, scores: Tensor) -> Tensor:
        """Gives the maps; those of hidden objects say so."""
        model, encoder = self.model, self.model.memory_encoder
        y = masks * model.sigmoid_scale_for_mem_enc + model.sigmoid_bias_for_mem_enc
        *steps, last = encoder.mask_downsampler.encoder
        for conv, norm, act in zip(steps[0::3], steps[1::3], steps[2::3], strict=True):
            y = act(norm_channels(conv(y), norm)).permute(0, 3, 1, 2)
        x = encoder.pix_feat_proj(features) + last(y)
        for fuser in self.fusers:
            x = fuser(x)
        maps: Tensor = encoder.out_proj(x)
        if model.no_obj_embed_spatial is None:
            return maps
        hidden = 1 - (scores > 0).float().reshape(-1, 1, 1, 1)
        maps = maps + hidden * model.no_obj_embed_spatial.reshape(1, -1, 1, 1)
        return maps


class _Fuser:
    """A block of ConvNeXt (Liu et al., 2022), (n, c, h, w) -> the same; its last scale is in its last weights."""

    def __init__(self, block: Any) -> None:
        self.depthwise, self.norm, self.act = block.dwconv, block.norm, block.act
        self.widen = projection(block.pwconv1)
        weight, bias = projection(block.pwconv2)
        self.narrow = weight * block.gamma.detach(), bias * block.gamma.detach()

    def __call__(self, x: Tensor) -> Tensor:
        y = self.act(project(norm_channels(self.depthwise(x), self.norm), self.widen))
        return x + project(y, self.narrow).permute(0, 3, 1, 2)


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
