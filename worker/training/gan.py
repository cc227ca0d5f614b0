"""A conditional GAN on a frozen voice encoder: the generator draws from a voice and noise, the discriminator judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from core.training.specs import GanTask, TrainSpec
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.errors import RecipeError
from worker.ml.losses.adversarial import (
    AdversarialTerms,
    discriminator_loss,
    generator_loss,
    other_identities,
    r1_penalty,
)
from worker.ml.networks.conditional_generator import ConditionalGenerator
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder
from worker.ml.networks.projection_discriminator import ProjectionDiscriminator
from worker.ml.training.task import Batch, Panel, Phase, Player, Source, Task, Terms, World
from worker.training.checks import check_amount, entries_of, need
from worker.training.faces import as_faces, as_pictures, embedder
from worker.training.frozen_features import FrozenFeatures, voice_views
from worker.training.matching_accuracy import accuracies
from worker.training.networks import encoder_of, fresh_network, load_model, phase_of, seeded, start_from
from worker.training.sources import MatchingSource, Pictures, face_reader, people_with_both

DISCRIMINATOR, GENERATOR = "discriminator", "generator"
_NOISES_SHOWN = 4
_COARSE = 8  # side of the pictures that faces are compared by where no face encoder is at hand


def build_task(
    spec: TrainSpec, dataset: PreparedDataset, models: Mapping[str, Path], device: str
) -> tuple[Task, tuple[Phase, ...]]:
    """See `worker.training.build_task`."""
    recipe = spec.recipe
    assert isinstance(recipe, GanTask)
    return GanTraining(spec, recipe, dataset, models), (phase_of("training", recipe.loop),)


class GanTraining(Task):
    """See `core.training.specs.GanTask`.

    Conditions are worked out once: the voice encoder never changes. Losses rise and fall with the opponent and say
    little, so the best checkpoint is the one whose faces are distributed most like real ones (`kernel_distance`).
    """

    best_by = "kernel_distance"

    def __init__(
        self, spec: TrainSpec, recipe: GanTask, dataset: PreparedDataset, models: Mapping[str, Path]
    ) -> None:
        need(dataset, "voice", "waveform")
        need(dataset, "face", "picture")
        self._spec, self._recipe, self._dataset = spec, recipe, dataset
        # A row against the mean of the others is another comparison in half a batch.
        self.separable = recipe.objective != "relativistic_average"
        self._people = people_with_both(dataset, "train")
        self._unheard = people_with_both(dataset, "validation")
        check_amount(len(self._people), recipe.loop, spec, "people")
        self._pictures = Pictures(dataset)
        self._voice = encoder_of(models, recipe.voice_encoder, "cpu", "voice")
        self._face: MatchingFaceEncoder | None = None
        if recipe.face_encoder is not None:
            self._face = load_model(
                models, recipe.face_encoder, "cpu", MatchingFaceEncoder, "the face encoder"
            )
            self._embed = embedder(self._face)
        self._generator = self._begun_generator(models)
        self._discriminator = self._begun_discriminator()
        self.players = (
            Player(DISCRIMINATOR, self._discriminator, updates=recipe.discriminator_steps),
            Player(GENERATOR, self._generator, average=recipe.average),
        )
        self.frozen = (self._voice,) if self._face is None else (self._voice, self._face)

    def begin(self, world: World) -> None:
        """Works out the conditions."""
        super().begin(world)
        entries = [
            *entries_of(self._dataset, "voice", "train"),
            *entries_of(self._dataset, "voice", "validation"),
        ]
        said = (self._dataset.sha256, self._spec.machine.seed, self._recipe.augmentation)
        views = voice_views(self._dataset, self._recipe.augmentation, self._spec.machine.seed)
        self._conditions = FrozenFeatures(
            self._voice,
            entries,
            views,
            world,
            said=said,
        )

    def sources(self, phase: str, epoch: int) -> tuple[Source, Source | None]:
        read_face = face_reader(self._pictures, self._recipe.augmentation)

        def source(train: bool) -> MatchingSource:
            people = self._people if train else self._unheard
            return MatchingSource(self._dataset, people, self._conditions.read, read_face, {}, train=train)

        return source(True), source(False) if self._unheard else None

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        conditions = self._condition(batch, random)
        others = self._others(batch, conditions, random)
        noise = self._generator.noise(len(conditions), random)
        real = self._real(batch)
        if player == DISCRIMINATOR:
            return self._discriminator_terms(real, conditions, others, noise)
        with _left_alone(self._discriminator):
            terms = self._generator_terms(real, conditions, others, noise)
        return Terms(terms.total, {"adversarial": terms.adversarial, "identity": terms.identity})

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        conditions = self._condition(batch, random)
        others = self._others(batch, conditions, random)
        real = self._real(batch)
        noise = self._generator.noise(len(conditions), random)
        drawn = self._generator(noise, conditions)
        values = {
            "kernel_distance": _kernel_distance(self._seen(real), self._seen(drawn)),
            "total": float(self._generator_terms(real, conditions, others, noise).total),
            "real_score": float(self._discriminator(real, conditions).mean()),
            "drawn_score": float(self._discriminator(drawn, conditions).mean()),
        }
        # The same voice with two noises, and the same noise with two voices: what each of them changes.
        again = self._generator(self._generator.noise(len(conditions), random), conditions)
        elsewhere = self._generator(noise, conditions.roll(1, dims=0))
        values["changed_by_noise"] = float((again - drawn).abs().mean())
        values["changed_by_voice"] = float((elsewhere - drawn).abs().mean())
        if self._face is not None and self._speaks_alike():
            faces = self._embed((drawn + 1) / 2).float()
            values |= {
                f"drawn.{name}": value
                for name, value in accuracies(conditions.float() @ faces.T, batch["identity"]).items()
            }
        return values

    def panels(self, batch: Batch, random: torch.Generator) -> Sequence[Panel]:
        """The photograph, and the same voice with several noises; the same noise down each column."""
        conditions = self._condition(batch, random)
        columns = [as_pictures((self._real(batch) + 1) / 2)]
        for _ in range(_NOISES_SHOWN):
            noise = self._generator.noise(1, random).expand(len(conditions), -1)
            columns.append(as_pictures((self._generator(noise, conditions) + 1) / 2))
        titles = ("photograph", *(f"noise {number + 1}" for number in range(_NOISES_SHOWN)))
        return [Panel(row, titles) for row in zip(*columns, strict=True)]

    def export(self, folder: Path) -> Mapping[str, str]:
        for role, network in ((GENERATOR, self._generator), (DISCRIMINATOR, self._discriminator)):
            network.save_pretrained(folder / role, name=f"{self._spec.model}-{role}", revision=1)
        return {GENERATOR: GENERATOR, DISCRIMINATOR: DISCRIMINATOR}

    def _discriminator_terms(
        self, real: torch.Tensor, conditions: torch.Tensor, others: torch.Tensor, noise: torch.Tensor
    ) -> Terms:
        with torch.no_grad():
            drawn = self._generator(noise, conditions)
        weight = self._recipe.r1_weight
        # In float32 where its slope is wanted: that of rounded numbers is worth nothing.
        with torch.autocast(
            real.device.type, enabled=torch.is_autocast_enabled(real.device.type) and not weight
        ):
            real = real.requires_grad_(weight > 0)
            features = self._discriminator.trunk(real)
            with_own = self._discriminator.scores(features, conditions)
            with_other = self._discriminator.scores(features, others)
            penalty = r1_penalty(with_own, real, 2 * weight) if weight else with_own.new_zeros(())
        terms = discriminator_loss(
            with_own,
            self._discriminator(drawn, conditions),
            with_other,
            form=self._recipe.objective,
            identity_weight=self._recipe.identity_weight,
        )
        return Terms(
            terms.total + penalty,
            {"adversarial": terms.adversarial, "identity": terms.identity, "r1": penalty},
        )

    def _generator_terms(
        self, real: torch.Tensor, conditions: torch.Tensor, others: torch.Tensor, noise: torch.Tensor
    ) -> AdversarialTerms:
        features = self._discriminator.trunk(self._generator(noise, conditions))
        with torch.no_grad():
            real_scores = self._discriminator(real, conditions)
        return generator_loss(
            real_scores,
            self._discriminator.scores(features, conditions),
            self._discriminator.scores(features, others),
            form=self._recipe.objective,
            identity_weight=self._recipe.identity_weight,
        )

    def _condition(self, batch: Batch, random: torch.Generator) -> torch.Tensor:
        if self._recipe.condition == "noise":
            length = self._voice.embedding_length
            drawn = torch.randn(len(batch["voice"]), length, generator=random)
            return F.normalize(drawn, dim=1).to(batch["voice"].device)
        return batch["voice"]

    def _others(self, batch: Batch, conditions: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        identities = batch["identity"]
        if bool((identities == identities[0]).all()):
            # The last batch of a validation may hold a single person: nobody is there to be confused with.
            return conditions
        return conditions[other_identities(identities, random)]

    def _real(self, batch: Batch) -> torch.Tensor:
        return as_faces(batch["face"], self._generator.image_size) * 2 - 1

    def _seen(self, faces: torch.Tensor) -> torch.Tensor:
        """What faces are compared by, `[B, F]`."""
        if self._face is not None:
            return self._embed((faces + 1) / 2).float()
        return F.adaptive_avg_pool2d(faces.float(), _COARSE).flatten(1)

    def _speaks_alike(self) -> bool:
        return (
            self._face is not None
            and self._recipe.condition == "voice"
            and self._face.embedding_length == self._voice.embedding_length
            and self._face.embedding_space == self._voice.embedding_space
        )

    def _begun_generator(self, models: Mapping[str, Path]) -> ConditionalGenerator:
        sizes = dict(self._recipe.sizes)
        if self._face is not None:
            size = self._face.config.image_size
            if sizes.setdefault("image_size", size) != size:
                raise RecipeError(
                    f"The face encoder sees faces of {size} pixels and the generator would draw "
                    f"{sizes['image_size']}. Leave image_size out of the sizes, or name no face_encoder."
                )
        fresh = fresh_network(
            ConditionalGenerator,
            sizes,
            self._spec.machine.seed,
            embedding_length=self._voice.embedding_length,
            embedding_space=self._voice.embedding_space,
        )
        begun = start_from(fresh, models, self._spec.parent, sizes)
        if begun.embedding_length != self._voice.embedding_length:
            raise RecipeError(
                f"The parent draws from {begun.embedding_length} numbers and {self._voice.identity.version} hears "
                f"{self._voice.embedding_length}. Name the parent's voice encoder, or start without a parent."
            )
        return begun

    def _begun_discriminator(self) -> ProjectionDiscriminator:
        length, seed = self._voice.embedding_length, self._spec.machine.seed + 1
        if self._face is None:
            return fresh_network(
                ProjectionDiscriminator,
                self._recipe.discriminator_sizes,
                seed,
                embedding_length=length,
                image_size=self._generator.image_size,
            )
        with seeded(seed):
            return ProjectionDiscriminator.from_face_encoder(
                self._face, embedding_length=length, with_head=self._speaks_alike()
            )


@contextmanager
def _left_alone(network: nn.Module) -> Iterator[None]:
    """What is computed inside passes gradients through the network and gives it none."""
    learning = [one for one in network.parameters() if one.requires_grad]
    for one in learning:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in learning:
            one.requires_grad_(True)


def _kernel_distance(real: torch.Tensor, drawn: torch.Tensor) -> float:
    """The squared maximum mean discrepancy under (x·y/D + 1)³, without bias (Bińkowski et al., arXiv 1801.01401).

    Its mean over batches is that of the whole, unlike a Fréchet distance's. `[B, F]` each; 0 for a single row.
    """
    rows = len(real)
    if rows < 2:
        return 0.0
    real, drawn = real.double(), drawn.double()

    def kernel(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (left @ right.T / left.shape[1] + 1) ** 3

    def within(one: torch.Tensor) -> torch.Tensor:
        table = kernel(one, one)
        return (table.sum() - table.diagonal().sum()) / (rows * (rows - 1))

    return float(within(real) + within(drawn) - 2 * kernel(real, drawn).mean())
