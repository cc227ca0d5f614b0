"""Measures of drawn faces beside the true ones: likeness, landmarks, structure, attributes, and how much they vary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from worker.evaluation.findings import Findings
from worker.evaluation.looks import Looks
from worker.evaluation.measure_weights import load_measure
from worker.ml.images import resized
from worker.ml.metrics.attributes import age_decade, agreement, confusion
from worker.ml.metrics.correlation import pearson
from worker.ml.metrics.craniofacial import craniofacial_measures
from worker.ml.metrics.diversity import (
    identity_variation,
    inter_human_similarity,
    mean_over_pairs,
    pixel_variation,
    some_pairs,
)
from worker.ml.metrics.embeddings import embedding_distances
from worker.ml.metrics.face_classifier import FaceClassifier, Order
from worker.ml.metrics.frechet import frechet_distance, kernel_distance
from worker.ml.metrics.inception import Inception
from worker.ml.metrics.intervals import Integers, Interval, Numbers, mean_over_people
from worker.ml.metrics.landmarks import REFERENCE_SIDE, Points, landmark_errors
from worker.ml.metrics.lpips import Lpips
from worker.ml.metrics.matching import Vectors
from worker.ml.metrics.ssim import structural_similarity
from worker.ml.metrics.vggface_score import PARTS, vggface_score

Faces = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]
PIECE = 128
NO_WEIGHTS = (
    "It needs the weights of {}, which are not ours to ship; docs/metrics.md says how to bring them in."
)
FRECHET_DIMENSIONS = 2048


@dataclass(frozen=True)
class Beside:
    """Drawn faces, each beside a true one of the same person.

    Attributes:
        drawn, true: uint8 RGB `[N, S, S, 3]`, of one size.
        people: `[N]`, places in the sample; a person may be there several times.
        looks_drawn, looks_true: what the judges see in them.
        points_drawn, points_true: 72 landmarks in pixels of `REFERENCE_SIDE`, `[N, 72, 2]`, NaN where unknown.
        genders: what the dataset says of each picture's person.
    """

    drawn: Faces
    true: Faces
    people: Integers
    looks_drawn: Looks
    looks_true: Looks
    points_drawn: Points
    points_true: Points
    genders: tuple[str | None, ...]

    @property
    def firsts(self) -> Integers:
        """Rows of the first picture of each person."""
        return np.unique(self.people, return_index=True)[1]


def measure_likeness(
    findings: Findings,
    beside: Beside,
    *,
    seed: int,
    weights: Path | None = None,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Enter everything that compares drawn faces with true ones, and with each other.

    Args:
        weights: where the networks of measures are.
        between: called between the slow ones.
    """
    pieces = Pieces(between)
    for measure in (_identity, _points, _attributes, _variation):
        measure(findings, beside, seed)
        between()
    similarity = pieces(structural_similarity, beside.drawn, beside.true)
    findings.add("ssim", mean_over_people(similarity, beside.people, seed=seed), "higher")
    between()
    _perceptual(findings, beside, seed, weights, pieces)
    between()
    _as_sets(findings, beside, weights, pieces)
    between()
    _distinct(findings, beside, seed, weights, pieces)


def _identity(findings: Findings, beside: Beside, seed: int) -> None:
    found = mean_over_people(beside.looks_drawn.found.astype(np.float64), beside.people, share=True)
    findings.add("face_found", found, "higher", by="YuNet")
    for judge, ending, ours, theirs in (
        ("SFace", "", beside.looks_drawn.sface, beside.looks_true.sface),
        ("dlib", ".dlib", beside.looks_drawn.dlib, beside.looks_true.dlib),
    ):
        both = _seen(ours) & _seen(theirs)
        if not both.any():
            findings.leave_out(
                f"likeness.*{ending}", f"{judge} found no person with a face in both pictures."
            )
            continue
        for name, values in embedding_distances(ours[both], theirs[both]).items():
            interval = mean_over_people(values, beside.people[both], seed=seed)
            findings.add(
                f"likeness.{name}{ending}", interval, "higher" if name == "cosine" else "lower", by=judge
            )
    ours, theirs, rows = beside.looks_drawn.sface, beside.looks_true.sface, beside.firsts
    seen = rows[_seen(ours[rows]) & _seen(theirs[rows])]
    if len(seen) > 1:
        findings.add("inter_human", inter_human_similarity(ours[seen], theirs[seen]), "lower", by="SFace")


