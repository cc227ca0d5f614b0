"""What a training, an evaluation or an analysis is asked to do, as checked data.

A wrong value is refused before anything runs.

One class a task. Defaults are the corrected recipes; `core/training/presets.py` has the originals' beside them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.specs import DATASET_NAME
from core.training.parts import (
    Augmentation,
    Compat,
    Loop,
    Machine,
    ModelReference,
    Optimiser,
    Pairing,
    Part,
    Schedule,
    Size,
    Sizes,
    TermWeights,
)


def _sizes_without(sizes: dict[str, Size], name: str, instead: str) -> None:
    if name in sizes:
        raise ValueError(f"sizes cannot hold {name}: it is {instead}")


def _voice_terms_teach(weights: tuple[float, float, float] | None) -> None:
    if weights is not None and not any(weights):
        raise ValueError("with all three weights at 0 nothing would be learnt")


def _pairing_of_the_original(pairing: Pairing, compat: Compat) -> None:
    if compat == "original" and pairing.face != "first":
        raise ValueError("the original pairs voices with the first face; set pairing.face to first")


_BACKBONE_SIZES = {"width", "depth", "heads", "mlp_width", "patch_size", "stride", "frames", "mel_bands"}


class FaceDecoderTask(Part):
    """FaceDecoder: embeddings of faces to landmarks and texture. Needs pictures, landmarks and embeddings."""

    task: Literal["face_decoder"] = "face_decoder"
    loop: Loop = Loop(epochs=1000, batch=16)
    face_encoder: ModelReference | None = Field(
        "vgg_face",
        description="The face encoder that made the embeddings, for the identity term and for mirrored faces.",
    )
    landmarks_weight: float = Field(1.0, ge=0)
    texture_weight: float = Field(100.0, ge=0)
    identity_weight: float = Field(100.0, ge=0)
    warp: bool = Field(False, description="Textures in the frame of the mean landmarks, warped when drawn.")
    sizes: Sizes = Field(default_factory=dict, description="Of the network, where they differ from its own.")
    augmentation: Augmentation = Augmentation()
    compat: Compat = None

    @model_validator(mode="after")
    def _terms_can_be_computed(self) -> Self:
        if self.landmarks_weight == self.texture_weight == self.identity_weight == 0:
            raise ValueError("with all three weights at 0 nothing would be learnt")
        if self.face_encoder is None and self.identity_weight > 0:
            raise ValueError("the identity term needs a face_encoder; name one, or set identity_weight to 0")
        if self.face_encoder is None and self.augmentation.flip:
            raise ValueError(
                "mirrored faces need embeddings of their own, so a face_encoder; "
                "name one, or set augmentation.flip to false"
            )
        if self.compat == "original" and self.warp:
            raise ValueError("the original has no warp; leave out warp or compat")
        _sizes_without(self.sizes, "warp", "recipe.warp")
        return self


class VEConvTask(Part):
    """VE_conv: spectrograms to embeddings of faces. Needs `ve_conv` features and embeddings."""

    task: Literal["ve_conv"] = "ve_conv"
    loop: Loop = Loop(epochs=100, batch=4, optimiser=Optimiser(betas=(0.5, 0.999), eps=1e-4))
    face_encoder: ModelReference = "vgg_face"
    face_decoder: ModelReference = "face_decoder"
    weights: TermWeights | None = Field(
        None, description="Of the base, encoder and decoder terms; left out: the original script's, rescaled."
    )
    pairing: Pairing = Pairing()
    sizes: Sizes = Field(default_factory=dict, description="Of the network, where they differ from its own.")
    augmentation: Augmentation = Augmentation()
    compat: Compat = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _voice_terms_teach(self.weights)
        _pairing_of_the_original(self.pairing, self.compat)
        return self


class ASTTask(Part):
    """AST: first its head alone, then, where asked for, the rest. Needs `ast` features and embeddings."""

    task: Literal["ast"] = "ast"
    loop: Loop = Field(
        Loop(epochs=100, batch=8, optimiser=Optimiser(learning_rate=1e-4)), description="Of the head."
    )
    fine_tune: Loop | None = Field(None, description="Of the rest, afterwards.")
    unfreeze: int = Field(
        -1, ge=-1, description="Tensors that stay frozen in fine-tuning, counted from the first; -1: none."
    )
    backbone: ModelReference | None = Field(
        None, description="A registered AST to start from; else random weights."
    )
    face_encoder: ModelReference = "vgg_face"
    face_decoder: ModelReference = "face_decoder"
    weights: TermWeights | None = None
    pairing: Pairing = Pairing()
    sizes: Sizes = Field(default_factory=dict, description="Of the network, where they differ from its own.")
    augmentation: Augmentation = Augmentation()
    compat: Compat = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _voice_terms_teach(self.weights)
        _pairing_of_the_original(self.pairing, self.compat)
        if self.unfreeze != -1 and self.fine_tune is None:
            raise ValueError("unfreeze says what fine-tuning leaves alone, so it needs fine_tune")
        if self.backbone is not None and self.sizes.keys() & _BACKBONE_SIZES:
            raise ValueError("the transformer has the backbone's sizes; leave out backbone or those sizes")
        return self


class MatchingTask(Part):
    """Speech encoder and face encoder that find each other. Needs waveforms and pictures; no labels."""

    task: Literal["matching"] = "matching"
    loop: Loop = Loop(epochs=100, batch=64, optimiser=Optimiser(learning_rate=1e-4))
    negatives: int | None = Field(None, ge=1, description="Sampled from the batch; all of it when left out.")
    mix: Literal["any", "balanced", "same"] = "any"
    group: str | None = Field(
        None, max_length=40, description="The attribute that mixes go by, such as gender."
    )
    distance_weight: float = Field(0.0, ge=0)
    features: Literal["raw", "pretrained"] = Field(
        "raw",
        description="raw: both encoders learn from waveforms and pictures. pretrained: only heads are learnt, on what "
        "voice_encoder and face_encoder make of them.",
    )
    voice_encoder: ModelReference | None = Field(
        None, description="Of pretrained: left out, the voice encoder of the default model."
    )
    face_encoder: ModelReference | None = Field(
        None,
        description="Of pretrained: left out, faces are learnt from pictures. Of raw: the weights to start from.",
    )
    clip_seconds: float = Field(6.0, ge=0.5, le=60)
    sizes: Sizes = Field(default_factory=dict, description="Of the network, where they differ from its own.")
    face_sizes: Sizes = Field(default_factory=dict, description="Of the face encoder or its head.")
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _negatives_can_be_chosen(self) -> Self:
        if self.mix != "any" and self.group is None:
            raise ValueError(
                f"negatives that are {self.mix} need a group: the name of an attribute, such as gender"
            )
        if self.mix == "any" and self.group is not None:
            raise ValueError("group is used by the mixes balanced and same; set mix, or leave out group")
        if self.mix == "balanced" and self.negatives is None:
            raise ValueError("balanced negatives are drawn, so negatives must say how many")
        if self.negatives is not None and self.negatives >= self.loop.batch:
            raise ValueError(
                f"a batch of {self.loop.batch} has {self.loop.batch - 1} negatives; "
                f"ask for no more of them, or for a larger batch"
            )
        return self

    @model_validator(mode="after")
    def _encoders_fit_together(self) -> Self:
        if self.features == "raw" and self.voice_encoder is not None:
            raise ValueError('voice_encoder is used by features "pretrained" alone')
        lengths = [sizes.get("embedding_length", 128) for sizes in (self.sizes, self.face_sizes)]
        if self.features == "raw" and lengths[0] != lengths[1]:
            raise ValueError(
                f"voices would have {lengths[0]} numbers and faces {lengths[1]}: "
                "sizes and face_sizes need the same embedding_length"
            )
        _sizes_without(self.sizes, "clip_seconds", "recipe.clip_seconds")
        return self


class GanTask(Part):
    """Conditional GAN on a frozen voice encoder. Needs waveforms and pictures."""

    task: Literal["gan"] = "gan"
    loop: Loop = Loop(epochs=200, batch=64, optimiser=Optimiser(name="rmsprop", learning_rate=1e-4))
    voice_encoder: ModelReference = Field(
        "matching-voice", description="Frozen; its embeddings are the condition."
    )
    face_encoder: ModelReference | None = Field(
        None, description="Whose trunk the discriminator starts from."
    )
    objective: Literal["relativistic", "relativistic_average", "standard", "hinge"] = "relativistic"
    identity_weight: float = Field(1.0, ge=0)
    r1_weight: float = Field(10.0, ge=0)
    condition: Literal["voice", "noise"] = "voice"
    average: float | None = Field(
        0.999, gt=0, lt=1, description="Of the generator's moving average; it draws all samples."
    )
    discriminator_steps: int = Field(1, ge=1, le=10)
    sizes: Sizes = Field(default_factory=dict, description="Of the network, where they differ from its own.")
    discriminator_sizes: Sizes = Field(default_factory=dict, description="Of the discriminator.")
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _game_can_be_played(self) -> Self:
        if self.condition == "noise" and self.identity_weight > 0:
            raise ValueError("noise has no identity: with condition noise, identity_weight must be 0")
        if self.face_encoder is not None and self.discriminator_sizes:
            raise ValueError(
                "the discriminator starts from the face encoder and has its sizes; "
                "leave out face_encoder or discriminator_sizes"
            )
        for sizes in (self.sizes, self.discriminator_sizes):
            _sizes_without(sizes, "embedding_length", "the voice encoder's")
        _sizes_without(self.discriminator_sizes, "image_size", "the generator's")
        return self


class DefaultModelTask(Part):
    """The default model: a pretrained voice encoder, a head, and a morphable face. Needs waveforms and pictures.

    Pictures are to show faces from the front, on white. With a parent its face space is kept, and only what voices say
    of faces is fitted anew.
    """

    task: Literal["default"] = "default"
    loop: Loop = Loop(
        epochs=4, batch=16, optimiser=Optimiser(learning_rate=4e-3), schedule=Schedule(kind="cosine")
    )
    latent: int = Field(96, ge=4, le=512, description="Directions of face space.")
    hidden: int = Field(256, ge=1, le=4096, description="Width of the head's small network.")
    lean_ridge: float = Field(3.0, gt=0, description="Of whether a voice is a man's or a woman's.")
    lean_gain: float = Field(6.0, gt=0, le=100, description="How steeply that saturates.")
    lean_share: float = Field(
        0.35, ge=0, le=1, description="How much of what makes a face distinct tells men from women."
    )
    lean_reach: float = Field(
        1.5, ge=0, le=3, description="The same of what is filled in; 1: as average men and women differ."
    )
    ridge: float = Field(8.0, gt=0, description="Of where voices point in the face recogniser's space.")
    latent_ridge: float = Field(12.0, gt=0, description="Of what voices say of face space directly.")
    distinctness: float = Field(
        1.0, gt=0, le=3, description="How far faces lie from the average one; 1: as far as real ones."
    )
    filled_in: float = Field(
        4.5, ge=0, le=20, description="Length of the rest that is filled in; real faces have about 8."
    )
    strain_weight: float = Field(
        0.01, ge=0, description="How dear it is to move a face for the recogniser's sake."
    )
    glances: bool = Field(
        True, description="Show faces to the recogniser in changing light, colour, sharpness and place."
    )


Task = Annotated[
    FaceDecoderTask | VEConvTask | ASTTask | MatchingTask | GanTask | DefaultModelTask,
    Field(discriminator="task"),
]


class Gate(Part):
    """What a new version must not be worse in than the one it would replace, by more than its interval."""

    metric: str = Field("matching.voice_to_face.2", max_length=120)
    alias: str = Field("production", max_length=80)


class AfterTraining(Part):
    """What becomes of the trained model. It is always registered."""

    evaluate: bool = True
    split: Literal["validation", "test"] = "test"
    gate: Gate | None = Gate()
    promote: bool = Field(False, description="Move the gate's alias once the gate is passed.")


class TrainSpec(Part):
    """Train a model on a dataset version, and register it."""

    kind: Literal["train"] = "train"
    model: str = Field(
        pattern=DATASET_NAME, max_length=60, description="Its name; the version follows by itself."
    )
    dataset: str = Field(min_length=1, max_length=160, description="A dataset, or dataset@version.")
    recipe: Task
    machine: Machine = Machine()
    parent: ModelReference | None = Field(None, description="A version of the same networks to start from.")
    after: AfterTraining = AfterTraining()


class EvaluateSpec(Part):
    """Measure a model on a part of a dataset version."""

    kind: Literal["evaluate"] = "evaluate"
    model: ModelReference
    partner: ModelReference | None = Field(
        None, description="The face encoder that a voice encoder was trained with, to measure the two alone."
    )
    dataset: str = Field(min_length=1, max_length=160)
    split: Literal["train", "validation", "test"] = "test"
    most_people: int | None = Field(None, ge=2, description="The first so many, for a quick look.")
    seed: int = Field(0, ge=0, le=2**31 - 1)


Analysis = Literal["same_noise", "same_voice", "voice_path", "noise_path", "sensitivity", "correlation"]
ANALYSES: tuple[Analysis, ...] = (
    "same_noise",
    "same_voice",
    "voice_path",
    "noise_path",
    "sensitivity",
    "correlation",
)


class AnalyseSpec(Part):
    """Show what a model makes of the voice and what of the noise."""

    kind: Literal["analyse"] = "analyse"
    model: ModelReference
    dataset: str = Field(min_length=1, max_length=160)
    split: Literal["train", "validation", "test"] = "test"
    analyses: tuple[Analysis, ...] = Field(ANALYSES, min_length=1)
    voices: int = Field(8, ge=2, le=200)
    noises: int = Field(8, ge=2, le=64)
    seed: int = Field(0, ge=0, le=2**31 - 1)
