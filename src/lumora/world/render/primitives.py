"""Intersections of rays with the solid shapes that bodies consist of.

Each shape is defined in a unit space, inside the cube [−1, 1]³. An affine map leads from the world to it and keeps the
ray parameter. An intersection function takes origins and directions (3, J) and a shape parameter k (J,), and returns
(enter, exit), each (J,); enter is +inf if the ray misses.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lumora.world.render.vectors import dot, normalize

Interval = tuple[Tensor, Tensor]
INF = float("inf")

ELLIPSOID, BOX, CYLINDER, CONE, CAPSULE, TORUS, COOKIE = range(7)

SCALLOPS = ((0.62, 0.72, 0.36), (0.95, 0.42, 0.34), (0.28, 0.98, 0.32), (1.0, 1.0, 0.62))
"""The bite: circles (x, y, radius) in the plane of the unit disc, in the order of the intersection test."""


def intersect(shape: int, origin: Tensor, direction: Tensor, k: Tensor) -> Interval:
    """Enter and exit of rays for one `shape`. The ray parameter starts at the closest point, for float32 precision."""
    shift = -dot(origin, direction) / dot(direction, direction)
    enter, leave = _SHAPES[shape](origin + shift * direction, direction, k)
    hit = leave > enter
    return torch.where(hit, enter + shift, INF), torch.where(hit, leave + shift, -INF)


def normal(shape: int, p: Tensor, k: Tensor) -> Tensor:
    """Outward gradient (3, J), not normalized, at surface points `p` (3, J) in unit space."""
    x, y, z = p
    zero = torch.zeros_like(x)
    if shape == ELLIPSOID:
        return p
    if shape == BOX:
        size = p.abs()
        return torch.where(size >= size.amax(0), p.sign(), zero)
    if shape == CYLINDER:
        cap = z.abs() > 0.9995
        return torch.stack([torch.where(cap, zero, x), torch.where(cap, zero, y), torch.where(cap, z, zero)])
    if shape == CONE:
        base = z < -0.9995
        side = torch.stack([x, y, 0.5 * (x * x + y * y).sqrt()])
        return torch.where(base, torch.stack([zero, zero, zero - 1]), side)
    if shape == CAPSULE:
        return torch.stack([x, y, (z - z.clamp(k - 1, 1 - k)) / (k * k)])
    if shape == TORUS:
        radius = (x * x + y * y).sqrt().clamp(min=1e-6)
        pull = 1 - (1 - k) / radius
        return torch.stack([x * pull, y * pull, z])
    return _cookie_normal(p, k)


def _ellipsoid(o: Tensor, d: Tensor, _: Tensor) -> Interval:
    inside = 1 - dot(o, o)
    half = (inside.clamp(min=0) / dot(d, d)).sqrt()
    return torch.where(inside > 0, -half, INF), half


def _slab(o: Tensor, d: Tensor, half: Tensor | float) -> Interval:
    """The space between the planes ±half of one coordinate."""
    inverse = 1 / torch.where(d.abs() < 1e-9, 1e-9, d)
    centre, reach = -o * inverse, half * inverse.abs()
    return centre - reach, centre + reach


def _box(o: Tensor, d: Tensor, _: Tensor) -> Interval:
    enter, leave = _slab(o, d, 1.0)
    return enter.amax(0), leave.amin(0)


def _tube(o: Tensor, d: Tensor, radius: Tensor | float = 1.0) -> Interval:
    """The infinite cylinder about z."""
    a = (d[0] * d[0] + d[1] * d[1]).clamp(min=1e-12)
    middle = -(o[0] * d[0] + o[1] * d[1]) / a
    x, y = o[0] + middle * d[0], o[1] + middle * d[1]
    inside = radius * radius - x * x - y * y
    half = (inside.clamp(min=0) / a).sqrt()
    return torch.where(inside > 0, middle - half, INF), middle + half


def _both(a: Interval, b: Interval) -> Interval:
    return torch.maximum(a[0], b[0]), torch.minimum(a[1], b[1])


def _cylinder(o: Tensor, d: Tensor, _: Tensor) -> Interval:
    return _both(_tube(o, d), _slab(o[2], d[2], 1.0))


def _cone(o: Tensor, d: Tensor, _: Tensor) -> Interval:
    """Base radius 1 at z = −1, apex at z = 1: x² + y² ≤ w², w = (1 − z)/2 ∈ [0, 1]."""
    w, dw = 0.5 * (1 - o[2]), -0.5 * d[2]
    a = d[0] * d[0] + d[1] * d[1] - dw * dw
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    b = o[0] * d[0] + o[1] * d[1] - w * dw
    c = o[0] * o[0] + o[1] * o[1] - w * w
    square = b * b - a * c
    root = square.clamp(min=0).sqrt()
    low, high = (-b - root) / a, (-b + root) / a
    # Flat rays (a > 0) are inside between the roots, if they hit this cone and not its mirror image above the apex.
    # Steep rays are inside beyond one root, on the side where w grows.
    flat = (a > 0) & (square > 0) & (w - dw * b / a > 0)
    enter = torch.where(a > 0, torch.where(flat, low, INF), torch.where(dw > 0, torch.maximum(low, high), -INF))
    leave = torch.where(a > 0, high, torch.where(dw > 0, INF, torch.minimum(low, high)))
    return _both((enter, leave), _slab(o[2], d[2], 1.0))


def _capsule(o: Tensor, d: Tensor, k: Tensor) -> Interval:
    """Radius 1 in x and y; caps of height k in z, which are half spheres if the map scales z by 1/k relative to x."""
    enter, leave = _both(_tube(o, d), _slab(o[2], d[2], 1 - k))
    enter = torch.where(leave > enter, enter, INF)
    leave = torch.where(leave > enter, leave, -INF)
    stretched = torch.stack([d[0], d[1], d[2] / k])
    for end in (1 - k, k - 1):
        local = torch.stack([o[0], o[1], (o[2] - end) / k])
        shift = -dot(local, stretched) / dot(stretched, stretched)
        cap_in, cap_out = _ellipsoid(local + shift * stretched, stretched, k)
        enter = torch.minimum(enter, cap_in + shift)
        leave = torch.maximum(leave, torch.where(cap_in < INF, cap_out + shift, -INF))
    return enter, leave


def _torus(o: Tensor, d: Tensor, k: Tensor) -> Interval:
    """Outer radius 1, tube radius k, axis z, by sphere tracing (Hart 1996) from the enclosing cylinder."""
    enter, leave = _both(_tube(o, d), _slab(o[2], d[2], k))
    speed = dot(d, d).sqrt()
    candidate = leave > enter
    t = torch.where(candidate, enter, 0.0)
    gap = torch.zeros_like(t)
    for _ in range(20):
        x, y, z = o + t * d
        gap = (((x * x + y * y).sqrt() - 1 + k).square() + z * z).sqrt() - k
        t = t + gap / speed
    hit = candidate & (gap < 0.01) & (t < leave)
    return torch.where(hit, t, INF), t + 1.5 * k / speed


def _cookie(o: Tensor, d: Tensor, k: Tensor) -> Interval:
    """A disc about z, bitten if k > ½: a ray that enters inside a circle of the bite continues to its exit."""
    enter, leave = _cylinder(o, d, k)
    bitten = k > 0.5
    for cx, cy, radius in SCALLOPS + SCALLOPS:
        x, y = o[0] - cx, o[1] - cy
        t = enter + 1e-4
        inside = (x + t * d[0]).square() + (y + t * d[1]).square() < radius * radius
        _, out = _tube(torch.stack([x, y, o[2]]), d, radius)
        enter = torch.where(bitten & inside & (leave > enter), torch.maximum(enter, out), enter)
    return enter, leave


def _cookie_normal(p: Tensor, k: Tensor) -> Tensor:
    x, y, z = p
    result = normal(CYLINDER, p, k)
    wall = bitten_wall(p, k)
    for cx, cy, radius in SCALLOPS:
        on = wall & ((x - cx).square() + (y - cy).square() < (radius + 0.02) ** 2)
        inward = torch.stack([cx - x, cy - y, torch.zeros_like(z)])
        result = torch.where(on, normalize(inward), result)
    return result


def bitten_wall(p: Tensor, k: Tensor) -> Tensor:
    """Whether points (3, J) of a cookie are on the edge of the bite."""
    inner = (p[0].square() + p[1].square() < 0.985) & (p[2].abs() < 0.9995)
    return inner & (k > 0.5)


_SHAPES: tuple[Callable[[Tensor, Tensor, Tensor], Interval], ...] = (
    _ellipsoid,
    _box,
    _cylinder,
    _cone,
    _capsule,
    _torus,
    _cookie,
)
