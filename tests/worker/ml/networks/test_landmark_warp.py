"""The warp puts landmarks where they belong, leaves alone what need not move, and lets gradients through."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from worker.ml.networks.landmark_warp import (
    DLIB_ORDER,
    POINTS,
    distinct_landmarks,
    move_landmarks,
    move_points,
    points_on_border,
    polyharmonic_field,
)

Order = Literal[1, 2]
both_orders = pytest.mark.parametrize("order", [1, 2])


def smooth_pictures(count: int = 1, size: int = 64) -> torch.Tensor:
    axis = torch.linspace(0, 1, size)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    channels = [torch.sin(4 * columns + 3 * rows), torch.cos(5 * rows), columns * rows]
    return torch.stack(channels)[None].repeat(count, 1, 1, 1)


def some_landmarks(count: int = 1, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Distinct points in dlib's order of 72: the copies of a point are equal."""
    chance = torch.Generator().manual_seed(seed)
    points = torch.rand(count, 68, 2, generator=chance) * (size - 20) + 10
    return points[:, list(DLIB_ORDER)]


def spot(size: int, x: int, y: int) -> torch.Tensor:
    picture = torch.zeros(1, 1, size, size)
    picture[..., y, x] = 1
    return picture


@both_orders
def test_landmarks_that_stay_give_the_picture_itself(order: Order) -> None:
    pictures, landmarks = smooth_pictures(2), some_landmarks(2)
    warped = move_landmarks(pictures, landmarks, landmarks, order=order)
    assert float((warped - pictures).abs().max()) < 1e-3


@both_orders
def test_what_is_at_a_source_comes_to_its_target(order: Order) -> None:
    sources = torch.tensor([[[20.0, 30.0], [44.0, 20.0], [32.0, 48.0]]])
    targets = torch.tensor([[[24.0, 33.0], [41.0, 24.0], [32.0, 44.0]]])
    for source, target in zip(sources[0].long(), targets[0].long(), strict=True):
        warped = move_points(
            spot(64, int(source[0]), int(source[1])), sources, targets, order=order, border_points=1
        )
        assert float(warped[0, 0, target[1], target[0]]) == pytest.approx(1, abs=1e-3)


@both_orders
def test_landmarks_that_all_shift_move_the_whole_picture(order: Order) -> None:
    pictures, landmarks = smooth_pictures(), some_landmarks()
    shift = torch.tensor([3.0, -2.0])
    warped = move_landmarks(pictures, landmarks, landmarks + shift, order=order, border_points=0)
    torch.testing.assert_close(warped[..., 10:50, 10:50], pictures[..., 12:52, 7:47], rtol=0, atol=1e-3)


@both_orders
def test_an_affine_motion_is_reproduced_between_and_beyond_the_points(order: Order) -> None:
    points = some_landmarks()[:, :40].unique(dim=1).double() / 63
    matrix = torch.tensor([[0.9, 0.2], [-0.1, 1.1]], dtype=torch.float64)
    values = points @ matrix.T + torch.tensor([0.05, -0.3], dtype=torch.float64) - points
    places = torch.rand(200, 2, dtype=torch.float64) * 3 - 1
    expected = places @ matrix.T + torch.tensor([0.05, -0.3], dtype=torch.float64) - places
    field = polyharmonic_field(points, values, places, order)
    torch.testing.assert_close(field[0], expected, rtol=0, atol=1e-9)


@both_orders
def test_the_field_meets_its_values_until_it_is_regularised(order: Order) -> None:
    chance = torch.Generator().manual_seed(4)
    points = torch.rand(2, 30, 2, generator=chance, dtype=torch.float64)
    values = torch.randn(2, 30, 2, generator=chance, dtype=torch.float64)
    exact = torch.stack([polyharmonic_field(points, values, p, order)[n] for n, p in enumerate(points)])
    torch.testing.assert_close(exact, values, rtol=0, atol=1e-8)
    misses = [
        float((polyharmonic_field(points, values, points[0], order, much)[0] - values[0]).norm())
        for much in (0.0, 1e-3, 1e-1, 1e3)
    ]
    assert misses == sorted(misses) and misses[1] > 1e-4
    # With ever more of it, what is left is the affine function that fits best.
    affine = torch.cat([points[0], torch.ones(30, 1, dtype=torch.float64)], dim=1)
    best = affine @ torch.linalg.lstsq(affine, values[0]).solution
    smooth = polyharmonic_field(points, values, points[0], order, 1e7)[0]
    torch.testing.assert_close(smooth, best, rtol=0, atol=1e-4)


