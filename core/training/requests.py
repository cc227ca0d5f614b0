"""Whether a training, an evaluation or an analysis can be carried out with what is here, told before anything runs.

Everything named is looked up and pinned to a version: what a name or an alias means tomorrow changes no job of today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.datasets.queries import get_dataset
from core.errors import InvalidRequest, NotFound
from core.ledger.tables import Alias, DatasetVersion, ModelVersion, User
from core.models.files import PAIR, SPEECH_TO_FACE
from core.models.registry import input_of, resolve_model
from core.training.specs import AnalyseSpec, EvaluateSpec, TrainSpec

Spec = TypeVar("Spec", TrainSpec, EvaluateSpec, AnalyseSpec)

# What each recipe reads of a dataset.
FEATURES: Mapping[str, tuple[str, ...]] = {
    "face_decoder": ("picture", "landmarks", "embedding"),
    "ve_conv": ("ve_conv", "embedding"),
    "ast": ("ast", "embedding"),
    "matching": ("waveform", "picture"),
    "gan": ("waveform", "picture"),
    "default": ("waveform", "picture"),
}
# Kinds of networks that each recipe can start from, and the half of a pair they are.
_PARENTS: Mapping[str, tuple[str, str | None]] = {
    "face_decoder": ("face_decoder", "decoder"),
    "ve_conv": ("ve_conv", "encoder"),
    "ast": ("ast", "encoder"),
    "matching": ("matching_speech_encoder", None),
    "gan": ("conditional_generator", "decoder"),
    "default": (SPEECH_TO_FACE, None),
}
# Names of what a training registers beside its model itself (docs/training.md).
MORE_NAMES: Mapping[str, tuple[str, ...]] = {
    "face_decoder": ("-decoder",),
    "ve_conv": ("-encoder",),
    "ast": ("-encoder",),
    "matching": ("-voice", "-face"),
    "gan": ("-generator", "-discriminator"),
    "default": (),
}
_HOW_TO_GET_THEM = "Prepare it again with these: voicesketch prepare --voice … --face …"


@dataclass(frozen=True)
class Problem:
    """Something that keeps a spec from being carried out. `field` is dotted, as in `recipe.face_encoder`."""

    field: str
    message: str


@dataclass
class _Checking:
    session: Session
    owner: User
    problems: list[Problem] = field(default_factory=list)
    pinned: dict[str, str] = field(default_factory=dict)  # dotted field -> label

    def problem(self, where: str, message: str) -> None:
        self.problems.append(Problem(where, message))

    def dataset(self, label: str, features: tuple[str, ...], splits: tuple[str, ...]) -> None:
        try:
            dataset = get_dataset(self.session, self.owner, label)
        except NotFound as error:
            self.problem("dataset", f"{error.message} See which there are: voicesketch datasets list")
            return
        self.pinned["dataset"] = dataset.label
        self._features(dataset, features)
        for split in splits:
            if not dataset.summary.get("by_split", {split: {"people": 1}}).get(split, {}).get("people", 0):
                self.problem("dataset", f"{dataset.label} has nobody in its {split} part.")

    def _features(self, dataset: DatasetVersion, features: tuple[str, ...]) -> None:
        there = dataset.summary.get("features")
        if there is None:  # prepared before features were counted: the program will see
            return
        if missing := [name for name in features if name not in there]:
            self.problem(
                "dataset",
                f"{dataset.label} has no {' and no '.join(missing)}. It has {', '.join(there) or 'nothing'}. "
                + _HOW_TO_GET_THEM,
            )

    def model(
        self, where: str, reference: str | None, suits: Callable[[ModelVersion], bool], wanted: str
    ) -> ModelVersion | None:
        if reference is None:
            return None
        try:
            version = resolve_model(self.session, reference)
        except (InvalidRequest, NotFound) as error:
            self.problem(where, error.message)
            return None
        if version.deleted_at is not None:
            self.problem(where, f"{version.label} was deleted. Name another version.")
            return None
        if not suits(version):
            self.problem(where, f"{version.label} is {_what(version)}; here {wanted} is needed.")
            return None
        self.pinned[where] = version.label
        return version


def check_spec(
    session: Session, owner: User, spec: TrainSpec | EvaluateSpec | AnalyseSpec
) -> tuple[TrainSpec | EvaluateSpec | AnalyseSpec, list[Problem]]:
    """The spec with versions in place of names, and what keeps it from being carried out."""
    if isinstance(spec, TrainSpec):
        return check_training(session, owner, spec)
    if isinstance(spec, EvaluateSpec):
        return check_evaluation(session, owner, spec)
    return check_analysis(session, owner, spec)


def check_training(session: Session, owner: User, spec: TrainSpec) -> tuple[TrainSpec, list[Problem]]:
    """As `check_spec`."""
    checking = _Checking(session, owner)
    recipe = spec.recipe
    splits = ("train", spec.after.split) if spec.after.evaluate else ("train",)
    checking.dataset(spec.dataset, FEATURES[recipe.task], splits)
    face = checking.model(
        "recipe.face_encoder", getattr(recipe, "face_encoder", None), _is_face_encoder, "an encoder of faces"
    )
    decoder = checking.model(
        "recipe.face_decoder",
        getattr(recipe, "face_decoder", None),
        lambda version: version.config.get("kind") == "face_decoder",
        "a face decoder",
    )
    checking.model(
        "recipe.backbone",
        getattr(recipe, "backbone", None),
        lambda version: version.config.get("kind") == "ast",
        "an AST",
    )
    checking.model(
        "recipe.voice_encoder",
        getattr(recipe, "voice_encoder", None),
        _is_voice_encoder,
        "an encoder of voices",
    )
    if face is not None and decoder is not None and _length(face) != _length(decoder):
        checking.problem(
            "recipe.face_decoder",
            f"{decoder.label} draws from embeddings of {_length(decoder)} numbers, and {face.label} makes them of "
            f"{_length(face)}. Name two that fit.",
        )
    kind, half = _PARENTS[recipe.task]
    checking.model(
        "parent",
        spec.parent,
        lambda version: kind in (version.config.get("kind"), _kind_of_half(session, version, half)),
        f"a network of the kind {kind}" + (", alone or in a pair" if half else ""),
    )
    _check_names(checking, spec)
    if spec.after.promote and not (spec.after.evaluate and spec.after.gate):
        checking.problem(
            "after.promote", "A model is promoted through a gate, which needs an evaluation: ask for both."
        )
    return _pinned(spec, checking.pinned), checking.problems


def check_evaluation(session: Session, owner: User, spec: EvaluateSpec) -> tuple[EvaluateSpec, list[Problem]]:
    """As `check_spec`."""
    checking = _Checking(session, owner)
    checking.dataset(spec.dataset, (), (spec.split,))
    wanted = "a model that draws, or an encoder of voices with its partner,"
    model = checking.model(
        "model",
        spec.model,
        lambda version: input_of(version) is not None or _is_voice_encoder(version),
        wanted,
    )
    if model is not None and input_of(model) is None and spec.partner is None:
        checking.problem(
            "partner",
            f"{model.label} draws nothing by itself. Name the encoder of faces that it was trained with "
            "(--partner), or a pair.",
        )
    checking.model("partner", spec.partner, _is_face_encoder, "an encoder of faces")
    return _pinned(spec, checking.pinned), checking.problems


def check_analysis(session: Session, owner: User, spec: AnalyseSpec) -> tuple[AnalyseSpec, list[Problem]]:
    """As `check_spec`."""
    checking = _Checking(session, owner)
    checking.dataset(spec.dataset, (), (spec.split,))
    checking.model(
        "model", spec.model, lambda version: input_of(version) == "voice", "a model that draws from voices"
    )
    return _pinned(spec, checking.pinned), checking.problems


def model_references(spec: TrainSpec | EvaluateSpec | AnalyseSpec) -> dict[str, str]:
    """Every model that a spec names, by its field."""
    if isinstance(spec, TrainSpec):
        fields = ("face_encoder", "face_decoder", "backbone", "voice_encoder")
        named = {name: getattr(spec.recipe, name, None) for name in fields} | {"parent": spec.parent}
    else:
        named = {"model": spec.model, "partner": getattr(spec, "partner", None)}
    return {name: reference for name, reference in named.items() if reference is not None}


def model_names(spec: TrainSpec) -> list[str]:
    """Every name under which a training registers something; the model's own comes first."""
    return [spec.model, *(spec.model + ending for ending in MORE_NAMES[spec.recipe.task])]


