"""The image encoder of SAM 2.1 as a function that can be written down as an ONNX graph.

The arithmetic is that of ``sam2.modeling.backbones``, without what comes to nothing and with fewer ways through memory:

- The reference fills a picture up to whole windows with zeros, projects these and lets them attend (at 512 pixels 42 x 42
  places for 32 x 32). Here a window at the edge has its real places alone. The zeros' keys are all the same, so one key stands
  for all of them, its logit raised by the logarithm of their number; their values are the same too.
- Tokens stay in the order of their windows from block to block; a window halved by pooling is a window of the next stage.
- A convolution of one place after another is one projection.

``tests/models/test_sam2_graphs.py`` holds it against the reference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from models.sam2_parts import Projection, one_after_other, part_of, project, projection

if TYPE_CHECKING:
    from torch import Tensor

Span = tuple[int, int, int]
"""Where a row of windows begins and ends, and how long one is, in places."""


FEW = 2
"""Up to so many heads are attended to one after the other."""


class ImageEncoder:
    """``pixels`` (1, 3, S, S), normalised -> ``features`` (1, 256, f, f), ``fine`` (1, 32, 4f, 4f), ``middle`` (1, 64, 2f, 2f).

    S is the side of the input, f a sixteenth of it.
    """

    def __init__(self, model: Any) -> None:
        trunk, neck, decoder = model.image_encoder.trunk, model.image_encoder.neck, model.sam_mask_decoder
        self.side = model.image_size // 4
        self.patches, self.stage_ends = trunk.patch_embed.proj, trunk.stage_ends
        self.blocks = [_Block(block) for block in trunk.blocks]
        self.window = self.blocks[0].window
        self.position = _regroup(trunk._get_pos_embed((self.side, self.side)).detach(), self.window).contiguous()
        coarsest, coarse, middle, fine = (level.conv for level in neck.convs)
        self.levels = (
            one_after_other(fine, decoder.conv_s0),
            one_after_other(middle, decoder.conv_s1),
            projection(coarse),
            projection(coarsest),
        )
        self.enlarge = neck.fpn_interp_model

    def __call__(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Gives the features of a picture at three scales."""
        from torch.nn import functional

        levels: list[Tensor] = []
        side = self.side
        x = self.patches(pixels).flatten(2).transpose(1, 2).reshape(1, side, side, -1)
        x = _regroup(x, self.window) + self.position
        for i, block in enumerate(self.blocks):
            x = block(x, side)
            side //= block.shrink
            if i in self.stage_ends:
                level = _regroup(project(x, self.levels[len(levels)]), side)
                levels.append(level.reshape(1, side * side, -1).transpose(1, 2).reshape(1, -1, side, side))
        # Of the pyramid's four levels the coarsest only goes into the next; the two finest take nothing from above.
        fine, middle, coarse, coarsest = levels
        return coarse + functional.interpolate(coarsest, scale_factor=2.0, mode=self.enlarge), fine, middle


