"""The parts in a row: waveforms in, faces out.

    waveform -> windows -> mel power -> VoiceEncoder -> mean per clip -> head -> FaceGenerator -> RGB

The head is an `IdentityHead`, or in models of the first revision a `VoiceToFace`.

A face is a function of its recording and the weights alone. There is no noise anywhere, dropout or batch statistics
there are none, each clip's windows are averaged by themselves, and the small network runs in float32 everywhere: the
same recording gives the same bytes from run to run on one device, and at most one grey level of difference between
devices or beside other batch mates (matrix libraries sum in another order for other shapes).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from worker.ml.devices import choose_device
from worker.ml.errors import ModelError
from worker.ml.face_generator import LANDMARKS, FaceGenerator
from worker.ml.identity_head import IdentityHead
from worker.ml.model_files import ModelConfig, read_config, write_model
from worker.ml.networks.pretrained import Pictures
from worker.ml.voice_encoder import VoiceEncoder, mean_per_clip
from worker.ml.voice_features import SAMPLE_RATE, MelPower, cut_windows
from worker.ml.voice_to_face import VoiceToFace
from worker.ml.weight_files import read_tensors

# Of the face generator, besides the length of its latent.
DEFAULT_FACE_SIZES = {"texture_size": 112, "field_grid": 14, "landmarks": LANDMARKS}
MOST_CLIPS_AT_ONCE = 32  # larger batches are cut: they are no quicker on a CPU and cost memory


class SpeechToFace(nn.Module):
    """A model that draws a face for a voice.

    Attributes:
        config: sizes, name and checksum.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.mel_power = MelPower()
        self.voice_encoder = VoiceEncoder(**config.voice_encoder)
        lengths = config.voice_encoder["embedding"], config.face_generator["latent"]
        self.voice_to_face: IdentityHead | VoiceToFace = (
            IdentityHead(*lengths, **config.head) if config.head else VoiceToFace(*lengths)
        )
        self.face_generator = FaceGenerator(**config.face_generator)
        self.eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str = "auto") -> SpeechToFace:
        """Load a model folder.

        Args:
            folder: see `worker.ml.model_files`.
            device: `auto` (a GPU when there is one), `cpu`, `cuda`, `cuda:1`, …

        Raises:
            ModelError: `model_not_found` or `checkpoint_mismatch`.
        """
        folder = Path(folder)
        config = read_config(folder)
        tensors = read_tensors(folder, config.weights_sha256)
        try:
            model = cls(config)
            model.load_state_dict(tensors)
        except (RuntimeError, TypeError, ValueError, KeyError, IndexError) as failure:
            reason = str(failure).splitlines()[-1].strip()
            raise ModelError(
                "checkpoint_mismatch", f"The weights in {folder} do not fit their configuration: {reason}"
            ) from failure
        return model.requires_grad_(False).to(choose_device(device))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors`; `from_pretrained` reads them back."""
        self.config = write_model(Path(folder), self.config, self.state_dict())

    @property
    def version(self) -> str:
        """Such as `default@1`."""
        return self.config.version

    @property
    def weights_sha256(self) -> str:
        """Checksum of the weights file."""
        return self.config.weights_sha256

    @property
    def image_size(self) -> int:
        """Side of a face in pixels."""
        return self.face_generator.image_size

    @property
    def input(self) -> Literal["voice", "face"]:
        """What `draw` takes."""
        return "voice"

    @property
    def sample_rate(self) -> int:
        """Of the waveforms `draw` expects, in Hz."""
        return SAMPLE_RATE

    @property
    def clip_seconds(self) -> float:
        """How much of a recording is listened to."""
        return self.config.clip_seconds

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.voice_encoder.linear.weight.device

    def listen(self, waveforms: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        """Voice embeddings `[N, E]` of waveforms, each float32 `[T]` at 16 kHz."""
        windows = [cut_windows(waveform, self.clip_seconds) for waveform in waveforms]
        together = torch.from_numpy(np.concatenate(windows)).to(self.device)
        return mean_per_clip(self.voice_encoder(self.mel_power(together)), [len(part) for part in windows])

    def paint(self, embeddings: torch.Tensor) -> Pictures:
        """Faces, and their landmarks where they are known, for voice embeddings `[N, E]`."""
        latent = self.voice_to_face(embeddings.to(self.device))
        levels = self.face_generator(latent).clamp(0, 1).mul(255).round().to(torch.uint8)
        points = self.face_generator.landmarks(latent)
        return Pictures(
            np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy()),
            points.cpu().numpy() if points is not None else None,
        )

    def draw(self, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> npt.NDArray[np.uint8]:
        """The pictures of `draw_with_landmarks`."""
        return self.draw_with_landmarks(inputs, seed).pictures

    def draw_with_landmarks(self, inputs: Sequence[npt.NDArray[Any]], seed: int = 0) -> Pictures:
        """Draw a face for each recording.

        Args:
            inputs: waveforms, each float32 `[T]`, 16 kHz mono, of any length from half a second up.
            seed: not used: this model takes no noise.

        Returns:
            Faces of `image_size`, and the 68 landmarks of each where the model knows them.
        """
        pictures = [np.zeros((0, self.image_size, self.image_size, 3), dtype=np.uint8)]
        points: list[npt.NDArray[np.float32]] = []
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with torch.inference_mode(), exact:
            for start in range(0, len(inputs), MOST_CLIPS_AT_ONCE):
                drawn = self.paint(self.listen(inputs[start : start + MOST_CLIPS_AT_ONCE]))
                pictures.append(drawn.pictures)
                if drawn.landmarks is not None:
                    points.append(drawn.landmarks)
        return Pictures(np.concatenate(pictures), np.concatenate(points) if points else None)
