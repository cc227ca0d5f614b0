"""What a model makes of the voice, and what of the noise: grids of faces, paths between them, and two numbers.

After the analyses that go with matching networks and their conditional GAN (Choi, Park and Lee, arXiv 2004.05830): what
do condition c and noise z control? Models without noise have half of it, and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional as F

from core.training.specs import Analysis
from worker.evaluation.charts import Chart, bars_chart, scatter_chart
from worker.evaluation.likeness import Faces
from worker.evaluation.looks import Lookers
from worker.evaluation.page import Table
from worker.evaluation.request import InvalidRequest
from worker.evaluation.sample import Sample, choose_sample
from worker.evaluation.sheets import grid_png
from worker.evaluation.subject import Subject
from worker.ml.dataset_reader import PreparedDataset, Split
from worker.ml.metrics.correlation import distance_correlation
from worker.ml.metrics.diversity import mean_over_pairs, some_pairs
from worker.ml.metrics.embeddings import unit_length
from worker.ml.metrics.intervals import Integers, Numbers, bootstrap
from worker.ml.metrics.matching import Vectors

PATH_STEPS = 8
MOST_NOISES = 4  # for the ratio; more cost time and say the same
FEWEST_TO_REORDER = 4
FEWEST_FOUND = 0.8  # share of drawn pictures with a face, for SFace to have a say
MOST_ROWS = 12  # of a grid; more are measured but not shown
NO_NOISE = "{} takes no noise: one voice gives one face, so there is nothing that noise could change."
Step = Callable[[str, int, int], None]
Distance = Callable[[Vectors, Vectors], Numbers]


@dataclass
class Analysed:
    """What came of it.

    Attributes:
        numbers: by name, as in report.json.
        not_applicable: why an analysis says nothing of this model.
    """

    charts: list[Chart] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    numbers: dict[str, dict[str, float | int | None]] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    people: int = 0


class Analyst:
    """Analyses one model on a few people."""

    def __init__(
        self,
        subject: Subject,
        dataset: PreparedDataset,
        split: Split,
        *,
        voices: int,
        noises: int,
        seed: int,
        lookers: Lookers | None = None,
        step: Step = lambda doing, done, total: None,
    ) -> None:
        """Raises `InvalidRequest` for a model that draws nothing, or a dataset without enough people."""
        if not subject.draws:
            raise InvalidRequest(
                "invalid_recipe", f"{subject.version} draws nothing. Name a pair, as in ENCODER+DECODER."
            )
        self._subject, self._step, self._seed, self._noises = subject, step, seed, noises
        self._lookers = lookers
        self.sample: Sample = choose_sample(
            dataset, split, most_people=voices, most_clips=1, needs_voice=subject.takes == "voice"
        )
        self._side = "voice" if subject.takes == "voice" else "face"
        entries = self.sample.voices if subject.takes == "voice" else self.sample.faces
        step("listening", 0, 1)
        self._conditions = subject.embed(dataset, entries).cpu()
        self.result = Analysed(people=len(self.sample.people))

    def carry_out(self, analyses: Sequence[Analysis]) -> Analysed:
        """Do each of them, in the order of asking."""
        ways: Mapping[Analysis, Callable[[], None]] = {
            "same_noise": self.same_noise,
            "same_voice": self.same_voice,
            "voice_path": self.voice_path,
            "noise_path": self.noise_path,
            "sensitivity": self.sensitivity,
            "correlation": self.correlation,
        }
        for number, name in enumerate(analyses):
            self._step("analysing", number, len(analyses))
            ways[name]()
        self._step("analysing", len(analyses), len(analyses))
        if self._subject.takes == "face":
            self.result.notes.append("This model draws from faces: where it says voice, read face.")
        return self.result

    def same_noise(self) -> None:
        """Rows are people, columns are noises: down a column only the voice changes."""
        voices, columns = self._shown(), self._columns()
        if not self._subject.noise_length:
            faces = self._draw(self._conditions[:voices], None)
            self.result.not_applicable["same_noise"] = NO_NOISE.format(self._subject.version)
            caption = "One face for each voice; without noise there is one column alone, shown here as a row."
            self._add_grid("same_noise.png", "One face a voice", caption, [list(faces)])
            return
        rows = [
            list(self._draw(condition.expand(columns, -1), self._noise(columns)))
            for condition in self._conditions[:voices]
        ]
        self._add_grid(
            "same_noise.png",
            "Other voices, the same noise",
            "Each row is a voice, each column one noise for all. What changes down a column comes from the voice "
            "alone; what changes along a row comes from the noise alone.",
            rows,
        )

    def same_voice(self) -> None:
        """One voice, many noises."""
        if not self._subject.noise_length:
            self.result.not_applicable["same_voice"] = NO_NOISE.format(self._subject.version)
            return
        faces = self._draw(self._conditions[:1].expand(self._noises, -1), self._noise(self._noises))
        rows = [list(faces[start : start + 8]) for start in range(0, len(faces), 8)]
        self._add_grid(
            "same_voice.png",
            "One voice, other noise",
            "All of these are drawn for one voice. What they share is what the model takes from it; the rest is "
            "invented.",
            rows,
        )

    def voice_path(self) -> None:
        """From one voice to the next, in a straight line, brought back to the length of the ends."""
        noise = self._noise(1)
        rows = []
        for first, second in pairwise(self._conditions[: min(self._shown(), 5)]):
            path = straight_path(first, second, PATH_STEPS)
            rows.append(list(self._draw(path, None if noise is None else noise.expand(PATH_STEPS, -1))))
        self._add_grid(
            "voice_path.png",
            "From one voice to another",
            "Each row goes from one voice, on the left, to another in even steps between their embeddings"
            + (", with one noise for all." if noise is not None else ". Nothing else changes.")
            + " Even changes speak for a model that has learnt what lies between people, jumps for one that has not.",
            rows,
        )

    def noise_path(self) -> None:
        """From one noise to another along the sphere, for the first voices."""
        noise = self._noise(2)
        if noise is None:
            self.result.not_applicable["noise_path"] = NO_NOISE.format(self._subject.version)
            return
        path = spherical_path(noise[0], noise[1], PATH_STEPS)
        rows = [
            list(self._draw(condition.expand(PATH_STEPS, -1), path))
            for condition in self._conditions[: min(self._shown(), 4)]
        ]
        self._add_grid(
            "noise_path.png",
            "From one noise to another",
            "Each row is one voice, from one noise on the left to another on the right, along the sphere that noise "
            "lies on. Who it is should stay, and pose, light and background change.",
            rows,
        )

    def sensitivity(self) -> None:
        """Mean distance of faces that differ in the voice alone, over that of faces that differ in noise alone."""
        if not self._subject.noise_length:
            self.result.not_applicable["sensitivity"] = NO_NOISE.format(self._subject.version)
            return
        columns, people = min(self._columns(), MOST_NOISES), len(self._conditions)
        noise = self._noise(columns)
        drawn = [self._draw(condition.expand(columns, -1), noise) for condition in self._conditions]
        pixels = np.stack([_pixels(faces) for faces in drawn])
        self._enter_sensitivity("sensitivity.pixels", "pixels", pixels, _pixels_apart)
        faces = self._identities(np.concatenate(drawn))
        if faces is not None:
            vectors = faces.reshape(people, columns, -1)  # people, columns, numbers
            self._enter_sensitivity("sensitivity", "SFace", vectors, _cosines_apart)

    def _enter_sensitivity(self, name: str, by: str, vectors: Vectors, apart: Distance) -> None:
        people, columns = vectors.shape[:2]
        pairs, noise_pairs = some_pairs(people, self._seed), some_pairs(columns, self._seed)
        by_voice = np.array([apart(vectors[a], vectors[b]).mean() for a, b in pairs])
        by_noise = np.stack([apart(vectors[:, a], vectors[:, b]) for a, b in noise_pairs]).mean(axis=0)
        if by_noise.mean() <= 0:
            self.result.not_applicable[name] = "The noise changes nothing at all."
            return
        voice = mean_over_pairs(by_voice, pairs, self._seed)
        ratio = voice.value / float(by_noise.mean())
        low, high = _ratio_interval(by_voice, pairs, by_noise, self._seed)
        self.result.numbers[name] = {
            "value": ratio,
            "low": low if np.isfinite(low) else None,
            "high": high if np.isfinite(high) else None,
            "voice": voice.value,
            "noise": float(by_noise.mean()),
            "people": people,
            "noises": columns,
        }
        self.result.charts.append(
            bars_chart(
                f"{name}.png",
                f"What changes a face more, voice or noise? By {by}",
                f"Mean distance ({by}) between two drawn faces that differ in one of the two alone; {people} people, "
                f"{columns} noises. The voice changes {ratio:.2g} times as much as the noise "
                f"({low:.2g} to {high:.2g}).",
                {
                    "another voice": (voice.value, voice.low, voice.high),
                    "other noise": (float(by_noise.mean()), *bootstrap(by_noise, seed=self._seed)),
                },
            )
        )

    def correlation(self) -> None:
        """Whether voices far apart get faces far apart: Spearman's rho, with a test that reorders people."""
        people = len(self._conditions)
        if people < FEWEST_TO_REORDER:
            self.result.not_applicable["correlation"] = f"It takes {FEWEST_TO_REORDER} people at least."
            return
        noise = self._noise(1)
        faces = self._draw(self._conditions, None if noise is None else noise.expand(people, -1))
        conditions = unit_length(self._conditions.numpy().astype(np.float32))
        self._enter_correlation("correlation.pixels", "pixels", conditions, _pixels(faces), _pixels_apart)
        drawn = self._identities(faces)
        if drawn is not None:
            self._enter_correlation("correlation", "SFace", conditions, drawn, _cosines_apart)

    def _enter_correlation(
        self, name: str, by: str, conditions: Vectors, drawn: Vectors, apart: Distance
    ) -> None:
        first = np.stack([_cosines_apart(conditions, one) for one in conditions])
        second = np.stack([apart(drawn, one) for one in drawn])
        found = distance_correlation(first, second, seed=self._seed)
        if not np.isfinite(found.value):
            self.result.not_applicable[name] = "All voices, or all faces, are equally far apart."
            return
        self.result.numbers[name] = {
            "value": found.value,
            "p_value": found.p_value,
            "chance_high": found.chance_high,
            "people": found.people,
            "pairs": found.pairs,
        }
        above = np.triu_indices(len(first), 1)
        verdict = (
            "Voices that are far apart get faces that are far apart"
            if found.p_value < 0.05
            else "That is no more than people in random order give"
        )
        self.result.charts.append(
            scatter_chart(
                f"{name}.png",
                f"Do other voices get other faces? By {by}",
                f"A dot for each of {found.pairs} pairs of {found.people} people. Spearman's rho is {found.value:.2f}; "
                f"with people in random order it stays below {found.chance_high:.2f} in 95 % of the orders "
                f"(p = {found.p_value:.3f}). {verdict}. It does not say whether they are the right faces.",
                first[above],
                second[above],
                (f"cosine distance of the two {self._side}s", f"distance of the two drawn faces ({by})"),
            )
        )

    def _shown(self) -> int:
        return min(len(self._conditions), MOST_ROWS)

    def _columns(self) -> int:
        return min(self._noises, MOST_ROWS)

    def _noise(self, count: int) -> torch.Tensor | None:
        return self._subject.noise([self._seed * 1_000_003 + number for number in range(count)])

    def _draw(self, conditions: torch.Tensor, noise: torch.Tensor | None) -> Faces:
        self._step("drawing", 0, 1)
        return self._subject.paint(conditions, noise).pictures

    def _identities(self, faces: Faces) -> Vectors | None:
        """SFace's vectors of drawn faces `[N, 128]`, or None where it finds a face in too few of them."""
        if self._lookers is None:
            self._lookers = Lookers()
        vectors = []
        for face in faces:
            vectors.append(self._lookers.identity(face))
            self._step("judging", 0, 1)
        together = np.stack(vectors)
        found = int((np.abs(together).sum(axis=1) > 0).sum())
        if found < len(together):
            self.result.notes.append(
                f"A face is found in {found} of {len(together)} drawn pictures. The others count as unlike everybody; "
                "where they are more than a fifth, nothing is said by SFace, and pixels alone speak."
            )
        return together if found >= FEWEST_FOUND * len(together) else None

    def _add_grid(self, name: str, title: str, caption: str, rows: Sequence[Sequence[Faces]]) -> None:
        sheet = grid_png(rows, tile=112)
        self.result.charts.append(Chart(name, title, caption, sheet, sheet))


