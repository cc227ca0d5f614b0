"""Measures a model on a part of a dataset: embeds, draws, lets the judges look, and enters what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from worker.evaluation.embeddings import (
    embedded,
    measure_by_partner,
    measure_encoders,
    measure_in_own_space,
    nearness,
)
from worker.evaluation.finding_each_other import Side, measure_finding
from worker.evaluation.likeness import Beside, Faces, measure_likeness, same_size, to_reference
from worker.evaluation.looks import Look, Lookers, Looks
from worker.evaluation.outcome import (
    Evaluation,
    Shown,
    Step,
    between,
    say_what_judges_are,
    say_what_was_taken,
)
from worker.evaluation.request import InvalidRequest
from worker.evaluation.sample import choose_sample
from worker.evaluation.subject import BATCH, Subject, as_vectors
from worker.ml.dataset_reader import EntryRow, PreparedDataset, Split
from worker.ml.face_finder import seventy_two
from worker.ml.metrics.intervals import Integers
from worker.ml.metrics.landmarks import Points

DRAWS = 3  # faces of each voice, for models that take noise


def evaluate(
    subject: Subject,
    dataset: PreparedDataset,
    split: Split,
    *,
    partner: Subject | None = None,
    most_people: int | None = None,
    seed: int = 0,
    weights: Path | None = None,
    lookers: Lookers | None = None,
    step: Step = lambda doing, done, total: None,
    shown: int = 12,
    most_clips: int = 3,
) -> Evaluation:
    """Measure what can be measured.

    Args:
        partner: the face encoder beside an encoder of voices; beside a model that draws from the space of one, a
            further judge.
        most_people: the first so many.
        seed: of everything drawn by lot.
        weights: where the networks of measures are.
        lookers: the judges, where they are loaded already.
        step: called after every batch with what is done, how far, of how much; may raise to end it.
        shown: people in the contact sheet.
        most_clips: of a person on each side, where the model draws.

    Raises:
        InvalidRequest: this model cannot be measured on this dataset.
    """
    if subject.draws:
        return _of_drawing(
            subject, partner, dataset, split, most_people, seed, weights, lookers, step, shown, most_clips
        )
    return measure_encoders(subject, partner, dataset, split, most_people, seed, step)


def _of_drawing(
    subject: Subject,
    partner: Subject | None,
    dataset: PreparedDataset,
    split: Split,
    most_people: int | None,
    seed: int,
    weights: Path | None,
    lookers: Lookers | None,
    step: Step,
    shown: int,
    most_clips: int,
) -> Evaluation:
    from_voice = subject.takes == "voice"
    sample = choose_sample(
        dataset, split, most_people=most_people, most_clips=most_clips, needs_voice=from_voice
    )
    if any("picture" not in entry.members for entry in sample.faces):
        raise InvalidRequest(
            "invalid_recipe", "The dataset keeps no pictures of faces. Prepare it anew with --face picture."
        )
    result = Evaluation(sample)
    inputs, owners = (
        (sample.voices, sample.voice_people) if from_voice else (sample.faces, sample.face_people)
    )
    embeddings = embedded(subject, dataset, inputs, step, "listening" if from_voice else "looking at faces")
    draws = DRAWS if subject.noise_length else 1
    drawn, told = _painted(subject, embeddings, inputs, draws, seed, step)
    drawn_owners = np.repeat(owners, draws)
    lookers = lookers or Lookers()
    true = [dataset.picture(entry) for entry in sample.faces]
    looks_drawn, looks_true = _looked_at(lookers, drawn, true, step)
    directions = ("voice_to_face", "face_to_voice") if from_voice else ("face_to_face", None)
    for ending, by, ours, theirs in (
        ("", "SFace", looks_drawn.sface, looks_true.sface),
        (".dlib", "dlib", looks_drawn.dlib, looks_true.dlib),
    ):
        queries, targets = Side(ours, drawn_owners), Side(theirs, sample.face_people)
        result.recalls[by] = measure_finding(
            result.findings,
            queries,
            targets,
            sample.groups,
            directions=directions,
            judge=ending,
            by=by,
            seed=seed,
            between=between(step),
        )
        result.nearness[by] = nearness(queries, targets, len(sample.people))
        step("measuring", 0, 1)
    if partner is not None:
        measure_by_partner(
            result, partner, dataset, sample, owners, drawn_owners, as_vectors(embeddings), drawn, seed, step
        )
        step("measuring", 0, 1)
    if from_voice:
        measure_in_own_space(result, subject, dataset, sample, owners, as_vectors(embeddings), seed, step)
    else:
        result.findings.leave_out(
            "embedding.*", "The model is given the face itself, so there is nothing to predict."
        )
    # Each drawn face beside a true one: that which it was drawn from, or the person's first.
    partners = (
        np.unique(sample.face_people, return_index=True)[1][drawn_owners]
        if from_voice
        else np.repeat(np.arange(len(sample.faces)), draws)
    )
    side = drawn.shape[1]
    beside = Beside(
        drawn,
        same_size([true[number] for number in partners], side),
        drawn_owners,
        looks_drawn,
        _rows(looks_true, partners),
        _points(looks_drawn, told, side),
        _true_points(dataset, sample.faces, looks_true)[partners],
        tuple(sample.genders[owner] for owner in drawn_owners),
    )
    measure_likeness(result.findings, beside, seed=seed, weights=weights, between=between(step))
    for row in beside.firsts[_spread(len(sample.people), shown)]:
        person = sample.people[drawn_owners[row]]
        result.shown.append(Shown(person.name, beside.true[row], drawn[row]))
    say_what_was_taken(result, dataset, split, draws if subject.noise_length else 0)
    say_what_judges_are(result.findings)
    return result


def _painted(
    subject: Subject,
    embeddings: torch.Tensor,
    entries: Sequence[EntryRow],
    draws: int,
    seed: int,
    step: Step,
) -> tuple[Faces, Points | None]:
    repeated = embeddings.repeat_interleave(draws, dim=0)
    # A number for each face, that depends on nothing but the seed, its clip and which draw it is.
    numbers = [(seed * 1_000_003 + entry.number) * 16 + draw for entry in entries for draw in range(draws)]
    pictures, points = [], []
    for start in range(0, len(repeated), BATCH):
        step("drawing", start, len(repeated))
        some = slice(start, start + BATCH)
        drawn = subject.paint(repeated[some], subject.noise(numbers[some]))
        pictures.append(drawn.pictures)
        if drawn.landmarks is not None:
            points.append(drawn.landmarks)
    step("drawing", len(repeated), len(repeated))
    return np.concatenate(pictures), np.concatenate(points) if points else None


def _looked_at(lookers: Lookers, drawn: Faces, true: Sequence[Faces], step: Step) -> tuple[Looks, Looks]:
    total = len(drawn) + len(true)
    looks: list[Look] = []
    for picture in (*drawn, *true):
        looks.append(lookers.look(picture))
        step("judging", len(looks), total)
    return Looks.of(looks[: len(drawn)]), Looks.of(looks[len(drawn) :])


def _points(looks: Looks, told: Points | None, side: int) -> Points:
    """What the model says of its landmarks, or else what is found in its pictures. `[N, 72, 2]`."""
    if told is not None and told.shape[1] == 72:
        return to_reference(told, side)
    return np.stack([seventy_two(points) for points in looks.landmarks])


def _true_points(dataset: PreparedDataset, entries: Sequence[EntryRow], looks: Looks) -> Points:
    """The dataset's landmarks, or else what is found in its pictures. `[N, 72, 2]`."""
    found = np.stack([seventy_two(points) for points in looks.landmarks])
    side = int(dataset.description["recipe"]["face"]["size"])
    for number, entry in enumerate(entries):
        if "landmarks" in entry.members:
            found[number] = to_reference(dataset.array(entry, "landmarks").reshape(72, 2), side)
    return found


def _rows(looks: Looks, rows: Integers) -> Looks:
    return Looks(
        looks.found[rows],
        looks.sface[rows],
        looks.dlib[rows],
        tuple(looks.genders[row] for row in rows),
        tuple(looks.ages[row] for row in rows),
        looks.landmarks[rows],
    )


def _spread(count: int, wanted: int) -> Integers:
    """So many places, evenly over all."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(np.int64))
