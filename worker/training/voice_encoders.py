"""What VE_conv and AST have in common: a voice encoder learns the embeddings of its speakers' faces.

The frozen face encoder says what an embedding means, the frozen face decoder what it looks like; neither is changed.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from core.training.parts import Augmentation, Loop
from core.training.specs import ASTTask, TrainSpec, VEConvTask
from worker.ml.augmentation import add_noise, blank, stretch
from worker.ml.dataset_reader import EntryRow, PersonRow, PreparedDataset
from worker.ml.errors import RecipeError
from worker.ml.losses.voice_encoder import (
    VoiceTerms,
    VoiceWeights,
    script_weights,
    voice_encoder_loss,
)
from worker.ml.networks.face_decoder import FaceDecoder
from worker.ml.networks.pretrained import Encoder
from worker.ml.networks.vgg_face import VGGFace
from worker.ml.pairings import Pairing, make_pairing
from worker.ml.training.task import Batch, Panel, Picture, Player, Source, Task, Terms
from worker.ml.voice_spectrograms import FilterBankRecipe, SegmentRecipe, SpectrogramRecipe
from worker.training.checks import check_amount, check_teacher, has, lacking, need
from worker.training.faces import as_faces, as_pictures
from worker.training.networks import load_model
from worker.training.sources import Pictures, VoiceSource, people_with_both

Array = npt.NDArray[np.float32]
VoiceTask = VEConvTask | ASTTask
_HERE = threading.local()


class VoiceEncoderTraining(Task):
    """See `core.training.specs.VEConvTask` and `ASTTask`.

    Attributes:
        script: whose weights of terms count where the recipe names none.
        recipe_of_features: that the dataset's features were made by.
    """

    script: Literal["ve_conv", "ast"]
    time_axis: int
    band_axis: int

    def __init__(
        self, spec: TrainSpec, recipe: VoiceTask, dataset: PreparedDataset, models: Mapping[str, Path]
    ) -> None:
        need(dataset, "face", "embedding")
        self._spec, self._recipe, self._dataset = spec, recipe, dataset
        self._teacher = load_model(models, recipe.face_encoder, "cpu", VGGFace, "the face encoder")
        check_teacher(dataset, self._teacher)
        self._decoder = load_model(models, recipe.face_decoder, "cpu", FaceDecoder, "the face decoder")
        _check_decoder(self._teacher, self._decoder)
        self.frozen = (self._teacher, self._decoder)
        self._weights = self._chosen_weights()
        self._people = {
            "train": people_with_both(dataset, "train"),
            "validation": people_with_both(dataset, "validation"),
        }
        self._pictures = Pictures(dataset) if has(dataset, "face", "picture") else None

    def begin_training(self, encoder: Encoder, loops: Sequence[Loop]) -> None:
        """Called by subclasses once the encoder is made.

        Raises:
            DatasetError, RecipeError: the dataset cannot give what the encoder hears.
        """
        self._encoder = encoder
        self.players = (Player("encoder", encoder),)
        self._check_features()
        for loop in loops:
            check_amount(len(self._pairing("train", 0)), loop, self._spec, "pairs of a voice and a face")

    @property
    @abstractmethod
    def heard(self) -> SegmentRecipe:
        """The recipe of the encoder's features."""

    @property
    @abstractmethod
    def kept(self) -> SegmentRecipe:
        """The recipe of the dataset's features."""

    @abstractmethod
    def features_of(self, waveforms: Sequence[Array]) -> torch.Tensor:
        """As the dataset would keep them, `[N, ...]`, by the encoder's recipe."""

    def prepared(self, features: torch.Tensor) -> torch.Tensor:
        """What the encoder takes, out of what the dataset keeps."""
        return features

    @property
    def blank_value(self) -> float:
        """What blanked stretches and bands are filled with."""
        return 0.0

    def sources(self, phase: str, epoch: int) -> tuple[Source, Source | None]:
        train = VoiceSource(
            self._dataset,
            self._people["train"],
            self._pairing("train", epoch),
            self._read_voice,
            train=True,
        )
        if not self._people["validation"]:
            return train, None
        validation = VoiceSource(
            self._dataset,
            self._people["validation"],
            self._pairing("validation", 0),
            self._read_voice,
            train=False,
            pictures=self._pictures,
        )
        return train, validation

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        terms = self._terms(self._encoder(self.prepared(batch["features"])), batch["embedding"])
        return Terms(terms.total, _parts(terms))

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        voices = self._encoder(self.prepared(batch["features"])).float()
        terms = self._terms(voices, batch["embedding"])
        cosine = F.cosine_similarity(voices, batch["embedding"], dim=1).mean()
        values = {"total": terms.total, **_parts(terms), "embedding.cosine": cosine}
        return {name: float(value) for name, value in values.items()}

    def panels(self, batch: Batch, random: torch.Generator) -> Sequence[Panel]:
        """The frozen decoder draws what was heard; beside it, what it makes of the true embedding."""
        heard = self._encoder(self.prepared(batch["features"])).float()
        columns: list[list[Picture]] = []
        titles: tuple[str, ...] = ("from the face", "from the voice")
        if "picture" in batch:
            columns.append(as_pictures(as_faces(batch["picture"], self._decoder.image_size)))
            titles = ("photograph", *titles)
        for embeddings in (batch["embedding"], heard):
            columns.append(as_pictures(self._decoder.draw(embeddings)[1]))
        return [Panel(row, titles) for row in zip(*columns, strict=True)]

    def export(self, folder: Path) -> Mapping[str, str]:
        self._encoder.save_pretrained(folder / "encoder", name=f"{self._spec.model}-encoder", revision=1)
        return {"encoder": "encoder"}

    def _terms(self, voices: torch.Tensor, faces: torch.Tensor) -> VoiceTerms:
        return voice_encoder_loss(
            voices,
            faces,
            face_logits=self._teacher.class_logits,
            decoder_features=self._decoder.first_layers,
            weights=self._weights,
            compat=self._recipe.compat,
        )

    def _chosen_weights(self) -> VoiceWeights:
        if self._recipe.weights is not None:
            return VoiceWeights(*self._recipe.weights)
        # The original takes a mean over the units of the decoder, however many there are.
        units = self._decoder.config.shared_lengths[-1]
        return script_weights(self.script, self._recipe.compat, units)

    def _pairing(self, split: str, epoch: int) -> Pairing:
        asked = self._recipe.pairing
        people: list[PersonRow] = self._people[split]
        counts = tuple(
            np.array([len(self._dataset.of(person.id, side)) for person in people], np.int64)
            for side in ("voice", "face")
        )
        rule = asked.rule
        if split == "validation" and self.script == "ast" and rule == "all_to_all":
            rule = "one_to_one"  # as the original has it: the same voices over and over tell nothing new
        original = self._recipe.compat == "original"
        return make_pairing(
            rule,
            (counts[0], counts[1]),
            limit=asked.most,
            face="first" if original else asked.face,
            seed=None if original else self._spec.machine.seed + 1_000_003 * epoch,
            compat=self._recipe.compat,
        )

    def _check_features(self) -> None:
        name, augmentation = self.script, self._recipe.augmentation
        waveforms = has(self._dataset, "voice", "waveform")
        self._kept_fit = has(self._dataset, "voice", name) and _same_geometry(self.heard, self.kept)
        if not self._kept_fit and not waveforms:
            if has(self._dataset, "voice", name):
                raise lacking(
                    f"The recipe's sizes hear other features than the dataset's {name}, and there are no waveforms to "
                    "make them of. Prepare the dataset with --voice waveform, or leave the sizes of features alone."
                )
            need(self._dataset, "voice", name)
        if augmentation.noise_db is not None and not waveforms:
            raise lacking(
                "Noise is added to waveforms, and the dataset keeps none. "
                f"Prepare it with --voice {name},waveform, or leave out augmentation.noise_db."
            )
        kept_seconds = 0.0
        if waveforms:
            kept_seconds = float(self._dataset.description["recipe"]["voice"]["waveform_seconds"])
        longer = augmentation.crop and kept_seconds > self.heard.seconds
        self._train_on_waveforms = waveforms and (
            augmentation.noise_db is not None or longer or not self._kept_fit
        )

    def _read_voice(self, entry: EntryRow, random: np.random.Generator, train: bool) -> Array:
        augmentation = self._recipe.augmentation
        if not (self._train_on_waveforms if train else not self._kept_fit):
            features: Array = self._dataset.array(entry, self.script)
        else:
            waveform = self._dataset.array(entry, "waveform")
            if train:
                if augmentation.crop and len(waveform) > self.heard.samples:
                    waveform = stretch(waveform, self.heard.samples, random)
                if augmentation.noise_db is not None:
                    waveform = add_noise(waveform, augmentation.noise_db, random)
            _leave_cores_to_the_network()
            features = self.features_of([waveform])[0].numpy()
        if train:
            features = self._blanked(features, augmentation, random)
        return features.astype(np.float32, copy=False)

    def _blanked(self, features: Array, augmentation: Augmentation, random: np.random.Generator) -> Array:
        for axis, masks, share in (
            (self.time_axis, augmentation.time_masks, augmentation.time_mask_share),
            (self.band_axis, augmentation.band_masks, augmentation.band_mask_share),
        ):
            if masks:
                features = blank(features, axis, masks, share, random, self.blank_value)
        return features


