"""Measures by embeddings: how encoders of voices and of faces find each other, and drawn faces in their space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from worker.evaluation.finding_each_other import Side, measure_finding
from worker.evaluation.findings import Findings
from worker.evaluation.likeness import Faces
from worker.evaluation.outcome import Evaluation, Step, between, say_what_was_taken
from worker.evaluation.request import InvalidRequest
from worker.evaluation.sample import Sample, choose_sample
from worker.evaluation.subject import BATCH, Subject, as_vectors
from worker.ml.dataset_reader import EntryRow, PreparedDataset, Split
from worker.ml.metrics.embeddings import embedding_distances, mean_by_person, unit_length
from worker.ml.metrics.intervals import Integers, Numbers, mean_over_people
from worker.ml.metrics.matching import Vectors

ENCODED_CLIPS, ENCODED_ENTRIES = 5, 10_000  # where nothing is drawn, more clips cost little


def measure_encoders(
    subject: Subject,
    partner: Subject | None,
    dataset: PreparedDataset,
    split: Split,
    most_people: int | None,
    seed: int,
    step: Step,
) -> Evaluation:
    """An encoder of voices beside its partner, or beside the dataset's embeddings of faces.

    Raises:
        InvalidRequest: nothing here embeds faces where this one embeds voices.
    """
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
    voices = as_vectors(embedded(subject, dataset, sample.voices, step, "listening"))
    if partner is not None:
        faces = as_vectors(embedded(partner, dataset, sample.faces, step, "looking at faces"))
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
    say_what_was_taken(result, dataset, split)
    return result


def embedded(
    subject: Subject, dataset: PreparedDataset, entries: Sequence[EntryRow], step: Step, doing: str
) -> torch.Tensor:
    """What the model's first half makes of entries, `[N, ...]`."""
    parts = []
    for start in range(0, len(entries), BATCH):
        step(doing, start, len(entries))
        parts.append(subject.embed(dataset, entries[start : start + BATCH]))
    step(doing, len(entries), len(entries))
    return torch.cat(parts)


def measure_by_partner(
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
            between=between(step),
        )
        matching = {name: one for name, one in found.measures.items() if name.startswith("matching")}
        result.findings.measures.update(matching)


def measure_in_own_space(
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


def _check_partner(partner: Subject) -> None:
    if partner.draws or partner.takes != "face":
        raise InvalidRequest(
            "invalid_recipe", f"{partner.version} is no encoder of faces, which a partner has to be."
        )


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
        between=between(step),
    )
    own = mean_by_person(faces, sample.face_people, len(sample.people))[owners]
    for name, values in embedding_distances(voices, own).items():
        interval = mean_over_people(values, owners, seed=seed)
        result.findings.add(f"embedding.{name}", interval, "higher" if name == "cosine" else "lower", by=by)
    result.nearness[by] = nearness(queries, targets, len(sample.people))


def nearness(queries: Side, targets: Side, people: int) -> tuple[Numbers, Numbers]:
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
