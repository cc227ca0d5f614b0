"""FaceDecoder: from embeddings of faces to faces with landmarks, the face encoder looking on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from core.training.specs import FaceDecoderTask, TrainSpec
from worker.ml.augmentation import mirror_landmarks
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.errors import RecipeError
from worker.ml.losses.face_decoder import DecoderTerms, DecoderWeights, decoder_loss
from worker.ml.networks.face_decoder import FaceDecoder
from worker.ml.networks.landmark_warp import POINTS, move_landmarks
from worker.ml.training.task import Batch, Panel, Phase, Player, Source, Task, Terms
from worker.training.checks import (
    check_amount,
    check_teacher,
    embedding_length,
    embedding_space,
    entries_of,
    need,
)
from worker.training.faces import as_faces, as_pictures, embedder, scaled_landmarks, with_dots
from worker.training.networks import encoder_of, fresh_network, phase_of, start_from
from worker.training.sources import FaceSource, Pictures


def build_task(
    spec: TrainSpec, dataset: PreparedDataset, models: Mapping[str, Path], device: str
) -> tuple[Task, tuple[Phase, ...]]:
    """See `worker.training.build_task`."""
    recipe = spec.recipe
    assert isinstance(recipe, FaceDecoderTask)
    return FaceDecoderTraining(spec, recipe, dataset, models), (phase_of("training", recipe.loop),)


class FaceDecoderTraining(Task):
    """See `core.training.specs.FaceDecoderTask`.

    With the warp, textures are learnt in the frame of the mean landmarks: the photograph is bent so that its landmarks
    lie there, and what is judged by the face encoder is the texture bent to the predicted landmarks.
    """

    separable = False  # batch normalisation: what a face becomes depends on the others of its batch

    def __init__(
        self,
        spec: TrainSpec,
        recipe: FaceDecoderTask,
        dataset: PreparedDataset,
        models: Mapping[str, Path],
    ) -> None:
        for what in ("picture", "landmarks", "embedding"):
            need(dataset, "face", what)
        train = entries_of(dataset, "face", "train")
        check_amount(len(train), recipe.loop, spec, "faces")
        self._name, self._recipe = spec.model, recipe
        self._weights = DecoderWeights(recipe.landmarks_weight, recipe.texture_weight, recipe.identity_weight)
        self._encoder = None
        if recipe.face_encoder is not None:
            self._encoder = encoder_of(models, recipe.face_encoder, "cpu", "face")
            check_teacher(dataset, self._encoder)
            self._embed = embedder(self._encoder)
        fresh = fresh_network(
            FaceDecoder,
            recipe.sizes,
            spec.machine.seed,
            warp=recipe.warp,
            embedding_length=embedding_length(dataset),
            embedding_space=embedding_space(dataset),
        )
        self._decoder = start_from(fresh, models, spec.parent, recipe.sizes)
        if self._decoder.config.warp != recipe.warp:
            raise RecipeError("The parent was trained with another setting of warp; use its setting.")
        if self._decoder.config.embedding_length != embedding_length(dataset):
            raise RecipeError(
                f"The parent takes embeddings of {self._decoder.config.embedding_length} numbers and the dataset's "
                f"have {embedding_length(dataset)}. Start without a parent, or prepare the dataset with its encoder."
            )
        self._side = int(dataset.description["recipe"]["face"]["size"])
        pictures = Pictures(dataset)
        self._train = FaceSource(dataset, train, pictures, recipe.augmentation)
        validation = entries_of(dataset, "face", "validation")
        self._validation = FaceSource(dataset, validation, pictures) if validation else None
        if recipe.warp and spec.parent is None:
            self._decoder.set_mean_landmarks(self._mean_landmarks(dataset))
        self.players = (Player("decoder", self._decoder),)
        self.frozen = (self._encoder,) if self._encoder is not None else ()

    def sources(self, phase: str, epoch: int) -> tuple[Source, Source | None]:
        return self._train, self._validation

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        embeddings = self._embeddings(batch)
        terms = self._terms(batch, embeddings, *self._decoder(embeddings))
        return Terms(terms.total, _parts(terms))

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        landmarks, textures = self._decoder(batch["embedding"])
        terms = self._terms(batch, batch["embedding"], landmarks, textures)
        true = self._landmarks(batch)
        apart = (landmarks.float() - true).square().mean(dim=1).sqrt().mean()
        values = {"total": terms.total, **_parts(terms), "landmarks.rmse": apart}
        return {name: float(value) for name, value in values.items()}

    def panels(self, batch: Batch, random: torch.Generator) -> Sequence[Panel]:
        landmarks, drawn = self._decoder.draw(batch["embedding"])
        size = self._decoder.image_size
        rows = zip(
            as_pictures(as_faces(batch["picture"], size)),
            self._landmarks(batch).reshape(-1, POINTS, 2).cpu().numpy(),
            as_pictures(drawn),
            landmarks.float().reshape(-1, POINTS, 2).cpu().numpy(),
            strict=True,
        )
        titles = ("photograph", "drawn", "drawn, with landmarks", "photograph, with landmarks")
        return [
            Panel((photograph, face, with_dots(face, predicted), with_dots(photograph, true)), titles)
            for photograph, true, face, predicted in rows
        ]

    def export(self, folder: Path) -> Mapping[str, str]:
        self._decoder.save_pretrained(folder / "decoder", name=f"{self._name}-decoder", revision=1)
        return {"decoder": "decoder"}

    def _terms(
        self, batch: Batch, embeddings: torch.Tensor, landmarks: torch.Tensor, textures: torch.Tensor
    ) -> DecoderTerms:
        size = self._decoder.image_size
        true = self._landmarks(batch)
        photographs = as_faces(batch["picture"], size)
        if self._recipe.warp:
            mean = self._decoder.get_buffer("mean_landmarks").expand(len(true), -1, -1)
            with torch.no_grad():
                photographs = self._bent(photographs, true.reshape(-1, POINTS, 2), mean)
        embed = None
        if self._encoder is not None and self._weights.identity > 0:

            def embed(drawn: torch.Tensor) -> torch.Tensor:
                if self._recipe.warp:
                    drawn = self._bent(drawn.float(), mean, landmarks.float().reshape(-1, POINTS, 2))
                return self._embed(drawn)

        return decoder_loss(
            landmarks,
            textures,
            true,
            photographs,
            embeddings,
            embed=embed,
            weights=self._weights,
            compat=self._recipe.compat,
        )

    def _bent(self, faces: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        config = self._decoder.config
        return move_landmarks(
            faces,
            sources,
            targets,
            order=config.warp_order,
            regularisation=config.warp_regularisation,
            border_points=config.warp_border_points,
        )

    def _landmarks(self, batch: Batch) -> torch.Tensor:
        return scaled_landmarks(batch["landmarks"], self._side, self._decoder.image_size)

    def _embeddings(self, batch: Batch) -> torch.Tensor:
        """Of the pictures as they are in the batch: a mirrored face has an embedding of its own."""
        kept = batch["embedding"]
        changed = batch["changed"].bool()
        if self._encoder is None or not bool(changed.any()):
            return kept
        size = batch["picture"].shape[1]
        with torch.no_grad():
            anew = self._embed(as_faces(batch["picture"][changed], size)).float()
        embeddings = kept.clone()
        embeddings[changed] = anew
        return embeddings

    def _mean_landmarks(self, dataset: PreparedDataset) -> torch.Tensor:
        """Of the train part and, where faces are mirrored, of its mirror image; in pixels of what is drawn."""
        total = torch.zeros(2 * POINTS, dtype=torch.float64)
        entries = entries_of(dataset, "face", "train")
        for entry in entries:
            landmarks = dataset.array(entry, "landmarks")
            total += torch.from_numpy(landmarks).double()
            if self._recipe.augmentation.flip:
                total += torch.from_numpy(mirror_landmarks(landmarks, self._side)).double()
        mean = total / (len(entries) * (2 if self._recipe.augmentation.flip else 1))
        return scaled_landmarks(mean, self._side, self._decoder.image_size).reshape(POINTS, 2).float()


def _parts(terms: DecoderTerms) -> dict[str, torch.Tensor]:
    return {"landmarks": terms.landmarks, "textures": terms.texture, "embeddings": terms.identity}
