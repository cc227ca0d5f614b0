"""What a dataset and a recipe must have before the first step, each with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence

from core.training.parts import Loop
from core.training.specs import TrainSpec
from worker.ml.dataset_reader import EntryRow, PreparedDataset, Side, Split
from worker.ml.errors import DatasetError, RecipeError
from worker.ml.networks.pretrained import Encoder

_MADE_BY = {
    "ve_conv": "--voice ve_conv",
    "ast": "--voice ast",
    "waveform": "--voice waveform",
    "picture": "--face picture",
    "landmarks": "--face picture,landmarks",
    "embedding": "--face embedding --face-encoder MODEL",
}


def lacking(message: str) -> DatasetError:
    """The dataset does not hold what the task needs."""
    return DatasetError("dataset_mismatch", message)


def has(dataset: PreparedDataset, side: Side, what: str) -> bool:
    """Whether every entry of a side has a member; a dataset without any entry there has nothing."""
    entries = [entry for entry in dataset.entries if entry.side == side]
    return bool(entries) and all(what in entry.members for entry in entries)


def need(dataset: PreparedDataset, side: Side, what: str) -> None:
    """Refuse a dataset without these members."""
    if not has(dataset, side, what):
        raise lacking(
            f"The dataset has no {what} of its {side}s, which this training needs. "
            f"Prepare it again with {_MADE_BY[what]}."
        )


def entries_of(dataset: PreparedDataset, side: Side, split: Split) -> list[EntryRow]:
    """All entries of a side in a part, in the order of the dataset."""
    return [entry for entry in dataset.entries if entry.side == side and entry.split == split]


def embedding_length(dataset: PreparedDataset) -> int:
    """Of the embeddings of faces that the dataset holds."""
    shape: Sequence[int] = dataset.description["features"]["embedding"]["shape"]
    return int(shape[0])


def embedding_space(dataset: PreparedDataset) -> str:
    """What the dataset's embeddings of faces mean; empty where nobody knows, as for arrays made elsewhere."""
    encoder = dataset.description.get("face_encoder") or {}
    return str(encoder.get("embedding_space", ""))


def check_teacher(dataset: PreparedDataset, encoder: Encoder) -> None:
    """Refuse a face encoder that did not make the dataset's embeddings."""
    length, space = embedding_length(dataset), embedding_space(dataset)
    name = encoder.identity.version
    if encoder.embedding_length != length:
        raise lacking(
            f"The dataset's embeddings have {length} numbers and those of {name} have {encoder.embedding_length}. "
            f"Prepare the dataset with {name}, or train with the face encoder that made it."
        )
    if space and encoder.embedding_space and space != encoder.embedding_space:
        raise lacking(
            f"The dataset's embeddings are of the space {space} and {name} speaks {encoder.embedding_space}. "
            f"Prepare the dataset with {name}, or train with the face encoder that made it."
        )


def check_amount(samples: int, loop: Loop, spec: TrainSpec, what: str) -> None:
    """Refuse a training of which not one batch could be filled, or whose processes would get single samples."""
    if samples < loop.batch:
        raise lacking(
            f"A batch takes {loop.batch} {what} and the dataset's train part has {samples}. "
            "Lower the loop's batch, or prepare more data."
        )
    processes = spec.machine.processes * spec.machine.hosts
    if loop.batch % processes or loop.batch // processes < 2:
        raise RecipeError(
            f"A batch of {loop.batch} cannot be shared out evenly to {processes} processes with two "
            "samples each at least. Choose a batch that is a multiple of the processes."
        )


def group_numbers(dataset: PreparedDataset, attribute: str) -> dict[str, int]:
    """For each person a number of the group they are in, by an attribute; those of whom it is not known share one."""
    known = {person.attributes.get(attribute, "") for person in dataset.people.values()}
    if not known - {""}:
        names = sorted({name for person in dataset.people.values() for name in person.attributes})
        raise lacking(
            f"Nobody in the dataset has the attribute {attribute!r}; there are {', '.join(names) or 'none'}. "
            "Name another group, or prepare the dataset with a manifest that tells it."
        )
    numbers = {value: number for number, value in enumerate(sorted(known))}
    return {name: numbers[person.attributes.get(attribute, "")] for name, person in dataset.people.items()}
