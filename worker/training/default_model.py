"""The default model: what a voice encoder hears becomes a face, and a recogniser says whose it looks like.

Before the first step, in one go: face space, where voices point in the recogniser's space, and where in face space
(`worker/ml/default_model/`). Then a small network learns by gradients, which pass through the morphable face and the
recogniser, to draw faces that lie where the voice points. Its targets are a smooth function of the voice and not the
noisy faces of single people, and new voices are made by mixing those of two: it has little to learn by heart. Only
what is averaged over people is learnt from faces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from core.training.specs import DefaultModelTask, TrainSpec
from worker.ml.dataset_reader import EntryRow, PersonRow, PreparedDataset
from worker.ml.default_model.face_alignment import align
from worker.ml.default_model.face_space import find_face_space
from worker.ml.default_model.glances import glance, shaken
from worker.ml.default_model.identity_regression import RegressionSettings, solve
from worker.ml.default_model.landmark_directions import find_landmark_directions
from worker.ml.default_model.recognition import FacePlaces, load_recogniser, recognise
from worker.ml.errors import ModelError, RecipeError
from worker.ml.face_finder import FaceFinder
from worker.ml.identity_head import IdentityHead
from worker.ml.images import resized
from worker.ml.model_files import ModelConfig
from worker.ml.model_folders import find_model
from worker.ml.networks.ge2e import GE2E
from worker.ml.speech_to_face import DEFAULT_FACE_SIZES, SpeechToFace
from worker.ml.training.task import Arrays, Batch, Panel, Phase, Player, Source, Task, Terms, World
from worker.training.checks import check_amount, lacking, need
from worker.training.faces import as_faces
from worker.training.matching_accuracy import accuracies
from worker.training.networks import phase_of
from worker.training.sources import Pictures, people_with_both

Floats = npt.NDArray[np.float32]
_LEAST_FACES = 12  # below, principal components and regressions mean nothing
_SIDES = {"female": -1.0, "f": -1.0, "male": 1.0, "m": 1.0}
_MOST_MIXED = 0.5  # share of the second voice


def build_task(
    spec: TrainSpec, dataset: PreparedDataset, models: Mapping[str, Path], device: str
) -> tuple[Task, tuple[Phase, ...]]:
    """See `worker.training.build_task`."""
    recipe = spec.recipe
    assert isinstance(recipe, DefaultModelTask)
    return DefaultModelTraining(spec, recipe, dataset, models), (phase_of("training", recipe.loop),)


class DefaultModelTraining(Task):
    """See `core.training.specs.DefaultModelTask`."""

    def __init__(
        self, spec: TrainSpec, recipe: DefaultModelTask, dataset: PreparedDataset, models: Mapping[str, Path]
    ) -> None:
        need(dataset, "voice", "waveform")
        need(dataset, "face", "picture")
        self._spec, self._recipe, self._dataset = spec, recipe, dataset
        self._people = people_with_both(dataset, "train")
        self._unheard = people_with_both(dataset, "validation")
        voices = sum(len(dataset.of(person.id, "voice")) for person in self._people)
        check_amount(voices, recipe.loop, spec, "voices")
        self._pictures = Pictures(dataset)
        self._parent = _parent(spec, models)
        self._encoder = GE2E.from_default_model(
            find_model("default") if self._parent is None else models[cast(str, spec.parent)]
        )
        self.model = _model(spec, recipe, self._encoder, self._parent)
        self._head = cast(IdentityHead, self.model.voice_to_face)
        self._recogniser = load_recogniser()
        self.players = (Player("model", self.model),)
        self.frozen = (self._recogniser, self._encoder)

    def begin(self, world: World) -> None:
        """Finds face space and solves for what is not learnt by gradients."""
        super().begin(world)
        people = _Portrayed(self._dataset, self._people, self._pictures, self.model.image_size)
        if len(people.faces) < _LEAST_FACES:
            raise lacking(
                f"YuNet finds a face in {len(people.faces)} of the dataset's training pictures; the default model "
                f"needs {_LEAST_FACES} at the very least, and hundreds for good faces. Prepare more or larger ones."
            )
        place = self._recogniser.get_buffer("place")
        place.copy_(torch.from_numpy(np.median(people.places, axis=0)))
        identities = people.mean_of(recognise(self._recogniser, people.faces, people.places))
        latents = None if self._parent is not None else people.mean_of(self._find_face_space(people.faces))
        heard = self._listen(people.voices)
        recipe = self._recipe
        settings = RegressionSettings(
            lean_ridge=recipe.lean_ridge,
            lean_gain=recipe.lean_gain,
            lean_share=recipe.lean_share,
            lean_reach=recipe.lean_reach,
            ridge=recipe.ridge,
            latent_ridge=recipe.latent_ridge,
            filled_in=recipe.filled_in,
        )
        rows = [people.row[entry.person] for entry in people.voices]
        sides = np.asarray([self._side(entry.person) for entry in people.voices], dtype=np.float32)
        solved = solve(heard, sides, identities[rows], None if latents is None else latents[rows], settings)
        with torch.no_grad():
            for name, value in solved.state.items():
                self._head.state_dict()[name].copy_(value)
            if self._parent is None:
                self._head.outer.weight.zero_()
                self._head.outer.bias.zero_()
        self._mean = torch.from_numpy(solved.mean_identity).to(world.device)
        self._reach = recipe.distinctness * solved.distance
        self._train = _Voices(heard)
        self._validation = self._unheard_voices()

    def sources(self, phase: str, epoch: int) -> tuple[Source, Source | None]:
        return self._train, self._validation

    def loss(self, player: str, batch: Batch, random: torch.Generator) -> Terms:
        with torch.autocast(self.world.device.type, enabled=False):
            direction = self._head.direction(batch["voice"])
            portrayed = self._head.portrayed(direction)
            drawn = self.model.face_generator(self._head.filled_in(batch["voice"]) + portrayed)
            seen = self._glanced_at(drawn, random) if self._recipe.glances else self._recogniser(drawn)
            away = self._away(seen, direction)
            strain = portrayed.square().mean()
        return Terms(away + self._recipe.strain_weight * strain, {"away": away, "strain": strain})

    def validate(self, batch: Batch, random: torch.Generator) -> Mapping[str, float]:
        with torch.autocast(self.world.device.type, enabled=False):
            direction = self._head.direction(batch["voice"])
            seen = self._recogniser(self.model.face_generator(self._head(batch["voice"])))
            away = self._away(seen, direction)
        values = {"total": float(away), "away": float(away)}
        return values | accuracies(seen @ batch["identity"].T, batch["person"])

    def panels(self, batch: Batch, random: torch.Generator) -> Sequence[Panel]:
        drawn = self.model.paint(batch["voice"]).pictures
        return [
            Panel((true, ours), ("true", "drawn"))
            for true, ours in zip(batch["picture"].cpu().numpy(), drawn, strict=True)
        ]

    def export(self, folder: Path) -> Mapping[str, str]:
        self.model.save_pretrained(folder / "model")
        return {"model": "model"}

    def _side(self, person: str) -> float:
        return _SIDES.get(self._dataset.people[person].attributes.get("gender", "").lower(), 0.0)

    def _glanced_at(self, drawn: torch.Tensor, random: torch.Generator) -> torch.Tensor:
        places = shaken(self._recogniser.get_buffer("place"), len(drawn), random)
        return self._recogniser.at(glance(drawn, random), places)

    def _away(self, seen: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
        """Cosine distance between faces as seen and where they should lie."""
        wanted = F.normalize(self._mean + self._reach * direction, dim=1)
        return (1 - (seen * wanted).sum(dim=1)).mean()

    def _listen(self, voices: Sequence[EntryRow]) -> Floats:
        waveforms = [self._dataset.array(entry, "waveform") for entry in voices]
        return self._encoder.encode(waveforms).cpu().numpy()

    def _find_face_space(self, faces: npt.NDArray[np.uint8]) -> Floats:
        generator = self.model.face_generator
        if len(faces) <= self._recipe.latent:
            raise lacking(
                f"A face space of {self._recipe.latent} directions takes more than as many faces, and there are "
                f"{len(faces)}. Lower latent, or prepare more data."
            )
        # On the CPU: the same bits wherever it is trained.
        pictures = as_faces(torch.from_numpy(faces), generator.texture_size)
        fields = align(pictures, generator.field_grid)
        with torch.no_grad():
            space = find_face_space(pictures, fields, self._recipe.latent)
            # Landmarks are not among them: those are looked for in what it then draws.
            generator.load_state_dict(space.buffers, strict=False)
            generator.load_state_dict(self._find_landmarks(), strict=False)
        return space.latents

    def _find_landmarks(self) -> Mapping[str, torch.Tensor]:
        """Buffers of the face generator; none without dlib, or where it finds no face. The model then knows none."""
        try:
            finder = FaceFinder()
        except ModelError:
            return {}
        return find_landmark_directions(self.model.face_generator, finder) or {}

    def _unheard_voices(self) -> Source | None:
        if not self._unheard:
            return None
        people = _Portrayed(self._dataset, self._unheard, self._pictures, self.model.image_size)
        if not len(people.faces):
            return None
        identities = people.mean_of(recognise(self._recogniser, people.faces, people.places))
        rows = [people.row[entry.person] for entry in people.voices]
        return _UnheardVoices(
            self._listen(people.voices), identities[rows], np.asarray(rows), people.first[rows]
        )


class _Portrayed:
    """People with the pictures in which a face is found.

    Attributes:
        faces: uint8 `[N, S, S, 3]`, of all of them.
        places: of each in its picture `[N, 2, 3]`.
        row: of each person by id, in what `mean_of` answers.
        first: picture of each person `[P, S, S, 3]`.
        voices: entries of these people.
    """

    def __init__(
        self, dataset: PreparedDataset, people: Sequence[PersonRow], pictures: Pictures, size: int
    ) -> None:
        finder = FacePlaces()
        faces, places, owners = [], [], list[int]()
        self.row: dict[str, int] = {}
        for person in people:
            for entry in dataset.of(person.id, "face"):
                face = resized(pictures.read(entry), size, size)
                place = finder.find(face)
                if place is not None:
                    faces.append(face)
                    places.append(place)
                    owners.append(self.row.setdefault(person.id, len(self.row)))
        self.faces = np.stack(faces) if faces else np.zeros((0, size, size, 3), np.uint8)
        self.places = np.stack(places) if places else np.zeros((0, 2, 3), np.float32)
        self._owners = np.asarray(owners, dtype=np.int64)
        self.first = self.faces[np.unique(self._owners, return_index=True)[1]]
        self.voices = [entry for person in self.row for entry in dataset.of(person, "voice")]

    def mean_of(self, values: Floats) -> Floats:
        """Of each person's faces. `[N, D]` -> `[P, D]`."""
        sums = np.zeros((len(self.row), values.shape[1]))
        np.add.at(sums, self._owners, values)
        return np.asarray(sums / np.bincount(self._owners)[:, None], dtype=np.float32)