def straight_path(first: torch.Tensor, second: torch.Tensor, steps: int) -> torch.Tensor:
    """Evenly from one embedding `[D]` to another, `[steps, D]`. Lengths go evenly as well, so that none is short."""
    at = torch.linspace(0, 1, steps)[:, None]
    line = first[None] * (1 - at) + second[None] * at
    lengths = first.norm() * (1 - at) + second.norm() * at
    path: torch.Tensor = F.normalize(line, dim=1) * lengths
    return path


def spherical_path(first: torch.Tensor, second: torch.Tensor, steps: int) -> torch.Tensor:
    """Along the great circle between two noises `[D]`, `[steps, D]` (Shoemake, SIGGRAPH 1985).

    In many dimensions noise lies close to a sphere; the straight line would leave it, for noise that never occurs.
    """
    cosine = torch.dot(F.normalize(first, dim=0), F.normalize(second, dim=0)).clamp(-1, 1)
    angle = torch.arccos(cosine)
    at = torch.linspace(0, 1, steps)[:, None]
    if float(torch.sin(angle)) < 1e-6:
        return first[None] * (1 - at) + second[None] * at
    return (torch.sin((1 - at) * angle) * first[None] + torch.sin(at * angle) * second[None]) / torch.sin(
        angle
    )


def _cosines_apart(first: Vectors, second: Vectors) -> Numbers:
    """Cosine distances of unit rows."""
    distance: Numbers = 1 - (first.astype(np.float64) * second).sum(axis=-1)
    return distance


def _pixels(faces: Faces) -> Vectors:
    """Every fourth pixel of each face, 0 to 1. `[N, S, S, 3]` -> `[N, numbers]`."""
    small: Vectors = faces[:, ::4, ::4].reshape(len(faces), -1).astype(np.float32)
    return small / np.float32(255)


def _pixels_apart(first: Vectors, second: Vectors) -> Numbers:
    """Mean absolute differences of rows."""
    distance: Numbers = np.abs(first.astype(np.float64) - second).mean(axis=-1)
    return distance


def _ratio_interval(by_voice: Numbers, pairs: Integers, by_noise: Numbers, seed: int) -> tuple[float, float]:
    """Of the ratio, by resampling people in both means at once."""
    chance = np.random.default_rng(seed)
    ratios = []
    for _ in range(500):
        times = np.bincount(chance.integers(len(by_noise), size=len(by_noise)), minlength=len(by_noise))
        weights = times[pairs[:, 0]] * times[pairs[:, 1]]
        below = float((by_noise * times).sum() / times.sum())
        if weights.sum() > 0 and below > 0:
            ratios.append(float((by_voice * weights).sum() / weights.sum()) / below)
    if not ratios:
        return float("nan"), float("nan")
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)
