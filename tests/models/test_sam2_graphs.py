"""The functions that become graphs, against the methods of the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="TORCH MISSING: pip install 'nearsight[sam2]'")
pytest.importorskip("sam2", reason="SAM2 MISSING: pip install 'nearsight[sam2]'")

from edge.errors import InputError  # noqa: E402  # behind the skip
from edge.tracks import Cues, Memories  # noqa: E402
from models.sam2_graphs import TorchNetwork, check_model, graphs_of  # noqa: E402
from models.sam2_input import square  # noqa: E402
from tests.models.sam2_tiny import predictor  # noqa: E402

SIZE, SIDE, NOW = 256, 16, 40
FLOAT = 1e-5
"""What another order of sums may differ by, where values are of order 1."""


@pytest.fixture(scope="module")
def model() -> Any:
    return predictor()


@pytest.fixture(scope="module")
def graphs(model: Any) -> dict[str, Any]:
    return graphs_of(model)


@pytest.fixture(autouse=True)
def one_thread_and_no_gradients() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def seen(model: Any) -> dict[str, Any]:
    """One random picture as the reference sees it."""
    with torch.no_grad():
        pixels = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
        _, features, positions, sizes = model._prepare_backbone_features(model.forward_image(pixels))
    return {"pixels": pixels, "features": features, "positions": positions, "sizes": sizes}


def difference(a: Any, b: Any) -> float:
    assert a.shape == b.shape
    return float((a - b).abs().max())


def maps_of(flat: Any) -> Any:  # (h w, n, c) -> (n, c, h, w)
    side = round(flat.shape[0] ** 0.5)
    return flat.permute(1, 2, 0).reshape(flat.shape[1], flat.shape[2], side, side)


def test_the_image_encoder_is_the_reference_s(graphs: dict[str, Any], seen: dict[str, Any]) -> None:
    features, fine, middle = graphs["image_encoder"](seen["pixels"])
    for ours, theirs in zip((fine, middle, features), seen["features"], strict=True):
        assert difference(ours, maps_of(theirs)) < FLOAT


def test_so_is_that_of_the_full_tiny_network(tiny_512_model: Any) -> None:
    pixels = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(2))
    theirs = tiny_512_model.forward_image(pixels)["backbone_fpn"]
    features, fine, middle = graphs_of(tiny_512_model)["image_encoder"](pixels)
    for ours, reference in zip((fine, middle, features), theirs, strict=True):
        assert difference(ours, reference) < FLOAT


def remembered(model: Any, prompted: list[int], others: list[int], seed: int) -> dict[str, Any]:
    random = torch.Generator().manual_seed(seed)

    def entry() -> dict[str, Any]:
        features = torch.randn(1, 64, SIDE, SIDE, generator=random)
        position = model.memory_encoder.position_encoding(features)
        return {
            "maskmem_features": features,
            "maskmem_pos_enc": [position],
            "obj_ptr": torch.randn(1, 256, generator=random),
        }

    return {
        "cond_frame_outputs": {t: entry() for t in prompted},
        "non_cond_frame_outputs": {t: entry() for t in others},
    }


@pytest.mark.parametrize(
    ("prompted", "others"),
    [
        ([NOW - 1], []),
        ([3], [NOW - 1, NOW - 2]),
        ([3, NOW - 4], [t for t in range(NOW - 15, NOW) if t != NOW - 4]),
        ([3], [NOW - 3, NOW - 6, NOW - 9]),
    ],
)
def test_memory_attention_reads_what_the_reference_reads(
    model: Any, graphs: dict[str, Any], seen: dict[str, Any], prompted: list[int], others: list[int]
) -> None:
    banks = [remembered(model, prompted, others, seed) for seed in (1, 2)]  # two objects, one batch
    theirs = torch.cat(
        [
            model._prepare_memory_conditioned_features(
                NOW, False, seen["features"][-1:], seen["positions"][-1:], seen["sizes"][-1:], bank, 1 << 30
            )
            for bank in banks
        ]
    )
    recent = [t for t in sorted(others) if NOW - t <= 6]
    maps, pointers = [], []
    for bank in banks:
        entries = {**bank["cond_frame_outputs"], **bank["non_cond_frame_outputs"]}
        maps.append(torch.cat([entries[t]["maskmem_features"] for t in (*prompted, *recent)]))
        pointers.append(torch.cat([entries[t]["obj_ptr"] for t in (*prompted, *others)]))
    slots = torch.tensor([[0] * len(prompted) + [NOW - t for t in recent]] * 2)
    ages = torch.tensor([[NOW - t for t in (*prompted, *others)]] * 2).float()
    ours = graphs["memory_attention"](maps_of(seen["features"][-1]), torch.stack(maps), slots, torch.stack(pointers), ages)
    assert difference(ours, theirs) < FLOAT


def test_no_pointers_are_no_tokens(graphs: dict[str, Any], seen: dict[str, Any]) -> None:
    features = maps_of(seen["features"][-1])
    maps, slots = torch.ones(1, 1, 64, SIDE, SIDE), torch.zeros(1, 1, dtype=torch.int64)
    none = graphs["memory_attention"](features, maps, slots, torch.zeros(1, 0, 256), torch.zeros(1, 0))
    one = graphs["memory_attention"](features, maps, slots, torch.zeros(1, 1, 256), torch.zeros(1, 1))
    assert none.shape == one.shape and difference(none, one) > 0  # four tokens of zeros still take their share


@pytest.mark.parametrize("score", [20.0, -20.0])
@pytest.mark.parametrize("masked", [False, True])
def test_prompt_and_mask_decoder_are_the_reference_s(seen: dict[str, Any], score: float, masked: bool) -> None:
    model = predictor(visible=score)
    graphs = graphs_of(model)
    random = torch.Generator().manual_seed(3)
    n = 2
    points = torch.rand(n, 2, 2, generator=random) * SIZE
    labels = torch.tensor([[1, 0], [2, 3]], dtype=torch.int32)
    masks = torch.randn(n, 1, SIZE // 4, SIZE // 4, generator=random)
    features, fine, middle = (maps_of(seen["features"][i]) for i in (2, 0, 1))
    backbone = features.repeat(n, 1, 1, 1) + torch.randn(n, 1, 1, 1, generator=random)
    theirs, _, ious, _, _, pointer, scores = model._forward_sam_heads(
        backbone,
        {"point_coords": points, "point_labels": labels},
        masks if masked else None,
        [fine.repeat(n, 1, 1, 1), middle.repeat(n, 1, 1, 1)],
        multimask_output=True,
    )
    sparse, dense, _ = graphs["prompt_encoder"](points, labels, masks, torch.full((n,), float(masked)))
    logits, our_ious, pointers, our_scores = graphs["mask_decoder"](backbone, fine, middle, sparse, dense)
    best = ious.argmax(dim=1)
    assert difference(our_ious[:, 1:], ious) < FLOAT
    assert difference(our_scores, scores[:, 0]) < FLOAT
    assert difference(pointers[torch.arange(n), best + 1], pointer) < FLOAT
    if score > 0:
        assert difference(logits[:, 1:], theirs) < 1e-4  # they range over +-30
    else:
        assert (theirs == -1024).all() and logits.abs().max() < 1024  # emptying them is left to the host


@pytest.mark.parametrize("score", [3.0, -3.0])
def test_the_memory_encoder_is_the_reference_s(model: Any, graphs: dict[str, Any], seen: dict[str, Any], score: float) -> None:
    n = 2
    logits = torch.randn(n, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    features = [x.expand(-1, n, -1) for x in seen["features"]]
    theirs, _ = model._encode_new_memory(features, seen["sizes"], logits, torch.full((n, 1), score), False)
    ours = graphs["memory_encoder"](maps_of(seen["features"][-1]), logits.sigmoid(), torch.full((n,), score))
    assert difference(ours, theirs) < FLOAT


def test_another_network_is_refused_by_its_setting(model: Any) -> None:
    model.max_obj_ptrs_in_encoder = 8
    try:
        with pytest.raises(InputError, match="max_obj_ptrs_in_encoder is 8, expected 16"):
            check_model(model)
    finally:
        model.max_obj_ptrs_in_encoder = 16


def test_a_mask_given_as_the_truth_is_reduced_as_learned(model: Any) -> None:
    network = TorchNetwork(model)
    network.open()
    view = network.encode(np.zeros((90, 120, 3), np.uint8))
    whole = np.zeros((1, 1, SIZE, SIZE), np.float32)
    whole[..., 50:150, 50:150] = 1
    points, labels = np.zeros((1, 1, 2), np.float32), np.full((1, 1), -1, np.int32)
    reduced = model.mask_downsample(torch.from_numpy(whole)).numpy()
    ours = network.decode(view, view.features, Cues(points, labels, whole))
    theirs = network.decode(view, view.features, Cues(points, labels, reduced))
    assert np.array_equal(ours.pointers, theirs.pointers)
    unprompted = network.decode(view, view.features, Cues(points, labels))
    assert not np.allclose(ours.pointers, unprompted.pointers)


def test_a_square_is_pillow_s_bicubic_as_in_the_reference(tmp_path: Any) -> None:
    from PIL import Image
    from sam2.utils.misc import load_video_frames_from_jpg_images

    random = np.random.default_rng(5)
    rgb = np.asarray(Image.fromarray(random.integers(0, 255, (12, 16, 3), np.uint8)).resize((160, 120)))
    Image.fromarray(rgb).save(tmp_path / "0.jpg", quality=95)
    decoded = np.asarray(Image.open(tmp_path / "0.jpg").convert("RGB"))
    images, height, width = load_video_frames_from_jpg_images(str(tmp_path), SIZE, True, compute_device="cpu")
    ours = square(np.ascontiguousarray(decoded[:, :, ::-1]), SIZE)
    assert (height, width) == (120, 160)
    assert np.abs(ours - images.numpy()).max() < 2e-6


def test_memories_of_nothing_recent_are_still_stacked() -> None:
    from models.sam2_input import stacked

    maps, slots, pointers, ages = stacked(
        Memories([[np.zeros((64, 2, 2), np.float32)]] * 3, np.zeros((3, 1), np.int64), [[]] * 3, np.zeros((3, 0), np.float32))
    )
    assert (maps.shape, slots.shape, pointers.shape, ages.shape) == ((3, 1, 64, 2, 2), (3, 1), (3, 0, 256), (3, 0))
