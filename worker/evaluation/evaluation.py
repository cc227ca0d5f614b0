"""Measures a model on a part of a dataset: embeds, draws, lets the judges look, and enters what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from worker.evaluation.finding_each_other import Side, measure_finding
from worker.evaluation.findings import Findings
from worker.evaluation.likeness import Beside, Faces, measure_likeness, same_size, to_reference
from worker.evaluation.looks import Look, Lookers, Looks
from worker.evaluation.request import InvalidRequest
from worker.evaluation.sample import Sample, choose_sample
from worker.evaluation.subject import BATCH, Subject, as_vectors
from worker.ml.dataset_reader import EntryRow, PreparedDataset, Split
from worker.ml.face_finder import seventy_two
from worker.ml.metrics.embeddings import embedding_distances, mean_by_person, unit_length
from worker.ml.metrics.intervals import Integers, Numbers, mean_over_people
from worker.ml.metrics.landmarks import Points
from worker.ml.metrics.matching import Vectors

DRAWS = 3  # faces of each voice, for models that take noise
ENCODED_CLIPS, ENCODED_ENTRIES = 5, 10_000  # where nothing is drawn, more clips cost little
GUESS = "Every drawn face is a guess, made by a computer (AI-generated), and evidence of nobody's identity."
Step = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Shown:
    """A drawn face beside the true one, for the report: uint8 RGB `[S, S, 3]` both."""

    person: str
    true: Faces
    drawn: Faces


@dataclass
class Evaluation:
    """Everything that the report tells.

    Attributes:
        recalls: R@K by K, by who judged, for a chart.
        nearness: cosines to the own and to other people's true faces (or voices), by who judged, for a chart.
        shown: a few people, spread over the sample.
    """

    sample: Sample
    findings: Findings = field(default_factory=Findings)
    recalls: dict[str, dict[int, float]] = field(default_factory=dict)
    nearness: dict[str, tuple[Numbers, Numbers]] = field(default_factory=dict)
    shown: list[Shown] = field(default_factory=list)


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
    return _of_encoders(subject, partner, dataset, split, most_people, seed, step)


def _of_encoders(
    subject: Subject,
    partner: Subject | None,
    dataset: PreparedDataset,
    split: Split,
    most_people: int | None,
    seed: int,
    step: Step,
) -> Evaluation:
    if subject.takes != "voice":
        raise InvalidRequest(
            "invalid_recipe",
            f"{subject.version} embeds faces. Evaluate the encoder of voices, and name this one as its partner.",
        )
    if partner is not None:
        _check_partner(partner)
    sample = choose_sample(
        dataset, split, most_people=most_people, most_clips=ENCODED_CLIPS, most_entries=ENCODED_ENTRIES
    )
    result = Evaluation(sample)
    voices = as_vectors(_embedded(subject, dataset, sample.voices, step, "listening"))
    if partner is not None:
        faces = as_vectors(_embedded(partner, dataset, sample.faces, step, "looking at faces"))
        by = f"{subject.version} and {partner.version}"
    else:
        known = _dataset_embeddings(dataset, sample.faces)
        if known is None:
            raise InvalidRequest(
                "invalid_recipe",
                f"{subject.version} draws nothing, and the dataset keeps no embeddings of faces. Name the face "
                "encoder that it was trained with as its partner.",
            )
        faces, by = known, f"{subject.version} and the dataset's embeddings"
    if voices.shape[1] != faces.shape[1]:
        raise InvalidRequest(
            "invalid_recipe",
            f"Embeddings of voices have {voices.shape[1]} numbers and those of faces {faces.shape[1]}: these two "
            "were not trained together.",
        )
    _measure_embeddings(result, sample, sample.voice_people, voices, faces, seed, "", by, step)
    result.findings.notes.append(
        "Nothing was drawn: these numbers say how well voices and faces find each other, and nothing of pictures."
    )
    _say_what_was_taken(result, dataset, split)
    return result


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
    embeddings = _embedded(subject, dataset, inputs, step, "listening" if from_voice else "looking at faces")
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
            between=_between(step),
        )
        result.nearness[by] = _nearness(queries, targets, len(sample.people))
        step("measuring", 0, 1)
    if partner is not None:
        _by_its_partner(
            result, partner, dataset, sample, owners, drawn_owners, as_vectors(embeddings), drawn, seed, step
        )
        step("measuring", 0, 1)
    if from_voice:
        _in_its_own_space(result, subject, dataset, sample, owners, as_vectors(embeddings), seed, step)
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
    measure_likeness(result.findings, beside, seed=seed, weights=weights, between=_between(step))
    for row in beside.firsts[_spread(len(sample.people), shown)]:
        person = sample.people[drawn_owners[row]]
        result.shown.append(Shown(person.name, beside.true[row], drawn[row]))
    _say_what_was_taken(result, dataset, split, draws if subject.noise_length else 0)
    _say_what_judges_are(result.findings)
    return result


def _between(step: Step) -> Callable[[], None]:
    """Asks whether to go on, in the middle of what has no steps worth telling."""
    return lambda: step("measuring", 0, 1)


def _embedded(
    subject: Subject, dataset: PreparedDataset, entries: Sequence[EntryRow], step: Step, doing: str
) -> torch.Tensor:
    parts = []
    for start in range(0, len(entries), BATCH):
        step(doing, start, len(entries))
        parts.append(subject.embed(dataset, entries[start : start + BATCH]))
    step(doing, len(entries), len(entries))
    return torch.cat(parts)


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


def _by_its_partner(
    result: Evaluation,
    partner: Subject,
    dataset: PreparedDataset,
    sample: Sample,
    owners: Integers,
    drawn_owners: Integers,
    conditions: Vectors,
    drawn: Faces,
    seed: int,
    step: Step,
) -> None:
    """Drawn faces embedded by the face encoder that the voices were matched with: do they find voice and true face?"""
    _check_partner(partner)
    queries = Side(as_vectors(partner.embed_pictures(list(drawn))), drawn_owners)
    if queries.vectors.shape[1] != conditions.shape[1]:
        raise InvalidRequest(
            "invalid_recipe",
            f"{partner.version} was not trained together with this model's encoder of voices.",
        )
    result.findings.notes.append(
        f"Names that end in .partner are judged by {partner.version}. What was drawn was made to please it or its like."
    )
    for targets, directions in (
        (Side(conditions, owners), ("drawn_to_voice", "voice_to_drawn")),
        (
            Side(as_vectors(partner.embed(dataset, sample.faces)), sample.face_people),
            ("voice_to_face", "face_to_voice"),
        ),
    ):
        found = Findings()
        measure_finding(
            found,
            queries,
            targets,
            sample.groups,
            directions=directions,
            judge=".partner",
            by=partner.version,
            seed=seed,
            between=_between(step),
        )
        matching = {name: one for name, one in found.measures.items() if name.startswith("matching")}
        result.findings.measures.update(matching)


def _check_partner(partner: Subject) -> None:
    if partner.draws or partner.takes != "face":
        raise InvalidRequest(
            "invalid_recipe", f"{partner.version} is no encoder of faces, which a partner has to be."
        )


def _in_its_own_space(
    result: Evaluation,
    subject: Subject,
    dataset: PreparedDataset,
    sample: Sample,
    owners: Integers,
    embeddings: Vectors,
    seed: int,
    step: Step,
) -> None:
    """What Speech2Face measures: predicted features beside those of the true face."""
    known = _dataset_embeddings(dataset, sample.faces)
    if known is None or known.shape[1] != embeddings.shape[1] or not subject.embedding_space:
        reason = (
            "The dataset keeps no embeddings of faces."
            if known is None
            else f"The dataset's embeddings are not what {subject.version} predicts."
        )
        for name in ("embedding.*", "*.features"):
            result.findings.leave_out(name, reason)
        return
    by = f"{subject.embedding_space} features, predicted and of the true face"
    _measure_embeddings(result, sample, owners, embeddings, known, seed, ".features", by, step)


def _measure_embeddings(
    result: Evaluation,
    sample: Sample,
    owners: Integers,
    voices: Vectors,
    faces: Vectors,
    seed: int,
    ending: str,
    by: str,
    step: Step,
) -> None:
    queries, targets = Side(voices, owners), Side(faces, sample.face_people)
    result.recalls[by] = measure_finding(
        result.findings,
        queries,
        targets,
        sample.groups,
        directions=("voice_to_face", "face_to_voice"),
        judge=ending,
        by=by,
        seed=seed,
        between=_between(step),
    )
    own = mean_by_person(faces, sample.face_people, len(sample.people))[owners]
    for name, values in embedding_distances(voices, own).items():
        interval = mean_over_people(values, owners, seed=seed)
        result.findings.add(f"embedding.{name}", interval, "higher" if name == "cosine" else "lower", by=by)
    result.nearness[by] = _nearness(queries, targets, len(sample.people))


def _nearness(queries: Side, targets: Side, people: int) -> tuple[Numbers, Numbers]:
    """Cosines of each query to its own person, and to one other each."""
    gallery = mean_by_person(targets.vectors, targets.people, people)
    asked = unit_length(queries.vectors)
    seen = np.abs(asked).sum(axis=1) > 0
    asked, owners = asked[seen], queries.people[seen]
    own = (asked * gallery[owners]).sum(axis=1).astype(np.float64)
    other = (asked * gallery[(owners + 1) % people]).sum(axis=1).astype(np.float64)
    return own, other


def _dataset_embeddings(dataset: PreparedDataset, entries: Sequence[EntryRow]) -> Vectors | None:
    if any("embedding" not in entry.members for entry in entries):
        return None
    return np.stack([dataset.array(entry, "embedding") for entry in entries]).astype(np.float32)


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


def _say_what_was_taken(result: Evaluation, dataset: PreparedDataset, split: Split, draws: int = 0) -> None:
    # First in the report, before what single measures have to say.
    sample, later = result.sample, result.findings.notes
    notes = result.findings.notes = [GUESS]
    people = len(dataset.split(split))
    notes.append(
        f"{len(sample.people)} of the {people} people in the {split} part, with at most {sample.at_most} "
        f"recording{'s' if sample.at_most > 1 else ''} and as many pictures each, the first of each person. Intervals "
        "hold 95 % and are over people."
    )
    if draws:
        notes.append(
            f"The model takes noise: {draws} faces were drawn for each clip, each with noise of its own, and all count."
        )
    if split != "test":
        notes.append(
            f"These are people of the {split} part. What was trained or chosen on them flatters the model; only the "
            "test part tells how it does with strangers."
        )
    if len(sample.people) < 100:
        notes.append(
            f"There are only {len(sample.people)} people, so the intervals are wide: two models whose intervals "
            "overlap a good deal cannot be told apart here."
        )
    notes.append(
        "Published numbers stand beside ours for orientation. They are of other data, other galleries and other "
        "judges; each one's note says which. None of them was got under the conditions of this report."
    )
    notes += later


def _say_what_judges_are(findings: Findings) -> None:
    findings.notes.append(
        "Who a drawn face is like is judged by SFace, and apart from it by dlib's network (names that end in .dlib). A "
        "model that was trained against one of them may please that one more than a person would agree with."
    )
    findings.notes.append(
        "Gender and age are what a reader says of pictures. They are statements about pictures and about that reader, "
        "not about people; it knows two genders only, and its errors count as the model's."
    )