def _points(findings: Findings, beside: Beside, seed: int) -> None:
    known = ~(np.isnan(beside.points_drawn) | np.isnan(beside.points_true)).any(axis=(1, 2))
    if not known.any():
        for name in ("landmarks.*", "craniofacial.*"):
            findings.leave_out(name, "No person has landmarks in both pictures.")
        return
    errors = landmark_errors(beside.points_drawn[known], beside.points_true[known])
    for name, values in errors.items():
        findings.add(f"landmarks.{name}", mean_over_people(values, beside.people[known], seed=seed), "lower")
    rows = np.flatnonzero(known)
    rows = rows[np.unique(beside.people[rows], return_index=True)[1]]
    ours = craniofacial_measures(beside.points_drawn[rows])
    theirs = craniofacial_measures(beside.points_true[rows])
    for name in ours:
        findings.add(f"craniofacial.{name}", pearson(ours[name], theirs[name]), "higher", 0.0)


def _attributes(findings: Findings, beside: Beside, seed: int) -> None:
    drawn, true, people = beside.looks_drawn, beside.looks_true, beside.people

    def share(name: str, values: Numbers, by: str) -> None:
        findings.add(name, mean_over_people(values, people, share=True, seed=seed), "higher", by=by)

    if any(beside.genders):
        share("attributes.gender", agreement(drawn.genders, beside.genders), by="the dataset's labels")
        findings.tables["gender"] = confusion(drawn.genders, beside.genders)
    else:
        findings.leave_out("attributes.gender", "The dataset does not say people's gender.")
    share("attributes.gender.read", agreement(drawn.genders, true.genders), by="the reading of the true face")
    decades = [age_decade(age) for age in drawn.ages], [age_decade(age) for age in true.ages]
    share("attributes.age", agreement(*decades), by="the decade of the reading of the true face")
    findings.tables["age"] = confusion(*decades)
    years = np.array(
        [
            np.nan if ours is None or theirs is None else abs(ours - theirs)
            for ours, theirs in zip(drawn.ages, true.ages, strict=True)
        ]
    )
    findings.add("attributes.age_years", mean_over_people(years, people, seed=seed), "lower", unit="years")


def _variation(findings: Findings, beside: Beside, seed: int) -> None:
    rows = beside.firsts
    identity = identity_variation(beside.looks_drawn.sface[rows])
    of_true = identity_variation(beside.looks_true.sface[rows])
    findings.add("variation.identity", identity, "higher", by="SFace", of_true_faces=of_true.value)
    pixels, of_true = pixel_variation(beside.drawn[rows]), pixel_variation(beside.true[rows])
    findings.add("variation.pixels", pixels, "higher", unit="grey levels of 255", of_true_faces=of_true.value)


class Pieces:
    """Measures many pictures a few at a time, so that nobody waits long for an answer to being asked to stop.

    Args:
        between: called before each piece.
    """

    def __init__(self, between: Callable[[], None]) -> None:
        self._between = between

    def __call__(self, measure: Callable[..., Array], *faces: Faces) -> Array:
        """What `measure` makes of pictures `[N, S, S, 3]`, a row for each."""
        parts = []
        for start in range(0, len(faces[0]), PIECE):
            self._between()
            parts.append(measure(*(one[start : start + PIECE] for one in faces)))
        return np.concatenate(parts)


