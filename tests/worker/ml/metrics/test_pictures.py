"""Measures of pictures and of sets of them, each against values worked out in another way."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.ml.face_finder import seventy_two
from worker.ml.metrics.attributes import age_decade, agreement, confusion, gender_word
from worker.ml.metrics.correlation import distance_correlation, pearson, spearman
from worker.ml.metrics.craniofacial import craniofacial_measures
from worker.ml.metrics.diversity import identity_variation, inter_human_similarity, pixel_variation
from worker.ml.metrics.embeddings import embedding_distances, unit_length
from worker.ml.metrics.frechet import frechet_distance, kernel_distance
from worker.ml.metrics.landmarks import landmark_errors
from worker.ml.metrics.ssim import structural_similarity
from worker.ml.metrics.vggface_score import vggface_score

seeds = st.integers(0, 10_000)


def pictures(count: int, seed: int, side: int = 40) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(128, 60, (count, side, side, 3))
    return np.clip(scipy.ndimage.gaussian_filter(noise, (0, 2, 2, 0)) * 3 - 256, 0, 255).astype(np.uint8)


def test_embedding_distances_are_those_of_two_directions() -> None:
    ours = np.array([[3.0, 0.0], [1.0, 1.0], [1.0, 0.0]], dtype=np.float32)
    theirs = np.array([[5.0, 0.0], [0.0, 2.0], [-2.0, 0.0]], dtype=np.float32)
    found = embedding_distances(ours, theirs)
    assert found["angle"] == pytest.approx([0, 45, 180], abs=1e-4)
    assert found["cosine"] == pytest.approx([1, 0.5**0.5, -1])
    assert found["l1"] == pytest.approx([0, 1, 2], abs=1e-6)
    assert found["l2"] == pytest.approx([0, (2 - 2**0.5) ** 0.5, 2], abs=1e-6)


def test_landmark_errors_are_lengths_in_pixels_and_shares_of_the_eyes_distance() -> None:
    theirs = np.random.default_rng(0).uniform(0, 224, (1, 72, 2)).astype(np.float32)
    theirs[0, 36], theirs[0, 45] = (60, 100), (160, 100)
    errors = landmark_errors(theirs + np.array([3.0, 4.0], dtype=np.float32), theirs)
    assert errors["rmse"] == pytest.approx([5.0], rel=1e-5)
    assert errors["normalised"] == pytest.approx([0.05], rel=1e-5)


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_structural_similarity_agrees_with_scipys_gaussian_filter(seed: int) -> None:
    ours, theirs = pictures(1, seed), pictures(1, seed + 1)
    grey = [one[0] @ np.array([0.299, 0.587, 0.114]) for one in (ours, theirs)]

    def blur(values: np.ndarray) -> np.ndarray:
        return scipy.ndimage.gaussian_filter(values, 1.5, truncate=5 / 1.5)

    means = [blur(one) for one in grey]
    spreads = [blur(one * one) - mean * mean for one, mean in zip(grey, means, strict=True)]
    together = blur(grey[0] * grey[1]) - means[0] * means[1]
    c1, c2 = 6.5025, 58.5225
    local = (2 * means[0] * means[1] + c1) * (2 * together + c2)
    local /= (means[0] ** 2 + means[1] ** 2 + c1) * (spreads[0] + spreads[1] + c2)
    assert structural_similarity(ours, theirs) == pytest.approx(local[5:-5, 5:-5].mean(), abs=1e-9)
    assert structural_similarity(ours, ours) == pytest.approx(1.0)


@given(seeds, st.integers(4, 40))
@settings(max_examples=20, deadline=None)
def test_the_frechet_distance_agrees_with_a_root_of_the_matrix(seed: int, count: int) -> None:
    chance = np.random.default_rng(seed)
    mix = chance.normal(size=(6, 6))
    ours = (chance.normal(size=(count, 6)) @ mix).astype(np.float32)
    theirs = (chance.normal(size=(count + 3, 6)) + 0.5).astype(np.float32)
    covariances = [np.cov(one.astype(np.float64), rowvar=False) for one in (ours, theirs)]
    # Shifted a little, as programs do, since SciPy's root of a singular matrix is poor.
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1] + 1e-12 * np.eye(6)).real
    means = ours.astype(np.float64).mean(axis=0) - theirs.astype(np.float64).mean(axis=0)
    wanted = (means**2).sum() + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root)
    found = frechet_distance(ours, theirs)
    assert found.value == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    assert found.enough_samples == (count > 6)


def test_the_frechet_distance_of_known_gaussians_is_the_formulas_and_of_equal_sets_none() -> None:
    chance = np.random.default_rng(0)
    ours = chance.normal(0, 1, (20_000, 3)).astype(np.float32)
    theirs = chance.normal(1, 2, (20_000, 3)).astype(np.float32)
    assert frechet_distance(ours, theirs).value == pytest.approx(3 * (1 + (2 - 1) ** 2), rel=0.03)
    assert frechet_distance(ours[:50], ours[:50]).value == pytest.approx(0, abs=1e-9)
    assert frechet_distance(ours[:2], theirs[:2]).value > 0


def test_the_kernel_distance_is_unbiased_and_its_interval_holds() -> None:
    chance = np.random.default_rng(1)
    values, holds = [], 0
    for _ in range(60):
        found = kernel_distance(
            chance.normal(size=(25, 4)).astype(np.float32), chance.normal(size=(25, 4)).astype(np.float32)
        )
        values.append(found.value)
        holds += found.low <= 0 <= found.high
    assert abs(np.mean(values)) < 3 * np.std(values) / 60**0.5
    assert min(values) < 0, "an unbiased estimate of nothing is below it at times"
    assert holds >= 51
    far = kernel_distance(
        chance.normal(size=(25, 4)).astype(np.float32), chance.normal(2, 1, (25, 4)).astype(np.float32)
    )
    assert far.low > 0


def test_the_kernel_distance_agrees_with_loops() -> None:
    chance = np.random.default_rng(2)
    x, y = chance.normal(size=(5, 3)).astype(np.float32), chance.normal(size=(5, 3)).astype(np.float32)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float((a.astype(float) @ b.astype(float) / 3 + 1) ** 3)

    inside = sum(kernel(a[i], a[j]) for a in (x, y) for i in range(5) for j in range(5) if i != j) / 20
    across = sum(kernel(a, b) for a in x for b in y) / 25
    assert kernel_distance(x, y).value == pytest.approx(inside - 2 * across)


def test_the_vggface_score_is_one_for_one_face_and_the_count_for_all_different_ones() -> None:
    same = np.log(np.full((20, 5), 0.2))
    assert vggface_score(same).value == pytest.approx(1)
    apart = np.log(np.tile(np.eye(4) * (1 - 4e-12) + 1e-12, (5, 1)))  # 20 faces, four people
    score = vggface_score(apart, parts=1)
    assert score.value == pytest.approx(4, rel=1e-6) and score.spread == 0
    assert 1 < vggface_score(apart, parts=5).value <= 4
    with pytest.raises(ValueError, match="at least 5"):
        vggface_score(same[:4])


def test_correlations_agree_with_scipy_also_with_ties() -> None:
    chance = np.random.default_rng(3)
    first, second = chance.normal(size=60), chance.integers(0, 4, 60).astype(float)
    assert pearson(first, second).value == pytest.approx(scipy.stats.pearsonr(first, second).statistic)
    interval = scipy.stats.pearsonr(first, second).confidence_interval(0.95)
    assert pearson(first, second)[1:3] == pytest.approx((interval.low, interval.high), abs=1e-4)
    assert spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic)
    for same in (1.0, 0.1):  # the mean of which is not quite 0.1
        assert np.isnan(pearson(first, np.full(60, same)).value)


def test_distances_that_go_together_are_told_from_those_that_do_not() -> None:
    chance = np.random.default_rng(4)
    places = chance.normal(size=(15, 3))

    def apart(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, None] - points[None], axis=2)

    related = distance_correlation(apart(places), apart(places + chance.normal(0, 0.3, (15, 3))))
    assert related.value > 0.8 and related.p_value == pytest.approx(0.001)
    assert related.value == pytest.approx(
        scipy.stats.spearmanr(
            apart(places)[np.triu_indices(15, 1)], apart(places)[np.triu_indices(15, 1)]
        ).statistic,
        abs=0.2,
    )
    p_values = [
        distance_correlation(
            apart(chance.normal(size=(8, 3))), apart(chance.normal(size=(8, 3))), seed=run
        ).p_value
        for run in range(40)
    ]
    assert np.mean(np.array(p_values) <= 0.1) < 0.3, "for unrelated ones small values are as rare as they say"


def test_craniofacial_measures_are_those_of_a_face_drawn_to_measure() -> None:
    points = np.random.default_rng(5).uniform(0, 100, (1, 68, 2)).astype(np.float32)
    for place, at in {
        36: (0, 0), 45: (100, 0), 39: (30, 0), 42: (65, 0), 31: (35, 60), 35: (65, 60), 27: (50, 0), 33: (50, 60),
        48: (30, 80), 54: (70, 80), 0: (-20, 20), 16: (140, 20), 51: (50, 75), 62: (50, 80), 66: (50, 81),
        57: (50, 91), 8: (50, 140), 4: (0, 110), 12: (120, 110), 50: (35, 75), 52: (65, 75),
    }.items():  # fmt: skip
        points[0, place] = at
    found = craniofacial_measures(points)
    wanted = {
        "nasal_index": 50, "nose_width": 0.3, "nose_height": 0.6, "nose_area": 0.09,
        "vermilion_height_index": 50, "lateral_upper_lip_heights": 0.15, "upper_lip_height": 0.2,
        "intercanthal_index": 35, "mandibular_index": 50, "mouth_face_width_index": 25, "jaw_width": 1.2,
    }  # fmt: skip
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == pytest.approx([value], rel=1e-5), name
        assert craniofacial_measures(points * 2.5)[name] == pytest.approx([value], rel=1e-5), name


def test_the_order_of_72_points_keeps_the_places_that_measures_use() -> None:
    points = np.arange(136, dtype=np.float32).reshape(68, 2)
    assert (seventy_two(points)[:48] == points[:48]).all()


def test_attributes_agree_by_their_meaning() -> None:
    assert [gender_word(one) for one in ("M", "woman", " Male ", "x", None)] == [
        "male",
        "female",
        "male",
        None,
        None,
    ]
    assert [age_decade(one) for one in (34, "34", "30s", "old", None, 7)] == [30, 30, 30, None, None, 0]
    agreed = agreement(["male", None, "female", "male"], ["male", "male", "male", None])
    assert agreed[:3] == pytest.approx([1, 0, 0]) and np.isnan(agreed[3])
    assert confusion([20, None, 30], [20, 20, None]) == {"20": {"20": 1, "none": 1}}


def test_variation_is_the_mean_over_pairs_of_people() -> None:
    vectors = unit_length(np.array([[1, 0], [0, 1], [1, 1]], dtype=np.float32))
    assert identity_variation(vectors).value == pytest.approx((1 + 2 * (1 - 0.5**0.5)) / 3)
    faces = np.stack([np.full((8, 8, 3), level, np.uint8) for level in (0, 10, 40)])
    assert pixel_variation(faces).value == pytest.approx((10 + 40 + 30) / 3)
    assert pixel_variation(np.repeat(faces[:1], 5, axis=0)).value == 0
    true = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    assert inter_human_similarity(vectors, true).value == pytest.approx((0 + 0.5 + 0.5**0.5) / 3)
