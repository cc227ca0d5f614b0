"""How large each network is, and how much it computes for one clip: `python -m benchmarks networks`.

Little is computed: the networks are built of tensors without content and the operations counted, so it takes
seconds. The table of `docs/networks.md` holds these numbers, and a test compares the two.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from worker.ml.model_files import read_config
from worker.ml.model_folders import find_model
from worker.ml.networks.catalogue import KINDS
from worker.ml.networks.ge2e import GE2E
from worker.ml.networks.heads import Head
from worker.ml.networks.pretrained import Network
from worker.ml.networks.ve_conv import VEConv
from worker.ml.speech_to_face import SpeechToFace
from worker.ml.voice_features import MEL_BANDS, WINDOW_FRAMES, WINDOW_SAMPLES, window_starts

DEFAULT_MODEL = "speech_to_face"
_SAMPLE_RATE = 16_000
_REALLY_BUILT = ("ge2e", "voice_head")


@dataclass(frozen=True)
class Size:
    """Of a network with the sizes that it has by default.

    Attributes:
        given, answer: shapes for one clip, picture or embedding, without the batch.
        parameters: numbers that are learned; for the default model, all that its file holds.
        gflop: thousand million additions and multiplications, features not counted.
    """

    given: str
    answer: str
    parameters: int
    gflop: float


def network_size(kind: str) -> Size:
    """Of one of the catalogue's kinds, or of the default model."""
    if kind == DEFAULT_MODEL:
        return _default_model_size()
    network_class = KINDS[kind].network_class()
    # Those that hear with GE2E are small and build a filter bank that needs real numbers.
    with nullcontext() if kind in _REALLY_BUILT else FakeTensorMode(), torch.no_grad():
        network = network_class(network_class.Config()).eval()
        given = _inputs(kind, network)
        # Written out as products: PyTorch's counter does not know its quicker attention on CPUs.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            answer = network(*given)
    answers = answer if isinstance(answer, tuple) else (answer,)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    operations = counter.get_total_flops()
    if isinstance(network, GE2E):
        operations += _recurrent_operations(network.config.hidden, network.config.layers, windows=1)
    return Size(_shapes(given), _shapes(answers), parameters, operations / 1e9)


def _inputs(kind: str, network: Network) -> tuple[torch.Tensor, ...]:
    """What `network` takes for one clip."""
    config: Any = network.config

    def empty(*shape: int) -> torch.Tensor:
        return torch.empty(1, *shape)

    match KINDS[kind].role:
        case "voice_encoder" if isinstance(network, VEConv):
            return (empty(2, config.bins, config.frames),)
        case "voice_encoder" if kind == "ast":
            return (empty(config.frames, config.mel_bands),)
        case "voice_encoder" if kind == "ge2e":
            return (empty(WINDOW_FRAMES, MEL_BANDS),)
        case "voice_encoder" | "face_encoder" if isinstance(network, Head):
            return (empty(network.base.embedding_length),)
        case "voice_encoder":
            return (empty(round(config.clip_seconds * _SAMPLE_RATE)),)
        case "face_encoder":
            return (empty(3, config.image_size, config.image_size),)
        case "decoder" if getattr(network, "takes_noise", False):
            return empty(config.noise_length), empty(config.embedding_length)
        case "decoder":
            return (empty(config.embedding_length),)
        case _:
            return empty(3, config.image_size, config.image_size), empty(config.embedding_length)


def _default_model_size() -> Size:
    config = read_config(find_model("default"))
    samples = round(config.clip_seconds * _SAMPLE_RATE)
    windows = len(window_starts(samples, samples))
    model = SpeechToFace(config)  # small: it is really computed
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.voice_encoder.linear(torch.zeros(windows, config.voice_encoder["hidden"]))
        latent = model.voice_to_face(torch.zeros(1, config.voice_encoder["embedding"]))
        faces = model.face_generator(latent)
    recurrent = _recurrent_operations(
        config.voice_encoder["hidden"], config.voice_encoder["layers"], windows=windows
    )
    return Size(
        f"{windows}×{WINDOW_SAMPLES}",
        _shapes((faces,)),
        sum(tensor.numel() for tensor in model.state_dict().values()),
        (counter.get_total_flops() + recurrent) / 1e9,
    )


def _recurrent_operations(hidden: int, layers: int, *, windows: int) -> int:
    """PyTorch does not count recurrent layers: each step multiplies its input and its state with four matrices each."""
    lengths = [MEL_BANDS] + [hidden] * (layers - 1)
    return sum(2 * 4 * hidden * (length + hidden) for length in lengths) * WINDOW_FRAMES * windows


def _shapes(tensors: tuple[torch.Tensor, ...]) -> str:
    return ", ".join("×".join(map(str, tensor.shape[1:])) or "1" for tensor in tensors)


def main() -> None:
    print("| network | input | output | parameters | GFLOP |\n| --- | --- | --- | ---: | ---: |")
    for kind in (*KINDS, DEFAULT_MODEL):
        size = network_size(kind)
        print(f"| `{kind}` | {size.given} | {size.answer} | {size.parameters:,} | {size.gflop:.2f} |")


if __name__ == "__main__":
    main()