def test_order_two_is_the_thin_plate_that_scipy_knows() -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    chance = torch.Generator().manual_seed(5)
    points = torch.rand(1, 20, 2, generator=chance, dtype=torch.float64)
    values = torch.randn(1, 20, 2, generator=chance, dtype=torch.float64)
    places = torch.rand(50, 2, generator=chance, dtype=torch.float64)
    for order, kernel in ((1, "linear"), (2, "thin_plate_spline")):
        theirs = interpolate.RBFInterpolator(points[0], values[0], kernel=kernel, degree=1)(places)
        ours = polyharmonic_field(points, values, places, order)[0]  # type: ignore[arg-type]
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-8)


@both_orders
@pytest.mark.parametrize("regularisation", [0.0, 0.1])
def test_gradients_of_the_picture_and_of_both_sets_of_points_are_right(
    order: Order, regularisation: float
) -> None:
    chance = torch.Generator().manual_seed(6)
    pictures = smooth_pictures(2, 6)[:, :1].double().requires_grad_()
    sources = (torch.rand(2, 5, 2, generator=chance, dtype=torch.float64) * 4 + 0.5).requires_grad_()
    targets = (sources.detach() + 0.37).requires_grad_()

    def warp(*given: torch.Tensor) -> torch.Tensor:
        return move_points(*given, order=order, regularisation=regularisation)

    assert torch.autograd.gradcheck(warp, (pictures, sources, targets))


def test_gradients_are_finite_where_nothing_moves_and_points_lie_on_pixels() -> None:
    landmarks = some_landmarks().round().requires_grad_()
    pictures = smooth_pictures().requires_grad_()
    move_landmarks(pictures, some_landmarks().round(), landmarks).square().sum().backward()
    for given in (landmarks, pictures):
        assert given.grad is not None and torch.isfinite(given.grad).all()
        assert float(given.grad.abs().max()) > 0


def test_the_72_points_are_the_68_of_dlib_with_four_twice() -> None:
    assert len(DLIB_ORDER) == POINTS == 72
    assert set(DLIB_ORDER) == set(range(68))
    assert sorted(n for n in set(DLIB_ORDER) if DLIB_ORDER.count(n) == 2) == [48, 54, 60, 64]


def test_copies_of_a_point_are_averaged() -> None:
    landmarks = torch.tensor(DLIB_ORDER, dtype=torch.float32)[None, :, None].repeat(1, 1, 2)
    torch.testing.assert_close(distinct_landmarks(landmarks)[0, :, 0], torch.arange(68.0))
    landmarks[0, DLIB_ORDER.index(48)] += 4
    assert float(distinct_landmarks(landmarks)[0, 48, 0]) == pytest.approx(50)


def test_copies_that_disagree_do_not_tear_the_picture() -> None:
    pictures, landmarks = smooth_pictures(), some_landmarks()
    predicted = landmarks + torch.randn(1, POINTS, 2, generator=torch.Generator().manual_seed(7)) * 1e-4
    warped = move_landmarks(pictures, landmarks, predicted)
    assert float((warped - pictures).abs().max()) < 1e-2


def test_points_on_the_border_hold_the_border() -> None:
    pictures, landmarks = smooth_pictures(), some_landmarks()
    free = move_landmarks(pictures, landmarks, landmarks + 5, border_points=0)
    held = move_landmarks(pictures, landmarks, landmarks + 5, border_points=8)
    edges = [(..., 0, slice(None)), (..., -1, slice(None)), (..., 0), (..., -1)]
    moved = [max(float((w[e] - pictures[e]).abs().max()) for e in edges) for w in (free, held)]
    assert moved[1] < 0.2 * moved[0]


def test_points_on_the_border_are_corners_then_middles() -> None:
    assert len(points_on_border(0, 5, 9)) == 0
    assert {tuple(p) for p in points_on_border(1, 5, 9).tolist()} == {(0, 0), (8, 0), (8, 4), (0, 4)}
    middles = {(4, 0), (8, 2), (4, 4), (0, 2)}
    assert middles < {tuple(p) for p in points_on_border(2, 5, 9).tolist()}
    assert len(points_on_border(3, 5, 9).unique(dim=0)) == 12


def test_autocast_changes_nothing() -> None:
    pictures, landmarks = smooth_pictures(), some_landmarks()
    moved = landmarks + torch.randn(1, 1, 2)
    plain = move_landmarks(pictures, landmarks, moved)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(move_landmarks(pictures, landmarks, moved), plain)


def test_a_picture_need_not_be_square() -> None:
    pictures = smooth_pictures()[..., :40, :]
    points = torch.tensor([[[10.0, 10.0], [50.0, 10.0], [30.0, 30.0]]])
    warped = move_points(pictures, points, points + torch.tensor([4.0, 3.0]))
    torch.testing.assert_close(warped[..., 5:40, 6:60], pictures[..., 2:37, 2:56], rtol=0, atol=1e-3)
