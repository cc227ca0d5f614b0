"""VE_conv: spectrograms to embeddings of faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from core.training.specs import TrainSpec, VEConvTask
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.networks.ve_conv import VEConv
from worker.ml.preparation.voices import SPECTROGRAM
from worker.ml.training.task import Phase, Task
from worker.ml.voice_spectrograms import SegmentRecipe, compressed_spectrograms, fill_windows
from worker.training.networks import fresh_network, phase_of, start_from
from worker.training.voice_encoders import Array, VoiceEncoderTraining


def build_task(
    spec: TrainSpec, dataset: PreparedDataset, models: Mapping[str, Path], device: str
) -> tuple[Task, tuple[Phase, ...]]:
    """See `worker.training.build_task`."""
    recipe = spec.recipe
    assert isinstance(recipe, VEConvTask)
    return VEConvTraining(spec, recipe, dataset, models), (phase_of("training", recipe.loop),)


class VEConvTraining(VoiceEncoderTraining):
    """See `core.training.specs.VEConvTask`. Features are `[2, bins, frames]`."""

    script = "ve_conv"
    time_axis, band_axis = 2, 1
    separable = False  # batch normalisation

    def __init__(
        self, spec: TrainSpec, recipe: VEConvTask, dataset: PreparedDataset, models: Mapping[str, Path]
    ) -> None:
        super().__init__(spec, recipe, dataset, models)
        fresh = fresh_network(
            VEConv,
            recipe.sizes,
            spec.machine.seed,
            embedding_length=self._teacher.embedding_length,
            embedding_space=self._decoder.embedding_space or self._teacher.embedding_space,
        )
        self._network = start_from(fresh, models, spec.parent, recipe.sizes)
        self.begin_training(self._network, [recipe.loop])

    @property
    def heard(self) -> SegmentRecipe:
        return self._network.config

    @property
    def kept(self) -> SegmentRecipe:
        return SPECTROGRAM

    def features_of(self, waveforms: Sequence[Array]) -> torch.Tensor:
        config = self._network.config
        return compressed_spectrograms(torch.from_numpy(fill_windows(waveforms, config)), config)
