"""The primitives of the renderer in unit space."""

import pytest
import torch

from lumora.world.render import primitives
from lumora.world.render.vectors import dot

INSIDE = {
    primitives.ELLIPSOID: lambda p, k: dot(p, p) < 1,
    primitives.BOX: lambda p, k: p.abs().amax(0) < 1,
    primitives.CYLINDER: lambda p, k: (p[0] ** 2 + p[1] ** 2 < 1) & (p[2].abs() < 1),
    primitives.CONE: lambda p, k: (p[2].abs() < 1) & (p[0] ** 2 + p[1] ** 2 < ((1 - p[2]) / 2) ** 2),
    primitives.CAPSULE: lambda p, k: p[0] ** 2 + p[1] ** 2 + ((p[2] - p[2].clamp(k - 1, 1 - k)) / k) ** 2 < 1,
    primitives.TORUS: lambda p, k: ((p[0] ** 2 + p[1] ** 2).sqrt() - 1 + k) ** 2 + p[2] ** 2 < k**2,
}


@pytest.mark.parametrize("shape", INSIDE)
@pytest.mark.parametrize("k", [0.3, 0.7])
def test_intersections_agree_with_ray_marching(shape, k):
    generator = torch.Generator().manual_seed(shape)
    eye = torch.randn(3, 400, generator=generator)
    eye = 4 * eye / eye.norm(dim=0)
    direction = torch.rand(3, 400, generator=generator) * 4 - 2 - eye
    enter, leave = primitives.intersect(shape, eye, direction, torch.full((400,), k))
    steps = torch.linspace(0, 2, 4001)
    walked = INSIDE[shape](eye[..., None] + steps * direction[..., None], k)
    met = walked.any(1)
    assert 0.1 < met.float().mean() < 0.99
    long = walked.sum(1) > 30  # a few grazing rays may fall between two steps
    assert (torch.isfinite(enter) == met)[long | ~met].float().mean() > 0.99
    first = steps[walked.int().argmax(1)]
    right = ((enter - first).abs() < 0.003) & (leave > enter)
    assert right[long].float().mean() > 0.98


@pytest.mark.parametrize("shape", [*INSIDE, primitives.COOKIE])
def test_normals_face_the_entering_ray(shape):
    generator = torch.Generator().manual_seed(7)
    eye = torch.randn(3, 500, generator=generator)
    eye = 5 * eye / eye.norm(dim=0)
    direction = torch.rand(3, 500, generator=generator) * 1.6 - 0.8 - eye
    k = torch.full((500,), 0.6)
    enter, _ = primitives.intersect(shape, eye, direction, k)
    hit = torch.isfinite(enter)
    normal = primitives.normal(shape, (eye + enter * direction)[:, hit], k[hit])
    cosine = dot(normal, direction[:, hit]) / normal.norm(dim=0) / direction[:, hit].norm(dim=0)
    assert (cosine < 0.02).float().mean() > 0.99