def _perceptual(findings: Findings, beside: Beside, seed: int, weights: Path | None, pieces: Pieces) -> None:
    network = load_measure(Lpips, "lpips", weights)
    if network is None:
        for name in ("lpips", "diversity"):
            findings.leave_out(name, NO_WEIGHTS.format("AlexNet and the heads of LPIPS"))
        return
    distances = pieces(network.distances, beside.drawn, beside.true)
    findings.add("lpips", mean_over_people(distances, beside.people, seed=seed), "lower")
    rows = beside.firsts
    pairs = some_pairs(len(rows), seed, most=1000)
    apart = pieces(network.distances, beside.drawn[rows[pairs[:, 0]]], beside.drawn[rows[pairs[:, 1]]])
    findings.add("diversity", mean_over_pairs(apart, pairs, seed), "higher", by="LPIPS of AlexNet")


def _as_sets(findings: Findings, beside: Beside, weights: Path | None, pieces: Pieces) -> None:
    inception = load_measure(Inception, "inception", weights)
    rows = beside.firsts
    if inception is not None:
        features = f"Inception-v3 pool 3, {FRECHET_DIMENSIONS} numbers"
        ours, theirs = (pieces(inception.features, one[rows]) for one in (beside.drawn, beside.true))
    else:
        features = "SFace, 128 numbers"
        seen = rows[_seen(beside.looks_drawn.sface[rows]) & _seen(beside.looks_true.sface[rows])]
        ours, theirs = beside.looks_drawn.sface[seen], beside.looks_true.sface[seen]
        findings.notes.append(
            "The Fréchet and kernel distances are of SFace's features and no FID or KID, since the weights of "
            "Inception-v3 are not here. They compare with nothing published, only with reports of the same features."
        )
    if len(ours) < 3:
        for name in ("frechet", "kernel_distance"):
            findings.leave_out(name, "It takes three people with faces in both pictures.")
        return
    distance = frechet_distance(ours, theirs)
    findings.add(
        "frechet",
        Interval(distance.value, float("nan"), float("nan"), len(ours)),
        "lower",
        features=features,
        enough_samples=distance.enough_samples,
    )
    if not distance.enough_samples:
        findings.notes.append(
            f"The Fréchet distance is of {len(ours)} faces a side, with {ours.shape[1]} features each: the covariances "
            "are singular and the distance comes out far too large. Compare it only with reports of the same people."
        )
    findings.add("kernel_distance", kernel_distance(ours, theirs), "lower", 0.0, features=features)


def _distinct(findings: Findings, beside: Beside, seed: int, weights: Path | None, pieces: Pieces) -> None:
    classifier = load_measure(FaceClassifier, "vggface2", weights)
    rows = beside.firsts
    if classifier is None or len(rows) < PARTS:
        reason = (
            NO_WEIGHTS.format("ResNet-50 of VGGFace2") if classifier is None else f"It takes {PARTS} people."
        )
        for name in ("vggface_score", "vggface_score.sf2f"):
            findings.leave_out(name, reason)
        return
    orders: tuple[tuple[str, Order], ...] = (("vggface_score", "bgr"), ("vggface_score.sf2f", "sf2f"))
    for name, order in orders:
        logs = pieces(partial(classifier.log_probabilities, order=order), beside.drawn[rows])
        score = vggface_score(logs, seed=seed)
        interval = Interval(score.value, float("nan"), float("nan"), len(rows))
        findings.add(name, interval, "higher", 1.0, spread=score.spread, parts=PARTS, channels=order)


def same_size(pictures: list[Faces], side: int) -> Faces:
    """Pictures uint8 RGB `[H, W, 3]` brought to squares, `[N, side, side, 3]`."""
    return np.stack([one if one.shape[:2] == (side, side) else resized(one, side, side) for one in pictures])


def to_reference(points: Points, side: int) -> Points:
    """Landmarks of pictures of a side in pixels of `REFERENCE_SIDE`."""
    return points * np.float32(REFERENCE_SIDE / side)


def _seen(vectors: Vectors) -> npt.NDArray[np.bool_]:
    seen: npt.NDArray[np.bool_] = np.abs(vectors).sum(axis=1) > 0
    return seen
