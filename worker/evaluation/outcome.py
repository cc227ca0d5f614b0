"""What an evaluation has found so far, and what is said of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.evaluation.findings import Findings
from worker.evaluation.likeness import Faces
from worker.evaluation.sample import Sample
from worker.ml.dataset_reader import PreparedDataset, Split
from worker.ml.metrics.intervals import Numbers

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


def between(step: Step) -> Callable[[], None]:
    """Asks whether to go on, in the middle of what has no steps worth telling."""
    return lambda: step("measuring", 0, 1)


def say_what_was_taken(result: Evaluation, dataset: PreparedDataset, split: Split, draws: int = 0) -> None:
    """Notes on whom the numbers are about, before all other notes."""
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


def say_what_judges_are(findings: Findings) -> None:
    """Notes on what it means that networks judge drawn faces."""
    findings.notes.append(
        "Who a drawn face is like is judged by SFace, and apart from it by dlib's network (names that end in .dlib). A "
        "model that was trained against one of them may please that one more than a person would agree with."
    )
    findings.notes.append(
        "Gender and age are what a reader says of pictures. They are statements about pictures and about that reader, "
        "not about people; it knows two genders only, and its errors count as the model's."
    )
