"""Tiny open-weight models with random weights, saved as real ones are: every file, part and shape rule is the real
one's. Nothing is downloaded."""

# diffusers exports lazily and annotates tuples by their default values.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny_parts import TEXT_WIDTH, t5, t5_tokenizer  # first: it keeps the libraries offline

import diffusers  # isort: skip
import torch  # isort: skip
import transformers  # isort: skip
from tiny_other_models import cogvideox, hunyuan, ltx, ltx2, ltx_condition  # isort: skip


def save_tiny_model(name: str, folder: Path) -> None:
    """Builds a model with the weights of seed 0. The caller's random numbers stay the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        TINY_MODELS[name]().save_pretrained(folder)


def _wan_parts(has_large_vae: bool = False) -> dict[str, Any]:
    tokenizer = t5_tokenizer(512)
    extra: dict[str, Any] = {"z_dim": 16}
    if has_large_vae:
        extra = {
            "z_dim": 48,
            "in_channels": 12,
            "out_channels": 12,
            "is_residual": True,
            "patch_size": 2,
            "latents_mean": [0.0] * 48,
            "latents_std": [1.0] * 48,
            "scale_factor_spatial": 16,
            "scale_factor_temporal": 4,
        }
    vae = diffusers.AutoencoderKLWan(
        base_dim=3, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True], **extra
    )
    scheduler = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    encoder = t5(len(tokenizer), "UMT5")
    return {"tokenizer": tokenizer, "text_encoder": encoder, "vae": vae.eval(), "scheduler": scheduler}


def _wan_transformer(in_channels: int = 16, out_channels: int = 16, **extra: Any) -> Any:
    kind = diffusers.WanVACETransformer3DModel if "vace_layers" in extra else diffusers.WanTransformer3DModel
    return kind(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=in_channels,
        out_channels=out_channels,
        text_dim=TEXT_WIDTH,
        freq_dim=32,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
        **extra,
    ).eval()


def _wan_text() -> Any:
    return diffusers.WanPipeline(**_wan_parts(), transformer=_wan_transformer())


def _wan22_text() -> Any:
    two = {"transformer": _wan_transformer(), "transformer_2": _wan_transformer()}
    return diffusers.WanPipeline(**_wan_parts(), **two, boundary_ratio=0.875)


def _wan22_5b() -> Any:
    return diffusers.WanPipeline(**_wan_parts(True), transformer=_wan_transformer(48, 48), expand_timesteps=True)


def _wan_image(num_image_tokens: int | None = None) -> Any:
    vision = transformers.CLIPVisionConfig(
        hidden_size=4,
        projection_dim=4,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        intermediate_size=16,
        patch_size=4,
    )
    side = {"height": 32, "width": 32}
    return diffusers.WanImageToVideoPipeline(
        **_wan_parts(),
        transformer=_wan_transformer(36, 16, image_dim=4, pos_embed_seq_len=num_image_tokens),
        image_encoder=transformers.CLIPVisionModel(vision).eval(),
        image_processor=transformers.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=side),
    )


def _wan_first_last() -> Any:
    return _wan_image(2 * (8 * 8 + 1))  # tokens of two pictures of 8 x 8 patches


def _wan22_image() -> Any:
    two = {"transformer": _wan_transformer(36, 16), "transformer_2": _wan_transformer(36, 16)}
    return diffusers.WanImageToVideoPipeline(**_wan_parts(), **two, boundary_ratio=0.9)


def _wan_vace() -> Any:
    transformer = _wan_transformer(vace_layers=[0, 1], vace_in_channels=96)
    return diffusers.WanVACEPipeline(**_wan_parts(), transformer=transformer)


TINY_MODELS: dict[str, Callable[[], Any]] = {
    "wan": _wan_text,
    "wan2.2-a14b": _wan22_text,
    "wan2.2-5b": _wan22_5b,
    "wan-image": _wan_image,
    "wan-first-last": _wan_first_last,
    "wan2.2-image": _wan22_image,
    "wan-vace": _wan_vace,
    "ltx": ltx,
    "ltx-condition": ltx_condition,
    "ltx2": ltx2,
    "hunyuan1.5": hunyuan,
    "cogvideox": cogvideox,
}
"""By the name of the family; A14B is of the family "wan" too."""