def _parts(terms: VoiceTerms) -> dict[str, torch.Tensor]:
    return {
        "base": terms.base,
        "face_encoder": terms.face_encoder,
        "face_decoder": terms.face_decoder,
    }


def _check_decoder(teacher: VGGFace, decoder: FaceDecoder) -> None:
    names = f"{teacher.identity.version} and {decoder.identity.version}"
    if teacher.embedding_length != decoder.embedding_length:
        raise RecipeError(
            f"{names} do not fit: the first makes embeddings of {teacher.embedding_length} numbers and the second "
            f"takes {decoder.embedding_length}. Name a face decoder that was trained on this face encoder."
        )
    spaces = {teacher.embedding_space, decoder.embedding_space} - {""}
    if len(spaces) > 1:
        raise RecipeError(
            f"{names} do not fit: the first speaks of {teacher.embedding_space} and the second was trained on "
            f"{decoder.embedding_space}. Name a face decoder that was trained on this face encoder."
        )


def _same_geometry(one: SegmentRecipe, other: SegmentRecipe) -> bool:
    """Whether two recipes give the same features before normalisation."""
    kind: type[Any] = FilterBankRecipe if isinstance(other, FilterBankRecipe) else SpectrogramRecipe
    names = {field.name for field in fields(kind)} - {"mean", "std"}
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _leave_cores_to_the_network() -> None:
    """Operators of a loader's thread use one core; the main thread's are left alone."""
    if threading.current_thread() is not threading.main_thread() and not hasattr(_HERE, "one_core"):
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes over the number for all when it is first asked for its own
        _HERE.one_core = True