def _check_names(checking: _Checking, spec: TrainSpec) -> None:
    names = model_names(spec)
    taken = checking.session.scalars(select(Alias.name).where(Alias.name.in_(names))).all()
    for name in taken:
        checking.problem(
            "model", f"{name!r} is an alias, which points at models. Choose another name for the new model."
        )


def _pinned(spec: Spec, labels: Mapping[str, str]) -> Spec:
    values: dict[str, Any] = spec.model_dump(mode="json")
    for where, label in labels.items():
        *parts, last = where.split(".")
        into = values
        for part in parts:
            into = into[part]
        into[last] = label
    return type(spec).model_validate(values)


def _is_face_encoder(version: ModelVersion) -> bool:
    return version.config.get("part") == "encoder" and version.config.get("input") == "face"


def _is_voice_encoder(version: ModelVersion) -> bool:
    return version.config.get("part") == "encoder" and version.config.get("input") == "voice"


def _length(version: ModelVersion) -> object:
    return version.config.get("config", {}).get("embedding_length")


def _kind_of_half(session: Session, version: ModelVersion, half: str | None) -> str | None:
    """What a pair has as its encoder or decoder; the pair's row names the version."""
    label = version.config.get(half) if half and version.config.get("kind") == PAIR else None
    if not isinstance(label, str):
        return None
    name, _, number = label.partition("@")
    found = session.scalar(
        select(ModelVersion).where(ModelVersion.name == name, ModelVersion.version == int(number or 0))
    )
    kind = found.config.get("kind") if found is not None else None
    return kind if isinstance(kind, str) else None


def _what(version: ModelVersion) -> str:
    kind = version.config.get("kind", SPEECH_TO_FACE)
    if kind == PAIR:
        return "a pair of networks"
    if kind == SPEECH_TO_FACE:
        return "a whole model that draws from voices"
    return f"a network of the kind {kind}"
