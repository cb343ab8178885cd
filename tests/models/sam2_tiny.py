"""A SAM 2.1 network small enough for tests: seeded random weights, 256 pixels, no configuration files, no download.

Everything that the tracker depends on is as in the real ones (memory slots, pointers, object scores, multimask rules, mask
decoder); the image encoder is cut down and memory attention has two layers. Its masks mean nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge.values import Pixels, VideoFrame

SIZE = 256


def predictor(seed: int = 0, *, visible: float | None = 20.0) -> Any:
    """Gives a ``SAM2VideoPredictor``.

    ``visible`` is the last bias of the object score: far above 0 and everything is in the picture, far below and nothing is.
    None keeps the random one.
    """
    import torch
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        trunk = Hiera(embed_dim=16, num_heads=1, stages=(1, 1, 2, 1), global_att_blocks=(3,))
        position = PositionEmbeddingSine(num_pos_feats=256, normalize=True, scale=None, temperature=10000)
        neck = FpnNeck(position, 256, trunk.channel_list, fpn_top_down_levels=[2, 3], fpn_interp_model="nearest")
        model = SAM2VideoPredictor(
            image_encoder=ImageEncoder(trunk, neck, scalp=1),
            memory_attention=_memory_attention(),
            memory_encoder=_memory_encoder(),
            image_size=SIZE,
            num_maskmem=7,
            sigmoid_scale_for_mem_enc=20.0,
            sigmoid_bias_for_mem_enc=-10.0,
            binarize_mask_from_pts_for_mem_enc=True,
            use_mask_input_as_output_without_sam=True,
            directly_add_no_mem_embed=True,
            no_obj_embed_spatial=True,
            use_high_res_features_in_sam=True,
            multimask_output_in_sam=True,
            multimask_min_pt_num=0,
            multimask_max_pt_num=1,
            multimask_output_for_tracking=True,
            use_multimask_token_for_obj_ptr=True,
            iou_prediction_use_sigmoid=True,
            use_obj_ptrs_in_encoder=True,
            add_tpos_enc_to_obj_ptrs=True,
            proj_tpos_enc_in_obj_ptrs=True,
            use_signed_tpos_enc_to_obj_ptrs=True,
            only_obj_ptrs_in_the_past_for_eval=True,
            pred_obj_scores=True,
            pred_obj_scores_mlp=True,
            fixed_no_obj_ptr=True,
            use_mlp_for_obj_ptr_proj=True,
            sam_mask_decoder_extra_args={
                "dynamic_multimask_via_stability": True,
                "dynamic_multimask_stability_delta": 0.05,
                "dynamic_multimask_stability_thresh": 0.98,
            },
        )
    amplify(model)
    set_visible(model, visible)
    return model.eval()


def set_visible(model: Any, bias: float | None) -> None:
    """Sets the last bias of the object score head, unless it is None."""
    import torch

    if bias is not None:
        with torch.no_grad():
            model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(bias)


def amplify(model: Any) -> None:
    """Makes the masks depend on the memories: random weights give logits of +-0.4 that nothing forgotten would show in.

    With these gains they range over +-7, and leaving out one of 16 object pointers moves them by 0.01, one of 7 maps by 0.05.
    """
    import torch

    with torch.no_grad():
        for mlp in model.sam_mask_decoder.output_hypernetworks_mlps:
            for parameter in mlp.layers[-1].parameters():
                parameter.mul_(20)
        for layer in model.memory_attention.layers:
            layer.cross_attn_image.q_proj.weight.mul_(4)
            layer.cross_attn_image.out_proj.weight.mul_(10)


def _memory_attention() -> Any:
    from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
    from sam2.modeling.sam.transformer import RoPEAttention

    def attention(**more: Any) -> Any:
        side = SIZE // 16
        return RoPEAttention(
            rope_theta=10000.0,
            feat_sizes=(side, side),
            embedding_dim=256,
            num_heads=1,
            downsample_rate=1,
            dropout=0.1,
            **more,
        )

    layer = MemoryAttentionLayer(
        activation="relu",
        cross_attention=attention(rope_k_repeat=True, kv_in_dim=64),
        d_model=256,
        dim_feedforward=512,
        dropout=0.1,
        pos_enc_at_attn=False,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        self_attention=attention(),
    )
    return MemoryAttention(d_model=256, pos_enc_at_input=True, layer=layer, num_layers=2)


def _memory_encoder() -> Any:
    from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine

    return MemoryEncoder(
        out_dim=64,
        mask_downsampler=MaskDownSampler(kernel_size=3, stride=2, padding=1),
        fuser=Fuser(CXBlock(dim=256, kernel_size=7, padding=3, layer_scale_init_value=1e-6, use_dwconv=True), num_layers=2),
        position_encoding=PositionEmbeddingSine(num_pos_feats=64, normalize=True, scale=None, temperature=10000),
    )


def pictures(count: int, height: int = SIZE, width: int = SIZE, seed: int = 0) -> list[VideoFrame]:
    """Gives pictures of smooth noise with two squares that move through it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    ground = np.kron(coarse, np.ones((16, 16, 1), np.uint8))[:height, :width]
    return [_picture(ground, at) for at in range(count)]


def _picture(ground: Pixels, at: int) -> VideoFrame:
    pixels = ground.copy()
    height, width = pixels.shape[:2]
    side = min(height, width) // 5
    for colour, (x, y) in (((20, 40, 230), (at * 3, at * 2)), ((230, 200, 20), (width - side - at * 2, height // 3 + at))):
        x, y = x % (width - side), y % (height - side)
        pixels[y : y + side, x : x + side] = colour
    return VideoFrame(pixels, at * 100_000_000, at)
