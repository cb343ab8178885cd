"""The image encoder of SAM 2.1 as a function that can be written down as an ONNX graph.

The arithmetic is that of ``sam2.modeling.backbones``, without what comes to nothing: the reference fills a picture up to whole
windows with zeros and projects these too (at 512 pixels 42 x 42 places for 32 x 32), and it has two convolutions of one place
each, one after the other, where one does. ``tests/models/test_sam2_graphs.py`` holds it against the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class ImageEncoder:
    """``pixels`` (1, 3, S, S), normalised -> ``features`` (1, 256, f, f), ``fine`` (1, 32, 4f, 4f), ``middle`` (1, 64, 2f, 2f).

    S is the side of the input, f a sixteenth of it.
    """

    def __init__(self, model: Any) -> None:
        self.trunk, self.neck = model.image_encoder.trunk, model.image_encoder.neck
        self.position = self.trunk._get_pos_embed((model.image_size // 4,) * 2).detach()
        decoder, lateral = model.sam_mask_decoder, self.neck.convs
        self.fine = _in_one(lateral[-1].conv, decoder.conv_s0)
        self.middle = _in_one(lateral[-2].conv, decoder.conv_s1)

    def __call__(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Gives the features of a picture at three scales."""
        import torch
        from torch.nn import functional

        x = self.trunk.patch_embed(pixels) + self.position  # (1, S/4, S/4, c)
        stages = []
        for i, block in enumerate(self.trunk.blocks):
            x = _block(block, x)
            if i in self.trunk.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        # Of the pyramid's four levels the coarsest only goes into the next; the two finest take nothing from above.
        fine, middle, coarse, coarsest = stages
        above = functional.interpolate(self.neck.convs[0](coarsest), scale_factor=2.0, mode=self.neck.fpn_interp_model)
        features = self.neck.convs[1](coarse) + above
        return features, torch.conv2d(fine, *self.fine), torch.conv2d(middle, *self.middle)


def _block(block: Any, x: Tensor) -> Tensor:
    """A block of Hiera (Ryali et al., 2023), (1, h, w, c) -> (1, h', w', c').

    The projections see the picture alone: what comes of the zeros around it is the bias.
    """
    import torch
    from sam2.modeling.backbones.hieradet import do_pool
    from sam2.modeling.backbones.utils import window_partition, window_unpartition
    from torch.nn import functional

    attention, y = block.attn, block.norm1(x)
    shortcut = do_pool(block.proj(y), block.pool) if block.dim != block.dim_out else x
    side, window, heads = x.shape[1], block.window_size or x.shape[1], attention.num_heads
    y = attention.qkv(y)
    if extra := -side % window:
        bias = attention.qkv.bias
        y = torch.cat((y, bias.expand(1, side, extra, -1)), dim=2)
        y = torch.cat((y, bias.expand(1, extra, side + extra, -1)), dim=1)
    windows, _ = window_partition(y, window)
    count = windows.shape[0]
    query, key, value = windows.reshape(count, window * window, 3, heads, -1).unbind(2)
    shrink = 1
    if attention.q_pool:
        shrink = block.q_stride[0]
        query = do_pool(query.reshape(count, window, window, -1), attention.q_pool)
        query = query.reshape(count, (window // shrink) ** 2, heads, -1)
    seen = functional.scaled_dot_product_attention(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2))
    seen = seen.transpose(1, 2).reshape(count, window // shrink, window // shrink, -1)
    whole, part = (side + extra) // shrink, side // shrink
    x = shortcut + attention.proj(window_unpartition(seen, window // shrink, (whole, whole), (part, part)))
    result: Tensor = x + block.mlp(block.norm2(x))
    return result


def _in_one(first: Any, second: Any) -> tuple[Tensor, Tensor]:
    """Two convolutions of one place each, one after the other, as one: weights and bias."""
    inner, outer = first.weight.detach().double()[..., 0, 0], second.weight.detach().double()[..., 0, 0]
    bias = outer @ first.bias.detach().double() + second.bias.detach().double()
    return (outer @ inner).float()[..., None, None], bias.float()