class _Voices(Source):
    """Samples: `voice` `[E]`, mixed with a second one's."""

    def __init__(self, voices: Floats) -> None:
        self._voices = voices

    def __len__(self) -> int:
        return len(self._voices)

    def read(self, number: int, random: np.random.Generator) -> Arrays:
        other = self._voices[int(random.integers(len(self._voices)))]
        share = np.float32(random.uniform(0, _MOST_MIXED))
        return {"voice": (1 - share) * self._voices[number] + share * other}


class _UnheardVoices(Source):
    """Samples: `voice` `[E]`, `identity` `[I]` and `picture` of the person's faces, and a number for the person."""

    def __init__(
        self,
        voices: Floats,
        identities: Floats,
        people: npt.NDArray[np.int64],
        pictures: npt.NDArray[np.uint8],
    ) -> None:
        self._voices, self._identities, self._people, self._pictures = voices, identities, people, pictures

    def __len__(self) -> int:
        return len(self._voices)

    def read(self, number: int, random: np.random.Generator) -> Arrays:
        return {
            "voice": self._voices[number],
            "identity": self._identities[number],
            "person": np.asarray(self._people[number]),
            "picture": self._pictures[number],
        }


def _parent(spec: TrainSpec, models: Mapping[str, Path]) -> SpeechToFace | None:
    if spec.parent is None:
        return None
    parent = SpeechToFace.from_pretrained(models[spec.parent], "cpu")
    if not isinstance(parent.voice_to_face, IdentityHead):
        raise RecipeError(
            f"{spec.parent} has a head of an earlier kind, from which nothing can go on. Start without a parent."
        )
    return parent


def _model(
    spec: TrainSpec, recipe: DefaultModelTask, encoder: GE2E, parent: SpeechToFace | None
) -> SpeechToFace:
    if parent is not None:
        sizes, head = parent.config.face_generator, parent.config.head
    else:
        sizes = {"latent": recipe.latent, **DEFAULT_FACE_SIZES}
        head = {"identity": 128, "hidden": recipe.hidden}
    heard = encoder.config
    config = ModelConfig(
        name=spec.model,
        revision=1,
        clip_seconds=heard.clip_seconds,
        voice_encoder={"hidden": heard.hidden, "layers": heard.layers, "embedding": heard.embedding_length},
        face_generator=dict(sizes),
        head=dict(head),
    )
    model = SpeechToFace(config)
    model.voice_encoder.load_state_dict(encoder.voice_encoder.state_dict())
    if parent is not None:
        model.load_state_dict(parent.state_dict())
    model.voice_encoder.requires_grad_(False)
    return model
