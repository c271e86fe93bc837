"""Tiny open-weight models with random weights, saved as real ones are: every file, part and shape rule is the real
one's. Nothing is downloaded."""

import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a missing file fails at once
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import diffusers
import torch
import transformers
from tokenizers import pre_tokenizers

PRINTABLE = string.ascii_letters + string.digits + string.punctuation
TEXT_WIDTH = 32


def save_tiny_model(name: str, folder: Path) -> None:
    """Builds a model with the weights of seed 0. The caller's random numbers stay the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        TINY_MODELS[name]().save_pretrained(folder)


def _t5_tokenizer(max_length: int) -> Any:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in PRINTABLE)]
    return transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=max_length)


def _t5(vocabulary: int, kind: str = "T5") -> Any:
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=vocabulary,
        d_model=TEXT_WIDTH,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=4,
        relative_attention_num_buckets=8,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
    )
    return getattr(transformers, f"{kind}EncoderModel")(config).eval()


def _wan_parts(has_large_vae: bool = False) -> dict[str, Any]:
    tokenizer = _t5_tokenizer(512)
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
    encoder = _t5(len(tokenizer), "UMT5")
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


def _ltx_parts(has_condition: bool) -> dict[str, Any]:
    tokenizer = _t5_tokenizer(128)
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=TEXT_WIDTH,
        num_layers=2,
        caption_channels=TEXT_WIDTH,
    )
    vae = diffusers.AutoencoderKLLTXVideo(
        in_channels=3,
        out_channels=3,
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, True, False),
        decoder_spatio_temporal_scaling=(True, True, True, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        timestep_conditioning=has_condition,
        patch_size=4,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=not has_condition,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=0.1,
    )
    encoder = _t5(len(tokenizer))
    parts = {"scheduler": scheduler, "vae": vae.eval(), "transformer": transformer.eval()}
    return {**parts, "text_encoder": encoder, "tokenizer": tokenizer}


def _ltx() -> Any:
    return diffusers.LTXPipeline(**_ltx_parts(False))


def _ltx_condition() -> Any:
    return diffusers.LTXConditionPipeline(**_ltx_parts(True))


def _gemma() -> tuple[Any, Any]:
    """Its tokenizer and its language tower, with the smallest vision tower that the class accepts."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *PRINTABLE]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = transformers.GemmaTokenizer(vocab=vocabulary, merges=[], model_max_length=1024)
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "max_position_embeddings": 1024,
        "sliding_window": 64,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
    }
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    tokens = {"mm_tokens_per_image": 4, "image_token_index": 4, "boi_token_index": 3, "eoi_token_index": 3}
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, **tokens)
    return tokenizer, transformers.Gemma3ForConditionalGeneration(config).eval()


def _ltx2_transformer() -> Any:
    return diffusers.LTX2VideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        audio_in_channels=4,
        audio_out_channels=4,
        audio_num_attention_heads=2,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=8,
        num_layers=2,
        qk_norm="rms_norm_across_heads",
        caption_channels=TEXT_WIDTH,
        rope_double_precision=False,
        rope_type="split",
    ).eval()


