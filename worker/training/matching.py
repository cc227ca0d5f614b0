"""Matching: an encoder of voices and an encoder of faces that find each other's person.

Either both learn from waveforms and pictures, or small heads learn on frozen encoders (`features` of the recipe).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from core.training.specs import MatchingTask, TrainSpec
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.errors import RecipeError
from worker.ml.losses.matching import MatchingTerms, choose_negatives, matching_loss
from worker.ml.model_folders import SPEECH_TO_FACE, find_model, read_config_values
from worker.ml.networks.ge2e import GE2E
from worker.ml.networks.heads import FaceHead, Head, VoiceHead, described
from worker.ml.networks.matching_face_encoder import MatchingFaceEncoder
from worker.ml.networks.matching_speech_encoder import MatchingSpeechEncoder
from worker.ml.networks.pretrained import Encoder
from worker.ml.training.collectives import gather_with_gradients
from worker.ml.training.task import Batch, Phase, Player, Source, Task, Terms, World
from worker.training.checks import check_amount, entries_of, group_numbers, need
from worker.training.faces import as_faces
from worker.training.frozen_features import FrozenFeatures, face_views, voice_views
from worker.training.matching_accuracy import accuracies
from worker.training.networks import encoder_of, fresh_network, phase_of, start_from
from worker.training.sources import (
    MatchingSource,
    Pictures,
    ReadChanged,
    face_reader,
    people_with_both,
    samples_of,
    voice_reader,
)

_GENDER = "gender"  # the group that accuracies among the like are told for, where the recipe names none


def build_task(
    spec: TrainSpec, dataset: PreparedDataset, models: Mapping[str, Path], device: str
) -> tuple[Task, tuple[Phase, ...]]:
    """See `worker.training.build_task`."""
    recipe = spec.recipe
    assert isinstance(recipe, MatchingTask)
    return MatchingTraining(spec, recipe, dataset, models), (phase_of("training", recipe.loop),)


class Encoders(nn.Module):
    """The two that learn together."""

    def __init__(
        self, voice: MatchingSpeechEncoder | VoiceHead, face: MatchingFaceEncoder | FaceHead
    ) -> None:
        super().__init__()
        self.voice, self.face = voice, face


class MatchingTraining(Task):
    """See `core.training.specs.MatchingTask`."""

    separable = False  # everybody's negatives are the others of the batch
    # The loss of people never met rises with the scale long before they are confused more often.
    best_by = "missed"

    def __init__(
        self, spec: TrainSpec, recipe: MatchingTask, dataset: PreparedDataset, models: Mapping[str, Path]
    ) -> None:
        need(dataset, "voice", "waveform")
        need(dataset, "face", "picture")
        self._spec, self._recipe, self._dataset = spec, recipe, dataset
        self._people = people_with_both(dataset, "train")
        self._unheard = people_with_both(dataset, "validation")
        check_amount(len(self._people), recipe.loop, spec, "people")
        self._group = recipe.group or _told_group(dataset)
        self._groups = group_numbers(dataset, self._group) if self._group else {}
        self._pictures = Pictures(dataset)
        if recipe.features == "raw":
            voice: MatchingSpeechEncoder | VoiceHead = self._speech_encoder(models)
            face: MatchingFaceEncoder | FaceHead = self._face_encoder(models, recipe.face_encoder)
        else:
            voice = self._voice_head(models)
            length = voice.config.embedding_length
            if recipe.face_encoder is None:
                face = self._face_encoder(models, None, embedding_length=length)
            else:
                face = self._face_head(models, recipe.face_encoder, length)
        self.networks = Encoders(voice, face)
        self.players = (Player("encoders", self.networks),)
        # Lifted off while the heads learn, so that checkpoints hold what is learnt and nothing else.
        self._bases = [(head, head.take_base()) for head in (voice, face) if isinstance(head, Head)]
        self.frozen = tuple(base for _, base in self._bases)

    def begin(self, world: World) -> None:
        """Works out what frozen encoders make of the dataset, where there are any."""
        super().begin(world)
        self._read_voice = self._reader("voice", self.networks.voice)
        self._read_face = self._reader("face", self.networks.face)

    def sources(self, phase: str, epoch: int) -> tuple[Source, Source | None]:
        train = self._source(train=True)
        return train, self._source(train=False) if self._unheard else None

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        terms = self._terms(*self._embed(batch), batch, random)
        return Terms(
            terms.total,
            {"voice_to_face": terms.voice_to_face, "face_to_voice": terms.face_to_voice}
            | ({"distance": terms.distance} if self._recipe.distance_weight else {})
            | {"scale": self.networks.voice.scale.detach()},
        )

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        voices, faces = self._embed(batch)
        identities = batch["identity"]
        terms = matching_loss(
            faces,
            voices,
            scale=self.networks.voice.scale,
            negatives=choose_negatives(identities),
            distance_weight=self._recipe.distance_weight,
        )
        values = {
            "total": float(terms.total),
            "voice_to_face": float(terms.voice_to_face),
            "face_to_voice": float(terms.face_to_voice),
        }
        scores = voices.float() @ faces.float().T
        found = accuracies(scores, identities)
        values |= found
        values["missed"] = 1 - (found["matching.voice_to_face.10"] + found["matching.face_to_voice.10"]) / 2
        if self._group:
            values |= accuracies(scores, identities, batch["group"], f".same_{self._group}")
        return values

    def export(self, folder: Path) -> Mapping[str, str]:
        space = f"{self._spec.model}:{_sha256(self.networks)[:8]}"
        for head, base in self._bases:
            head.set_base(base)
        for role, network in (("voice", self.networks.voice), ("face", self.networks.face)):
            network.config = replace(network.config, embedding_space=space)
            network.save_pretrained(folder / role, name=f"{self._spec.model}-{role}", revision=1)
        for head, _ in self._bases:
            head.take_base()
        return {"voice": "voice", "face": "face"}

    def _embed(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        voices = self.networks.voice(batch["voice"])
        face = self.networks.face
        if isinstance(face, MatchingFaceEncoder):
            return voices, face(as_faces(batch["face"], face.config.image_size) * 2 - 1)
        return voices, face(batch["face"])

    def _terms(
        self, voices: torch.Tensor, faces: torch.Tensor, batch: Batch, random: torch.Generator
    ) -> MatchingTerms:
        identities, groups = batch["identity"], batch["group"]
        extra_identities = self._from_others(identities)
        mixed = self._recipe.mix != "any"
        negatives = choose_negatives(
            identities,
            extra_identities=extra_identities,
            count=self._recipe.negatives,
            mix=self._recipe.mix,
            groups=groups if mixed else None,
            extra_groups=self._from_others(groups) if mixed else None,
            generator=random,
        )
        return matching_loss(
            faces,
            voices,
            scale=self.networks.voice.scale,
            extra_faces=self._from_others(faces),
            extra_voices=self._from_others(voices),
            negatives=negatives,
            distance_weight=self._recipe.distance_weight,
        )

    def _from_others(self, rows: torch.Tensor) -> torch.Tensor | None:
        """The rows of all other processes."""
        if self.world.processes == 1:
            return None
        together = gather_with_gradients(rows)
        first = self.world.rank * len(rows)
        return torch.cat([together[:first], together[first + len(rows) :]])

    def _source(self, *, train: bool) -> MatchingSource:
        people = self._people if train else self._unheard
        return MatchingSource(
            self._dataset, people, self._read_voice, self._read_face, self._groups, train=train
        )

    def _reader(self, side: str, network: Encoder) -> ReadChanged:
        augmentation, seed = self._recipe.augmentation, self._spec.machine.seed
        if not isinstance(network, Head):
            if side == "voice":
                return voice_reader(self._dataset, samples_of(self._recipe.clip_seconds), augmentation)
            return face_reader(self._pictures, augmentation)
        train, validation = (
            entries_of(self._dataset, network.input, "train"),
            entries_of(self._dataset, network.input, "validation"),
        )
        views = (
            voice_views(self._dataset, augmentation, seed)
            if side == "voice"
            else face_views(self._pictures, augmentation, seed)
        )
        (base,) = (base for head, base in self._bases if head is network)
        features = FrozenFeatures(
            base, [*train, *validation], views, self.world, said=(self._dataset.sha256, seed, augmentation)
        )
        if self._spec.parent is None or side == "face":
            network.set_statistics(features.all_views(train))
        return features.read

    def _speech_encoder(self, models: Mapping[str, Path]) -> MatchingSpeechEncoder:
        recipe = self._recipe
        fresh = fresh_network(
            MatchingSpeechEncoder,
            recipe.sizes,
            self._spec.machine.seed,
            clip_seconds=recipe.clip_seconds,
            embedding_space=self._spec.model,
        )
        if samples_of(recipe.clip_seconds) < fresh.shortest_samples:
            raise RecipeError(
                f"Clips of {recipe.clip_seconds} s are too short for this speech encoder; it needs "
                f"{fresh.shortest_samples / 16_000:.2f} s. Raise clip_seconds, or use fewer channels or less pool."
            )
        return start_from(
            fresh,
            models,
            self._spec.parent,
            recipe.sizes,
            ours=("embedding_space", "clip_seconds"),
        )

    def _face_encoder(
        self, models: Mapping[str, Path], start: str | None, **fixed: Any
    ) -> MatchingFaceEncoder:
        fresh = fresh_network(
            MatchingFaceEncoder,
            self._recipe.face_sizes,
            self._spec.machine.seed + 1,
            embedding_space=self._spec.model,
            **fixed,
        )
        return start_from(fresh, models, start, self._recipe.face_sizes, "face encoder")

    def _voice_head(self, models: Mapping[str, Path]) -> VoiceHead:
        base = _voice_base(models, self._recipe.voice_encoder)
        head = fresh_network(
            VoiceHead,
            self._recipe.sizes,
            self._spec.machine.seed,
            embedding_space=self._spec.model,
            **described(base),
        )
        head.set_base(base)
        return start_from(head, models, self._spec.parent, self._recipe.sizes)

    def _face_head(self, models: Mapping[str, Path], reference: str, length: int) -> FaceHead:
        base = encoder_of(models, reference, "cpu", "face")
        head = fresh_network(
            FaceHead,
            {name: size for name, size in self._recipe.face_sizes.items() if name not in _TRUNK_SIZES},
            self._spec.machine.seed + 1,
            embedding_length=length,
            embedding_space=self._spec.model,
            **described(base),
        )
        head.set_base(base)
        return head


# Of an encoder that learns from pictures; a head on a frozen one, named in its place, has none of them.
_TRUNK_SIZES = {"embedding_length", "image_size", "smallest_size", "base_channels", "max_channels"}


def _voice_base(models: Mapping[str, Path], reference: str | None) -> Encoder:
    """The default model's voice encoder, or any other."""
    folder = find_model("default") if reference is None else models.get(reference)
    if folder is not None and read_config_values(folder).get("kind") == SPEECH_TO_FACE:
        return GE2E.from_default_model(folder)
    return encoder_of(models, cast(str, reference), "cpu", "voice")


def _told_group(dataset: PreparedDataset) -> str | None:
    told = {person.attributes.get(_GENDER, "") for person in dataset.people.values()}
    return _GENDER if len(told - {""}) > 1 else None


def _sha256(networks: Encoders) -> str:
    """Names what was learnt: two runs whose weights differ anywhere have spaces of their own."""
    digest = hashlib.sha256()
    for name, tensor in sorted(networks.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
