"""What the graphs of SAM 2.1 are made of: projections, and norms over the channels of maps.

``torch`` writes a linear layer of more than two dimensions as a product and a sum; on a CPU each sum is a way through memory.
As ``addmm`` on rows it becomes one Gemm. A norm over the channels of a map becomes five operations, two of them means over an
axis that is not the last, which onnxruntime does slowly; with the channels last it is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Projection = tuple["Tensor", "Tensor"]
"""Weights (channels in, channels out) and bias."""


def projection(linear: Any, scale: float = 1.0) -> Projection:
    """Gives the weights of a linear layer, or of a convolution of one place, times ``scale``."""
    weight = linear.weight.detach().flatten(1)
    return (weight.T * scale).contiguous(), linear.bias.detach() * scale


def part_of(whole: Projection, which: slice) -> Projection:
    """Gives the projection to some of the channels."""
    weight, bias = whole
    return weight[:, which].contiguous(), bias[which].contiguous()


def one_after_other(first: Any, second: Any) -> Projection:
    """Gives two linear layers, or convolutions of one place, one after the other, as one."""
    inner, outer = (each.weight.detach().flatten(1).double() for each in (first, second))
    bias = outer @ first.bias.detach().double() + second.bias.detach().double()
    return (outer @ inner).T.float().contiguous(), bias.float()


def project(x: Tensor, by: Projection) -> Tensor:
    """Projects the last dimension."""
    import torch

    weight, bias = by
    *shape, channels = x.shape
    return torch.addmm(bias, x.reshape(-1, channels), weight).reshape(*shape, weight.shape[1])


def norm_channels(x: Tensor, norm: Any) -> Tensor:
    """A ``LayerNorm2d``, (n, c, h, w) -> (n, h, w, c)."""
    from torch.nn import functional

    return functional.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],), norm.weight, norm.bias, norm.eps)
