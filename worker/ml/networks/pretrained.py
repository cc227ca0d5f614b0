"""What every network of ours has in common: sizes in a configuration, and a folder it is saved to and loaded from.

A folder holds `config.json` (kind, name, sizes, preprocessing recipe, checksum) and `model.safetensors`, in the manner
of Hugging Face: `Network.from_pretrained(folder)` and `network.save_pretrained(folder)`. The recipe travels with the
weights because features of another geometry or pictures in another order of channels give plausible nonsense.

Two kinds of networks can be put in a row to draw (`worker/ml/pair.py`): an *encoder* makes embeddings of voices or of
faces, a *decoder* makes pictures of embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from worker.ml.devices import Precision, choose_device
from worker.ml.errors import ModelError
from worker.ml.model_folders import read_config_values, write_config_values
from worker.ml.networks.initialisation import UnfilledWeights
from worker.ml.weight_files import read_tensors, write_tensors

FORMAT = 1  # of config.json


@dataclass(frozen=True)
class Identity:
    """Which network this is, apart from what it is made of.

    Attributes:
        name, revision: together the version, `name@revision`, as shown to people and written into pictures.
        weights_sha256: of the weights file; empty until they are saved.
    """

    name: str
    revision: int = 1
    weights_sha256: str = ""

    @property
    def version(self) -> str:
        """Such as `ve_conv@1`."""
        return f"{self.name}@{self.revision}"


class Network(nn.Module):
    """A network with a configuration.

    A subclass names its `kind`, sets `Config` to a frozen dataclass whose fields all have defaults and are JSON values
    (tuples come back as tuples), and takes one as the only argument of its constructor.

    Attributes:
        config: sizes and recipe.
        identity: name, revision and checksum.
        precision: of `encode` and `decode`, see `worker.ml.devices.inference_precision`.
    """

    kind: ClassVar[str]
    Config: ClassVar[type[Any]]

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config
        self.identity = Identity(self.kind)
        self.precision: Precision = "auto"

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str = "auto") -> Self:
        """Load a folder, in evaluation mode and without gradients.

        Args:
            folder: with `config.json` and `model.safetensors`.
            device: `auto` (a GPU when there is one), `cpu`, `cuda`, `cuda:1`, …

        Raises:
            ModelError: `model_not_found`, `checkpoint_mismatch` or `device_not_found`.
        """
        folder = Path(folder)
        values = read_config_values(folder)
        if values.get("kind") != cls.kind:
            raise ModelError(
                "checkpoint_mismatch",
                f"{folder} holds a network of kind {values.get('kind')!r}, not {cls.kind!r}.",
            )
        where = choose_device(device)
        try:
            identity = Identity(str(values["name"]), int(values["revision"]), str(values["weights_sha256"]))
            with UnfilledWeights():
                network = cls(config_from(cls.Config, values["config"]))
        except (RuntimeError, TypeError, ValueError, KeyError) as failure:
            raise ModelError(
                "checkpoint_mismatch",
                f"The configuration in {folder} does not describe a {cls.kind}: {failure}.",
            ) from failure
        tensors = read_tensors(folder, identity.weights_sha256)
        try:
            # Assigned and not copied: large networks would otherwise be in memory twice.
            network.load_state_dict(tensors, assign=True)
        except RuntimeError as failure:
            reason = str(failure).splitlines()[-1].strip()
            raise ModelError(
                "checkpoint_mismatch", f"The weights in {folder} do not fit their configuration: {reason}"
            ) from failure
        network.identity = identity
        return network.requires_grad_(False).eval().to(where)

    def save_pretrained(
        self, folder: str | Path, *, name: str | None = None, revision: int | None = None
    ) -> None:
        """Write `config.json` and `model.safetensors`; `from_pretrained` reads them back.

        Args:
            name, revision: of the saved network, where they change.
        """
        folder = Path(folder)
        sha256 = write_tensors(folder, self.state_dict())
        self.identity = Identity(
            name or self.identity.name,
            self.identity.revision if revision is None else revision,
            sha256,
        )
        values = {"kind": self.kind, "format": FORMAT, **asdict(self.identity)}
        write_config_values(folder, {**values, **self.part(), "config": asdict(self.config)})

    def part(self) -> dict[str, str]:
        """What this network can be part of, for whoever reads the configuration and knows no kinds."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device


class Encoder(Network):
    """Makes embeddings of voices or of faces.

    Attributes:
        input: what `encode` takes. `voice`: waveforms float32 `[T]`, 16 kHz mono, from half a second up. `face`:
            pictures uint8 RGB `[H, W, 3]` of any size.
        embedding_length: D.
        embedding_space: names what the numbers mean, such as `vgg_face_serengil`; two networks of one space fit
            together. Empty where nobody knows.
    """

    input: ClassVar[Literal["voice", "face"]]

    @property
    def embedding_length(self) -> int:
        return int(self.config.embedding_length)

    @property
    def embedding_space(self) -> str:
        return str(self.config.embedding_space)

    @property
    def clip_seconds(self) -> float:
        """How much of a recording is listened to; 0 for encoders of faces."""
        return 0.0

    def part(self) -> dict[str, str]:
        return {"part": "encoder", "input": self.input}

    def encode(self, inputs: Sequence[npt.NDArray[Any]]) -> torch.Tensor:
        """Preprocess by the recipe and embed. Answers float32 `[N, D]` on the network's device."""
        raise NotImplementedError


@dataclass(frozen=True)
class Pictures:
    """What a decoder draws.

    Attributes:
        pictures: uint8 RGB `[N, H, W, 3]`.
        landmarks: float32 `[N, points, 2]`, x then y in pixels of the picture, where the decoder has them.
    """

    pictures: npt.NDArray[np.uint8]
    landmarks: npt.NDArray[np.float32] | None = None


class Decoder(Network):
    """Makes pictures of embeddings.

    Attributes:
        embedding_length, embedding_space: of the embeddings it takes, as for `Encoder`.
        image_size: side of a picture in pixels.
        takes_noise: whether `seed` changes anything.
    """

    takes_noise: ClassVar[bool] = False

    @property
    def embedding_length(self) -> int:
        return int(self.config.embedding_length)

    @property
    def embedding_space(self) -> str:
        return str(self.config.embedding_space)

    @property
    def image_size(self) -> int:
        return int(self.config.image_size)

    def part(self) -> dict[str, str]:
        return {"part": "decoder"}

    def decode(self, embeddings: torch.Tensor, seed: int = 0) -> Pictures:
        """Draw a picture for each row of float32 `[N, D]`.

        Args:
            seed: of the noise, where the decoder takes any; every row gets the same noise, so that only the embedding
                makes the difference.
        """
        raise NotImplementedError


def config_from(kind: type[Any], values: Any) -> Any:
    """A configuration dataclass from JSON values; lists become tuples.

    Raises:
        ValueError: a field that the dataclass does not know.
        TypeError: not an object at all.
    """
    if not isinstance(values, dict):
        raise TypeError("its sizes are not a JSON object")
    known = {field.name for field in fields(kind)}
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"it has no setting {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return kind(**{name: _tuples(value) for name, value in values.items()})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
