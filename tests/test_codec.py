"""The codec: shapes, causality, streaming, basis and training, on small codecs."""

import dataclasses
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lumora.codec import Codec, CodecLossConfig, align_to_pixel_metric, codec_loss, codec_step, init_linear
from lumora.codec.basis import pixel_metric
from lumora.codec.losses import pixel_weights
from lumora.codec.reconstruction_metrics import psnr, ssim
from lumora.config import CodecConfig

SMALL = CodecConfig(
    spatial_compression=8,
    temporal_compression=4,
    latent_channels=6,
    encoder_channels=(8, 16),
    decoder_channels=(16, 8),
    num_res_blocks=1,
)
DEEP = CodecConfig(
    spatial_compression=16,
    temporal_compression=4,
    latent_channels=8,
    encoder_channels=(8, 8, 16),
    decoder_channels=(16, 8, 8),
    num_res_blocks=1,
)

few = settings(max_examples=12)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_codec(config: CodecConfig, seed: int = 0) -> Codec:
    """A codec without zero layers, so that each of them affects the output."""
    codec = Codec(config)
    with torch.no_grad():
        for parameter in codec.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator(seed)) * 0.1)
    return codec.eval()


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=generator(seed)) * 2 - 1


def moving_squares(clips: int, frames: int, size: int, seed: int = 0) -> Tensor:
    """uint8 (b, T, H, W, 3): a bright square that moves over a smooth background at constant velocity."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    videos = np.zeros((clips, frames, size, size, 3), dtype=np.float32)
    for video in videos:
        sky, ground, color = rng.uniform(0, 0.6, (3, 3))
        start, velocity = rng.uniform(0.3, 0.7, 2), rng.uniform(-0.03, 0.03, 2)
        for t, frame in enumerate(video):
            frame[:] = sky + (ground - sky) * y[..., None]
            cx, cy = start + velocity * t
            frame[np.maximum(abs(x - cx), abs(y - cy)) < 0.15] = 0.4 + color
    return torch.from_numpy((videos * 255).astype(np.uint8))


@pytest.mark.parametrize("config", [SMALL, DEEP])
@few
@given(groups=st.integers(0, 2), height=st.integers(16, 50), width=st.integers(16, 50))
def test_decoding_restores_any_size(config: CodecConfig, groups: int, height: int, width: int) -> None:
    codec, space = random_codec(config), config.spatial_compression
    pixels = noise(2, 3, 1 + 4 * groups, height, width)
    with torch.no_grad():
        latent = codec.encode(pixels)
        restored = codec.decode(latent, size=(height, width), clamp=True)
    assert latent.shape == (2, config.latent_channels, 1 + groups, -(-height // space), -(-width // space))
    assert restored.shape == pixels.shape
    assert restored.abs().max() <= 1


@pytest.mark.parametrize("frames", [2, 3, 4, 8])
def test_invalid_frame_counts_are_rejected(frames: int) -> None:
    with pytest.raises(ValueError, match=r"1 \+ 4·n frames"):
        random_codec(SMALL).encode(noise(1, 3, frames, 16, 16))


@pytest.mark.parametrize(
    "change",
    [
        {"spatial_compression": 16},
        {"decoder_channels": (16,)},
        {"encoder_channels": (8, 5)},
        {"decoder_channels": (13, 8)},
    ],
)
def test_invalid_configurations_are_rejected(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="channels"):
        Codec(dataclasses.replace(SMALL, **cast(dict, change)))


@few
@given(seed=st.integers(0, 999), first=st.integers(1, 2))
def test_each_group_of_frames_is_encoded_independently(seed: int, first: int) -> None:
    codec, pixels = random_codec(DEEP, seed), noise(2, 3, 9, 32, 32, seed=seed)
    with torch.no_grad():
        whole = codec.encode(pixels)
        torch.testing.assert_close(codec.encode(pixels[:, :, :1]), whole[:, :, :1])
        other = torch.cat([pixels[:, :, : 1 + 4 * (first - 1)], -pixels[:, :, 1 + 4 * (first - 1) : 1 + 4 * first]], 2)
        mixed = codec.encode(torch.cat([other, pixels[:, :, 1 + 4 * first :]], dim=2))
    changed = (mixed - whole).abs().amax(dim=(0, 1, 3, 4)) > 1e-5
    assert changed.tolist() == [k == first for k in range(3)]


@few
@given(seed=st.integers(0, 999), frames=st.integers(1, 3))
def test_decoding_is_causal(seed: int, frames: int) -> None:
    codec, latent = random_codec(DEEP, seed), noise(2, 8, 4, 2, 3, seed=seed)
    with torch.no_grad():
        whole, part = codec.decode(latent), codec.decode(latent[:, :, :frames])
    torch.testing.assert_close(part, whole[:, :, : 1 + 4 * (frames - 1)])


@few
@given(seed=st.integers(0, 999), cuts=st.sets(st.integers(1, 4), max_size=3))
def test_streamed_decoding_equals_decoding(seed: int, cuts: set[int]) -> None:
    codec, latent = random_codec(SMALL, seed), noise(1, 6, 5, 3, 2, seed=seed)
    edges = [0, *sorted(cuts), 5]
    pieces = [latent[:, :, a:b] for a, b in pairwise(edges)]
    with torch.no_grad():
        streamed = torch.cat(list(codec.stream(pieces, size=(20, 15))), dim=2)
        torch.testing.assert_close(streamed, codec.decode(latent, size=(20, 15)))


def test_the_decoder_uses_the_previous_latent_frame() -> None:
    codec, latent = random_codec(SMALL), noise(1, 6, 2, 2, 2)
    with torch.no_grad():
        changed = codec.decode(torch.cat([latent[:, :, :1] + 1, latent[:, :, 1:]], dim=2))
        difference = (changed - codec.decode(latent)).abs().amax(dim=(0, 1, 3, 4))
    assert (difference[1:] > 1e-4).all()


def test_clips_of_a_batch_are_independent() -> None:
    codec, pixels = random_codec(SMALL), noise(3, 3, 9, 16, 24)
    with torch.no_grad():
        together = codec.decode(codec.encode(pixels))
        alone = torch.cat([codec.decode(codec.encode(clip[None])) for clip in pixels])
    torch.testing.assert_close(together, alone)


def test_running_statistics_converge_to_those_of_the_data() -> None:
    standardize = Codec(SMALL).standardize
    features = 3 * noise(8, 6, 4, 4) + torch.arange(6.0).view(6, 1, 1)
    for _ in range(3000):
        standardize.train()(features)
    latent = standardize.eval()(features)
    torch.testing.assert_close(latent.mean(dim=(0, 2, 3)), torch.zeros(6), atol=1e-2, rtol=0)
    torch.testing.assert_close(latent.var(dim=(0, 2, 3)), torch.ones(6), atol=2e-2, rtol=0)


def test_properties_common_to_a_batch_are_kept() -> None:
    codec = random_codec(SMALL).train()
    dark, bright = (codec.encode(torch.full((2, 3, 5, 16, 16), level)) for level in (-0.8, 0.8))
    assert (dark - bright).abs().mean() > 0.1


def test_bfloat16_agrees_with_float32() -> None:
    pixels, codec = noise(1, 3, 5, 32, 32), random_codec(SMALL)
    with torch.no_grad():
        exact = codec.decode(codec.encode(pixels))
        rounded = codec.to(torch.bfloat16).decode(codec.encode(pixels))
    assert rounded.dtype == torch.float32
    assert (exact - rounded).abs().mean() < 0.05 * exact.std()


def test_the_linear_initialization_reconstructs_and_is_standardized() -> None:
    frames = moving_squares(48, 9, 48)
    train, held_out = (f.movedim(-1, 1).float() / 127.5 - 1 for f in (frames[:40], frames[40:]))
    codec = Codec(dataclasses.replace(SMALL, latent_channels=16)).eval()
    init_linear(codec, train, generator())
    with torch.no_grad():
        latent = codec.encode(train)
        quality = psnr(codec.decode(codec.encode(held_out)), held_out)
    assert latent.mean(dim=(0, 2, 3, 4)).abs().max() < 0.02
    assert (latent.std(dim=(0, 2, 3, 4)) - 1).abs().max() < 0.02
    # At least 10 dB better than the best constant image of each clip.
    constant = held_out.mean(dim=(2, 3, 4), keepdim=True).expand_as(held_out)
    assert quality.mean() > psnr(constant, held_out).mean() + 10


def test_linear_initialization_from_too_few_clips_is_rejected() -> None:
    with pytest.raises(ValueError, match="larger or more varied"):
        init_linear(Codec(SMALL), torch.zeros(1, 3, 5, 32, 32), generator())


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_change_of_basis_keeps_the_pixels(power: float) -> None:
    codec, pixels = random_codec(SMALL), noise(4, 3, 9, 40, 40)
    with torch.no_grad():
        before = codec.decode(codec.encode(pixels))
        align_to_pixel_metric(codec, pixels, power)
        latent = codec.encode(pixels)
        torch.testing.assert_close(codec.decode(latent), before, rtol=1e-3, atol=1e-3)
        covariance = torch.cov(latent.movedim(1, 0).flatten(1))
    variance = covariance.diag()
    assert variance.mean() == pytest.approx(1, abs=1e-3)
    assert (variance.diff() <= 1e-5).all()  # descending
    assert (covariance - variance.diag()).abs().max() < 1e-3


def test_in_the_aligned_basis_the_pixel_metric_is_a_multiple_of_the_identity() -> None:
    codec, pixels = random_codec(SMALL), noise(4, 3, 9, 40, 40)
    align_to_pixel_metric(codec, pixels, 1.0)
    with torch.no_grad():
        metric = pixel_metric(codec, codec.encode(pixels))
    scale = metric.diag().mean()
    assert (metric / scale - torch.eye(SMALL.latent_channels)).abs().max() < 0.05


def test_a_basis_from_too_few_positions_is_rejected() -> None:
    with pytest.raises(ValueError, match="too few"):
        align_to_pixel_metric(random_codec(SMALL), noise(1, 3, 1, 16, 16), 1.0)


def test_training_improves_on_the_linear_initialization() -> None:
    frames = moving_squares(24, 9, 32)
    pixels = frames.movedim(-1, 1).float() / 127.5 - 1
    torch.manual_seed(0)
    codec = Codec(SMALL)
    init_linear(codec, pixels, generator())
    optimizer, g = torch.optim.Adam(codec.parameters(), lr=4e-3), generator()
    with torch.no_grad():
        before = codec_loss(codec.eval().decode(codec.encode(pixels)), pixels, CodecLossConfig())[0]
    for step in range(80):
        loss, _ = codec_step(codec.train(), pixels[:, :, step % 5 : step % 5 + 5], g)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        after = codec_loss(codec.eval().decode(codec.encode(pixels)), pixels, CodecLossConfig())[0]
    assert after < 0.9 * before


def test_every_parameter_except_the_linear_path_has_a_gradient() -> None:
    codec = random_codec(SMALL).train()
    loss, _ = codec_step(codec, noise(2, 3, 9, 32, 32), generator())
    loss.backward()
    for name, parameter in codec.named_parameters():
        if name.split(".")[1] == "linear":
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_a_training_step_is_determined_by_its_generator() -> None:
    codec, pixels = random_codec(SMALL), noise(2, 3, 5, 32, 32)
    losses = [float(codec_step(codec, pixels, generator(seed))[0].detach()) for seed in (3, 3, 4)]
    assert losses[0] == losses[1] != losses[2]


@few
@given(seed=st.integers(0, 999), size=st.floats(0.01, 0.5))
def test_the_loss_grows_with_the_error(seed: int, size: float) -> None:
    pixels, error = noise(1, 3, 5, 16, 16, seed=seed), noise(1, 3, 5, 16, 16, seed=seed + 1)
    losses = [codec_loss(pixels + k * size * error, pixels, CodecLossConfig())[0] for k in (0, 1, 2)]
    assert losses[0] < losses[1] < losses[2]


def test_moving_pixels_and_subjects_have_larger_weights() -> None:
    pixels = torch.zeros(1, 3, 5, 16, 16)
    pixels[:, :, 2:, 4:8, 4:8] = 1.0
    subject = torch.zeros(1, 5, 16, 16, dtype=torch.bool)
    subject[..., 10:14, 10:14] = True
    weight = pixel_weights(pixels, subject, 4.0)
    assert weight.mean() == pytest.approx(1, abs=1e-5)
    still, moving = weight[0, 0, 2, 0, 0], weight[0, 0, 2, 5, 5]
    assert (
        moving / still == pytest.approx(1 + 0.4 * 4) and weight[0, 0, 1, 5, 5] == moving
    )  # the uncovered background too
    assert weight[0, 0, 4, 5, 5] == still  # at rest again
    assert weight[0, 0, 0, 12, 12] / still == pytest.approx(1 + 4)


@few
@given(amplitude=st.floats(0.01, 1.0))
def test_psnr_of_a_constant_error(amplitude: float) -> None:
    pixels = noise(2, 3, 2, 16, 16)
    expected = 20 * np.log10(2 / amplitude)
    assert psnr(pixels + amplitude, pixels).tolist() == pytest.approx([expected] * 2, abs=1e-2)


def test_ssim_agrees_with_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    a = nn.functional.interpolate(noise(1, 3, 8, 8), (32, 40), mode="bilinear")
    b = a + 0.2 * noise(1, 3, 32, 40, seed=2)
    expected = metrics.structural_similarity(
        a[0].numpy(), b[0].numpy(), channel_axis=0, data_range=2, gaussian_weights=True, use_sample_covariance=False
    )
    assert float(ssim(a[:, :, None], b[:, :, None])) == pytest.approx(expected, abs=1e-3)
    assert float(ssim(a[:, :, None], a[:, :, None])) == pytest.approx(1, abs=1e-5)


def test_ssim_of_small_images_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least 11"):
        ssim(noise(1, 3, 1, 8, 16), noise(1, 3, 1, 8, 16))
