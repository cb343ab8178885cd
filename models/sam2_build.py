"""Builds SAM 2.1 networks in torch, with a checkpoint's weights or with seeded random ones.

The only file that loads a checkpoint: Meta publishes pickles, so it lets torch read tensors and nothing else.
"""

from __future__ import annotations

import logging
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from edge.errors import EngineMissing, InputError, ModelCorrupt, UsageError

VARIANTS: Final = MappingProxyType({"tiny": "t", "small": "s", "base-plus": "b+", "large": "l"})
"""Sizes of SAM 2.1, and what the configurations in the package ``sam2`` call them."""
SIZES: Final = (512, 1024)
"""Sides of the square input, in pixels. The networks were trained at 1024."""
_POSTPROCESSING: Final = tuple(
    f"++model.{setting}"
    for setting in (
        "sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
        "sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.05",
        "sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.98",
        "binarize_mask_from_pts_for_mem_enc=true",
        "fill_hole_area=0",  # needs CUDA code that the package does not carry
    )
)


def build(variant: str, size: int, *, checkpoint: Path | None = None, seed: int = 0) -> Any:
    """Gives a ``SAM2VideoPredictor`` on the CPU, in evaluation mode.

    Without a checkpoint its weights are random: the same for the same seed, variant and version of torch.

    Raises:
        UsageError: No such variant or size.
        EngineMissing: torch or sam2 is not installed.
        InputError: There is no such checkpoint.
        ModelCorrupt: It does not hold the weights of this variant, or holds other things than weights.
    """
    if variant not in VARIANTS:
        raise UsageError(f"no SAM 2.1 is called {variant!r}: there are {', '.join(VARIANTS)}")
    if size not in SIZES:
        raise UsageError(f"SAM 2.1 is exported for {' or '.join(map(str, SIZES))} pixels, not for {size}")
    try:
        import torch
        from sam2.build_sam import build_sam2_video_predictor
    except ImportError as error:
        raise EngineMissing(f"SAM 2 in torch needs {error.name}: install nearsight[sam2]") from error
    logging.getLogger("sam2").setLevel(logging.WARNING)
    side = size // 16
    overrides = [f"++model.image_size={size}", *_POSTPROCESSING]
    overrides += [f"++model.memory_attention.layer.{name}_attention.feat_sizes=[{side},{side}]" for name in ("self", "cross")]
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        model = build_sam2_video_predictor(
            f"configs/sam2.1/sam2.1_hiera_{VARIANTS[variant]}.yaml",
            device="cpu",
            hydra_overrides_extra=overrides,
            apply_postprocessing=False,  # what it would override is in the list, less the holes
        )
    if checkpoint is not None:
        _load(model, checkpoint, variant)
    return model


def variant_of(checkpoint: Path) -> str:
    """Gives the size of network that Meta's file holds, by its name (``sam2.1_hiera_tiny.pt``). Raises UsageError."""
    stem = checkpoint.stem.replace("_", "-")
    found = next((variant for variant in VARIANTS if stem.endswith(f"hiera-{variant}")), None)
    if found is None:
        raise UsageError(f"{checkpoint.name}: the name does not say which SAM 2.1 it is, as sam2.1_hiera_tiny.pt does")
    return found


def _load(model: Any, checkpoint: Path, variant: str) -> None:
    weights = _read(checkpoint)
    own = model.state_dict()
    wrong = [name for name in own if name not in weights or weights[name].shape != own[name].shape]
    wrong += [name for name in weights if name not in own]
    if wrong:
        raise ModelCorrupt(f"{checkpoint}: not the weights of sam2.1-hiera-{variant}: {len(wrong)} differ, first {wrong[0]}")
    model.load_state_dict(weights)


def _read(checkpoint: Path) -> dict[str, Any]:
    from pickle import UnpicklingError  # noqa: TID251  # the error that torch raises, nothing is unpickled here

    import torch

    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: no such file")
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError, AttributeError) as error:
        raise ModelCorrupt(f"{checkpoint}: no checkpoint that holds weights and nothing else") from error
    weights = content.get("model") if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelCorrupt(f"{checkpoint}: holds no weights under the name 'model'")
    return weights
