"""Scaling of masks, held against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.policy.resampling import bilinear

sides = st.integers(2, 70)  # with a side of 1 PyTorch's antialias reads beside the plane


@settings(max_examples=50)
@given(sides, sides, sides, sides, st.booleans(), st.integers(0, 9))
def test_scales_as_pytorch_does(rows: int, columns: int, height: int, width: int, antialias: bool, seed: int) -> None:
    torch = pytest.importorskip("torch", reason="TORCH MISSING: pip install 'nearsight[sam2]'")
    planes = np.random.default_rng(seed).standard_normal((2, 1, rows, columns)).astype(np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(planes), size=(height, width), mode="bilinear", align_corners=False, antialias=antialias
    )
    found = bilinear(planes, height, width, antialias=antialias)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)


@given(sides, sides, sides, sides, st.booleans())
def test_what_is_the_same_everywhere_stays_so(rows: int, columns: int, height: int, width: int, antialias: bool) -> None:
    found = bilinear(np.full((rows, columns), 3, np.float32), height, width, antialias=antialias)
    np.testing.assert_allclose(found, 3, rtol=1e-6)
    assert found.shape == (height, width)
