"""AST: first the head of the transformer alone, then, where asked for, the rest of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from core.training.specs import ASTTask, TrainSpec
from worker.ml.dataset_reader import PreparedDataset
from worker.ml.errors import RecipeError
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder, ASTVoiceEncoderConfig
from worker.ml.preparation.voices import FILTER_BANK, normalised_ast
from worker.ml.training.task import Phase, Task
from worker.ml.voice_spectrograms import SegmentRecipe, fill_windows, filter_banks
from worker.training.checks import lacking, need
from worker.training.networks import fresh_network, load_model, phase_of, start_from
from worker.training.voice_encoders import Array, VoiceEncoderTraining

HEAD, FINE_TUNE = "head", "fine_tune"
_ORIGINAL_DEVIATION = 1.0
_BACKBONE = ("width", "depth", "heads", "mlp_width", "patch_size", "stride", "frames", "mel_bands")


def build_task(
    spec: TrainSpec, dataset: PreparedDataset, models: Mapping[str, Path], device: str
) -> tuple[Task, tuple[Phase, ...]]:
    """See `worker.training.build_task`."""
    recipe = spec.recipe
    assert isinstance(recipe, ASTTask)
    phases = [phase_of(HEAD, recipe.loop)]
    if recipe.fine_tune is not None:
        phases.append(phase_of(FINE_TUNE, recipe.fine_tune))
    return ASTTraining(spec, recipe, dataset, models), tuple(phases)


class ASTTraining(VoiceEncoderTraining):
    """See `core.training.specs.ASTTask`. Features are `[frames, bands]`, normalised on the device.

    The phase is what decides which tensors learn; it is part of every checkpoint, so that a resumed run goes on with
    the head where it was killed in the head's phase.
    """

    script = "ast"
    time_axis, band_axis = 0, 1

    def __init__(
        self, spec: TrainSpec, recipe: ASTTask, dataset: PreparedDataset, models: Mapping[str, Path]
    ) -> None:
        super().__init__(spec, recipe, dataset, models)
        need(dataset, "voice", "ast")
        # Whole batches are divided by one norm in the original, which halves of a batch cannot reproduce.
        self.separable = recipe.compat is None
        self._network = self._begun(models)
        self._check_unfreeze()
        loops = [recipe.loop, *([recipe.fine_tune] if recipe.fine_tune else [])]
        self.begin_training(self._network, loops)
        if not self._kept_fit:
            raise RecipeError(
                "The dataset's ast features have 1024 frames of 128 bands, and the transformer hears others. Leave "
                "the sizes of features alone, or name another backbone."
            )

    @property
    def heard(self) -> SegmentRecipe:
        return self._network.config

    @property
    def kept(self) -> SegmentRecipe:
        return FILTER_BANK

    @property
    def blank_value(self) -> float:
        return float(self._network.config.mean)

    def features_of(self, waveforms: Sequence[Array]) -> torch.Tensor:
        # As the dataset keeps them: not normalised.
        config = replace(self._network.config, mean=0.0, std=0.5)
        return filter_banks(torch.from_numpy(fill_windows(waveforms, config)), config)

    def prepared(self, features: torch.Tensor) -> torch.Tensor:
        return normalised_ast(features, self._network.config.mean, self._network.config.std)

    def begin_phase(self, phase: str) -> None:
        self._network.requires_grad_(False)
        if phase == HEAD:
            self._network.classifier.dense.requires_grad_(True)
            return
        assert isinstance(self._recipe, ASTTask)
        for number, one in enumerate(self._network.parameters()):
            one.requires_grad_(number >= self._recipe.unfreeze)

    def _begun(self, models: Mapping[str, Path]) -> ASTVoiceEncoder:
        recipe = self._recipe
        assert isinstance(recipe, ASTTask)
        seed = self._spec.machine.seed
        backbone = None
        sizes = dict(recipe.sizes)
        if recipe.backbone is not None:
            backbone = load_model(models, recipe.backbone, "cpu", ASTVoiceEncoder, "the backbone")
            sizes |= {name: getattr(backbone.config, name) for name in _BACKBONE}
        original = recipe.compat == "original"
        fresh = fresh_network(
            ASTVoiceEncoder,
            sizes,
            seed,
            embedding_length=self._teacher.embedding_length,
            embedding_space=self._decoder.embedding_space or self._teacher.embedding_space,
            **self._statistics(original),
            **({"initial_deviation": _ORIGINAL_DEVIATION} if original else {}),
        )
        if backbone is not None:
            fresh.audio_spectrogram_transformer.load_state_dict(
                backbone.audio_spectrogram_transformer.state_dict()
            )
        if original:
            nn.init.trunc_normal_(
                fresh.classifier.dense.bias,
                std=_ORIGINAL_DEVIATION,
                generator=torch.Generator().manual_seed(seed),
            )
        return start_from(
            fresh, models, self._spec.parent, recipe.sizes, ours=("embedding_space", "mean", "std")
        )

    def _statistics(self, original: bool) -> dict[str, float]:
        if original:
            published = ASTVoiceEncoderConfig()
            return {"mean": published.mean, "std": published.std}
        statistics = self._dataset.description["statistics"]["ast"]
        if not statistics or not statistics["std"] > 0:
            raise lacking(
                "The dataset has no mean and deviation of its ast features. Prepare it again with --voice ast."
            )
        return {"mean": float(statistics["mean"]), "std": float(statistics["std"])}

    def _check_unfreeze(self) -> None:
        assert isinstance(self._recipe, ASTTask)
        tensors = sum(1 for _ in self._network.parameters())
        if self._recipe.unfreeze >= tensors:
            raise RecipeError(
                f"The network has {tensors} tensors, so with {self._recipe.unfreeze} frozen nothing would be learnt. "
                "Lower unfreeze."
            )