def _ltx2_vaes() -> dict[str, Any]:
    video = diffusers.AutoencoderKLLTX2Video(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        spatio_temporal_scaling=(True,) * 4,
        decoder_spatio_temporal_scaling=(True,) * 3,
        decoder_inject_noise=(False,) * 4,
        downsample_type=("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
        upsample_residual=(True,) * 3,
        upsample_factor=(2, 2, 2),
        timestep_conditioning=False,
        patch_size=4,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    audio = diffusers.AutoencoderKLLTX2Audio(
        base_channels=4,
        output_channels=2,
        ch_mult=(1,),
        num_res_blocks=1,
        attn_resolutions=None,
        in_channels=2,
        resolution=32,
        latent_channels=2,
        norm_type="pixel",
        causality_axis="height",
        dropout=0.0,
        mid_block_add_attention=False,
        sample_rate=16000,
        mel_hop_length=160,
        is_causal=True,
        mel_bins=8,
    )
    return {"vae": video.eval(), "audio_vae": audio.eval()}


def _ltx2() -> Any:
    from diffusers.pipelines.ltx2 import LTX2TextConnectors
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

    tokenizer, encoder = _gemma()
    heads = {"num_attention_heads": 4, "num_layers": 1, "num_learnable_registers": None}
    connectors = LTX2TextConnectors(
        caption_channels=TEXT_WIDTH,
        text_proj_in_factor=3,  # layers of the encoder, and its embedding
        **{f"video_connector_{name}": value for name, value in {**heads, "attention_head_dim": 8}.items()},
        **{f"audio_connector_{name}": value for name, value in {**heads, "attention_head_dim": 8}.items()},
        connector_rope_base_seq_len=32,
        rope_theta=10000.0,
        rope_double_precision=False,
        causal_temporal_positioning=False,
        rope_type="split",
    )
    vocoder = LTX2Vocoder(
        in_channels=16,
        hidden_channels=32,
        out_channels=2,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        leaky_relu_negative_slope=0.1,
        output_sampling_rate=16000,
    )
    return diffusers.LTX2Pipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        **_ltx2_vaes(),
        text_encoder=encoder,
        tokenizer=tokenizer,
        connectors=connectors.eval(),
        transformer=_ltx2_transformer(),
        vocoder=vocoder.eval(),
    )


def _qwen_tokenizer() -> Any:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
    vocabulary |= {letter: index + 3 for index, letter in enumerate(alphabet)}
    tokenizer = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[], model_max_length=2048)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def _hunyuan() -> Any:
    from diffusers.guiders import ClassifierFreeGuidance

    tokenizer = _qwen_tokenizer()
    config = transformers.Qwen2_5_VLTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [1, 1, 2]},
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    transformer = diffusers.HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        patch_size=1,
        patch_size_t=1,
        text_embed_dim=16,
        text_embed_2_dim=TEXT_WIDTH,
        image_embed_dim=12,
        rope_axes_dim=(2, 2, 4),
        target_size=16,
        task_type="t2v",
    )
    vae = diffusers.AutoencoderKLHunyuanVideo15(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        block_out_channels=(16, 16, 16, 16, 16),
        layers_per_block=1,
        spatial_compression_ratio=16,
        temporal_compression_ratio=4,
        downsample_match_channel=False,
        upsample_match_channel=False,
    )
    return diffusers.HunyuanVideo15Pipeline(
        text_encoder=transformers.Qwen2_5_VLTextModel(config).eval(),
        tokenizer=tokenizer,
        transformer=transformer.eval(),
        vae=vae.eval(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=_t5(384),
        tokenizer_2=transformers.ByT5Tokenizer(),
        guider=ClassifierFreeGuidance(guidance_scale=6.0),
    )


def _cogvideox() -> Any:
    tokenizer = _t5_tokenizer(226)
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=TEXT_WIDTH,
        num_layers=2,
        sample_width=4,
        sample_height=4,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=226,
    )
    vae = diffusers.AutoencoderKLCogVideoX(
        in_channels=3,
        out_channels=3,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    return diffusers.CogVideoXPipeline(
        tokenizer=tokenizer,
        text_encoder=_t5(len(tokenizer)),
        vae=vae.eval(),
        transformer=transformer.eval(),
        scheduler=diffusers.CogVideoXDDIMScheduler(),
    )


TINY_MODELS: dict[str, Callable[[], Any]] = {
    "wan": _wan_text,
    "wan2.2-a14b": _wan22_text,
    "wan2.2-5b": _wan22_5b,
    "wan-image": _wan_image,
    "wan-first-last": _wan_first_last,
    "wan2.2-image": _wan22_image,
    "wan-vace": _wan_vace,
    "ltx": _ltx,
    "ltx-condition": _ltx_condition,
    "ltx2": _ltx2,
    "hunyuan1.5": _hunyuan,
    "cogvideox": _cogvideox,
}
"""By the name of the family; A14B is of the family "wan" too."""
