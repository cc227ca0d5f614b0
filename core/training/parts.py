"""What recipes of trainings are made of: optimiser, schedule and loop, machine, augmentation, pairing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ModelReference = Annotated[str, Field(min_length=1, max_length=160)]
Compat = Literal["original"] | None
Size = bool | int | float | str | tuple[bool, ...] | tuple[int, ...]
Sizes = dict[str, Size]
TermWeights = tuple[
    Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]
]


class Part(BaseModel):
    """A wrong name is as wrong as a wrong value."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Optimiser(Part):
    """How weights follow gradients."""

    name: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0, le=1)
    betas: tuple[float, float] = Field((0.9, 0.999), description="Of Adam; the first is the momentum of SGD.")
    eps: float = Field(1e-8, gt=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _betas_are_shares(self) -> Self:
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("betas lie between 0 and 1")
        return self


class Schedule(Part):
    """How the learning rate goes over a phase."""

    kind: Literal["constant", "cosine", "exponential", "steps"] = "constant"
    warmup_steps: int = Field(0, ge=0, description="Over which it rises from 0.")
    final: float = Field(
        0.01, ge=0, le=1, description="Of cosine and exponential: the share left at the end."
    )
    every_steps: int = Field(10_000, ge=1, description="Of steps: how often it falls.")
    factor: float = Field(0.95, gt=0, le=1, description="Of steps: what it is multiplied by.")


class Loop(Part):
    """One phase of a training."""

    epochs: int = Field(20, ge=1, le=100_000)
    max_steps: int | None = Field(None, ge=1, description="Ends the phase earlier than its epochs would.")
    batch: int = Field(16, ge=2, le=65_536, description="Samples in a step, over all processes.")
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    clip_norm: float | None = Field(None, gt=0, description="Longest gradient; longer ones are shortened.")
    patience: int | None = Field(
        None, ge=1, description="Validations in a row without a better one after which the phase ends early."
    )


class Machine(Part):
    """How it is run. Nothing here, but precision and seed, changes what is learnt."""

    seed: int = Field(0, ge=0, le=2**31 - 1)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    processes: int = Field(1, ge=1, le=64, description="On one host; more than one are started by torchrun.")
    hosts: int = Field(
        1, ge=1, le=64, description="The worker's, and those that follow it (docs/training.md)."
    )
    loader_threads: int = Field(4, ge=1, le=64)
    deterministic: bool = Field(True, description="Only algorithms that give the same bits every time.")
    checkpoint_minutes: float = Field(10.0, gt=0, description="Between checkpoints, besides one an epoch.")
    validate_epochs: int = Field(1, ge=1, description="Epochs from one validation to the next.")
    sample_pictures: int = Field(8, ge=0, le=64, description="Drawn after each validation.")
    log_steps: int = Field(10, ge=1, description="Steps from one point of the curves to the next.")
    wall_hours: float | None = Field(
        None, gt=0, description="Longest run; after it a checkpoint is left and it fails."
    )
    memory_gib: float | None = Field(None, gt=0, description="Most memory of all its processes together.")


class Augmentation(Part):
    """Changes of training samples, drawn anew every time. Each task uses those that make sense for it."""

    flip: bool = Field(True, description="Mirror faces, with their landmarks.")
    crop: bool = Field(True, description="Another stretch of the voice every time, where there is more.")
    gain_db: float = Field(0.0, ge=0, le=20, description="Louder or softer by up to this.")
    noise_db: float | None = Field(None, ge=0, le=80, description="White noise this far below the voice.")
    time_masks: int = Field(0, ge=0, le=10, description="SpecAugment: stretches of time blanked.")
    time_mask_share: float = Field(0.1, ge=0, le=0.5, description="Longest of them, as a share of the clip.")
    band_masks: int = Field(0, ge=0, le=10, description="SpecAugment: runs of frequency bands blanked.")
    band_mask_share: float = Field(0.1, ge=0, le=0.5)
    brightness: float = Field(0.0, ge=0, le=0.5, description="Of faces, up or down by up to this share.")


class Pairing(Part):
    """Which voice goes with which face of a person."""

    rule: Literal["all_to_all", "one_to_one", "all_to_one"] = "all_to_one"
    most: int | None = Field(None, ge=1, description="Of all_to_one: voices of one person, at most.")
    face: Literal["first", "mean", "random"] = Field("mean", description="Of all_to_one.")

    @model_validator(mode="after")
    def _most_belongs_to_all_to_one(self) -> Self:
        if self.most is not None and self.rule != "all_to_one":
            raise ValueError(f"most is for the rule all_to_one alone, and the rule is {self.rule}")
        return self