class _Block:
    """A block of Hiera (Ryali et al., 2023): (windows, w, w, c) -> (windows, w', w', c')."""

    def __init__(self, block: Any) -> None:
        attention = block.attn
        self.heads, self.window = attention.num_heads, block.window_size
        self.shrink = block.q_stride[0] if block.q_stride else 1
        self.norm1, self.norm2 = block.norm1, block.norm2
        together, width = projection(attention.qkv), attention.dim_out
        weight, bias = part_of(together, slice(0, width))
        scale = (width // self.heads) ** -0.5
        self.query = weight * scale, bias * scale
        self.key, self.value = part_of(together, slice(width, 2 * width)), part_of(together, slice(2 * width, None))
        self.out = projection(attention.proj)
        self.by_heads = self._split() if self.heads <= FEW else []
        self.shortcut = projection(block.proj) if block.dim != block.dim_out else None
        self.mlp = tuple(projection(layer) for layer in block.mlp.layers)

    def __call__(self, x: Tensor, side: int) -> Tensor:
        """Takes tokens in windows of any size; ``side`` is that of the whole picture, in tokens."""
        from torch.nn import functional

        window = self.window or side
        x = _regroup(x, side if side % window else window)
        y = self.norm1(x)
        shortcut = x if self.shortcut is None else project(y, self.shortcut)
        if self.shrink > 1:
            shortcut = _pool(shortcut)
        if self.by_heads and not side % window:
            for head in self.by_heads:
                shortcut = shortcut + self._one_head(y, *head)
            x = shortcut
        else:
            query, key, value = (project(y, each) for each in (self.query, self.key, self.value))
            if self.shrink > 1:
                query = _pool(query)
            seen = self._in_spans(query, key, value) if side % window else self._in_windows(query, key, value)
            x = shortcut + project(seen, self.out)
        widen, narrow = self.mlp
        return x + project(functional.gelu(project(self.norm2(x), widen)), narrow)

    def _split(self) -> list[tuple[Projection, ...]]:
        """The projections of each head; what comes out of the heads is added up, its bias once."""
        width = self.out[0].shape[0] // self.heads
        heads = [slice(head * width, (head + 1) * width) for head in range(self.heads)]
        weight, bias = self.out
        outs = [(weight[head], bias if not head.start else bias * 0) for head in heads]
        return [
            (*(part_of(each, head) for each in (self.query, self.key, self.value)), out)
            for head, out in zip(heads, outs, strict=True)
        ]

    def _one_head(self, y: Tensor, *projections: Projection) -> Tensor:
        """What one head adds, in the same windows: with few of them this is cheaper than to sort the channels by heads."""
        to_query, to_key, to_value, out = projections
        query = project(y, to_query)
        if self.shrink > 1:
            query = _pool(query)
        seen = _attend(query.flatten(1, 2), project(y, to_key).flatten(1, 2), project(y, to_value).flatten(1, 2))
        return project(seen.reshape(query.shape), out)

    def _in_windows(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Each window attends to itself. Shapes (windows, w, w, c), those of the query perhaps smaller."""
        query_, key, value = (_split_heads(each.flatten(1, 2), self.heads) for each in (query, key, value))
        return _attend(query_, key, value).transpose(1, 2).reshape(query.shape)

    def _in_spans(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """As ``_in_windows``, of one picture (1, h, w, c) whose side is no multiple of the window's."""
        import torch

        spans = _spans(key.shape[1], self.window)
        rows = [torch.cat([self._in_span(query, key, value, r, c) for c in spans], dim=2) for r in spans]
        return torch.cat(rows, dim=1)

    def _in_span(self, query: Tensor, key: Tensor, value: Tensor, rows: Span, columns: Span) -> Tensor:
        import torch

        key, value = (_cut(each, rows, columns, self.heads) for each in (key, value))
        count, _, places, channels = key.shape
        missing, more = self.window**2 - places, None
        if missing:
            key, value = (
                torch.cat((each, bias.reshape(1, self.heads, 1, channels).expand(count, -1, 1, -1)), dim=2)
                for each, (_, bias) in ((key, self.key), (value, self.value))
            )
            more = torch.cat((torch.zeros(places), torch.tensor([math.log(missing)])))
        (top, bottom, h), (left, right, w) = (tuple(at // self.shrink for at in span) for span in (rows, columns))
        seen = _attend(_cut(query, (top, bottom, h), (left, right, w), self.heads), key, value, more)
        seen = seen.reshape((bottom - top) // h, (right - left) // w, self.heads, h, w, channels)
        return seen.permute(0, 3, 1, 4, 2, 5).reshape(1, bottom - top, right - left, self.heads * channels)


def _attend(query: Tensor, key: Tensor, value: Tensor, more: Tensor | None = None) -> Tensor:
    """Attention over the last dimension but one; ``more`` is added to the logits."""
    logits = query @ key.transpose(-2, -1)
    return (logits if more is None else logits + more).softmax(dim=-1) @ value


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(n, t, c) -> (n, heads, t, c / heads)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _spans(side: int, window: int) -> list[Span]:
    """The whole windows of a side, and what is left of it."""
    whole = side // window * window
    return [span for span in ((0, whole, window), (whole, side, side - whole)) if span[0] < span[1]]


def _cut(x: Tensor, rows: Span, columns: Span, heads: int) -> Tensor:
    """The windows of one picture that lie in two spans: (1, h, w, c) -> (windows, heads, places, c / heads)."""
    (top, bottom, h), (left, right, w) = rows, columns
    x = x[0, top:bottom, left:right].reshape((bottom - top) // h, h, (right - left) // w, w, heads, -1)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, heads, h * w, x.shape[-1])


def _regroup(x: Tensor, window: int) -> Tensor:
    """Tokens of a square picture in windows of any size, (n, w, w, c), in those of ``window``; 0 is the whole picture."""
    count, before, _, channels = x.shape
    across = math.isqrt(count)
    side = across * before
    window = window or side
    if before == window:
        return x
    if across > 1:
        x = x.reshape(across, across, before, before * channels).transpose(1, 2)
    if window < side:
        across = side // window
        x = x.reshape(across, window, across, window * channels).transpose(1, 2)
    return x.reshape(-1, window, window, channels)


def _pool(x: Tensor) -> Tensor:
    """The largest of each 2 x 2 places, (n, w, w, c) -> (n, w / 2, w / 2, c): first of rows, then of columns.

    A maximum over an axis between two others is a loop over memory as it lies; a pooling layer wants the channels first.
    """
    count, side, _, channels = x.shape
    x = x.reshape(-1, 2, side * channels).amax(dim=1)
    return x.reshape(-1, 2, channels).amax(dim=1).reshape(count, side // 2, side // 2, channels)
