"""Networks from the state dicts of other people's checkpoints: those of Speech-to-face and of transformers' AST.

Only names and shapes are dealt with here; opening files that strangers made is somebody else's task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import torch

from worker.ml.errors import ModelError
from worker.ml.networks import ast_voice_encoder, ve_conv, vgg_face
from worker.ml.networks.ast_voice_encoder import ASTVoiceEncoder, ASTVoiceEncoderConfig
from worker.ml.networks.face_decoder import FaceDecoder, FaceDecoderConfig
from worker.ml.networks.initialisation import UnfilledWeights
from worker.ml.networks.pretrained import Identity, Network
from worker.ml.networks.ve_conv import VEConv, VEConvConfig
from worker.ml.networks.vgg_face import Variant, VGGFace, VGGFaceConfig

KINDS = ("ve_conv", "ast", "face_decoder", "vggface_serengil", "vggface_rcmalli")

# The original trained its voice encoders and decoders on embeddings of pictures that it prepared in its own way.
ORIGINAL_SPACE = VGGFaceConfig.of("serengil", compat="original").embedding_space

_HEAD = ("classifier.dense.weight", "classifier.dense.bias")


def default_config(kind: str, *, compat: Literal["original"] | None = None) -> Any:
    """The sizes of the original, and the recipe: for VGG-Face the one its weights were trained with.

    Args:
        kind: one of `KINDS`.
        compat: for VGG-Face, see `VGGFaceConfig.of`; the other kinds are always the original's.

    Raises:
        ModelError: `checkpoint_mismatch` for an unknown kind.
    """
    match kind:
        case "ve_conv":
            return VEConvConfig(embedding_space=ORIGINAL_SPACE)
        case "ast":
            return ASTVoiceEncoderConfig(embedding_space=ORIGINAL_SPACE)
        case "face_decoder":
            return FaceDecoderConfig(embedding_space=ORIGINAL_SPACE)
        case "vggface_serengil" | "vggface_rcmalli":
            return VGGFaceConfig.of(cast(Variant, kind.removeprefix("vggface_")), compat=compat)
    raise ModelError(
        "checkpoint_mismatch", f"There is no kind of checkpoint called {kind!r}. Use {', '.join(KINDS)}."
    )


def network_from_original(
    kind: str,
    state: Mapping[str, Any],
    *,
    config: Any = None,
    compat: Literal["original"] | None = None,
    fresh_head: bool = False,
) -> Network:
    """Build a network around the tensors of a checkpoint, in evaluation mode and without gradients.

    Args:
        kind: one of `KINDS`.
        state: as under `model_state_dict` of the original's checkpoints, or as transformers saves an AST. Tensors of
            less precision are widened; they are not copied otherwise.
        config: other sizes or another recipe than `default_config`.
        compat: see `default_config`.
        fresh_head: give an AST a fresh head, for checkpoints that were trained on other classes.

    Raises:
        ModelError: `checkpoint_mismatch` with the first key that is missing, not known, of another shape or no number.
    """
    config = config or default_config(kind, compat=compat)
    with UnfilledWeights():
        network = _network(kind, config)
    network.identity = Identity(kind)
    given = _given(kind, state)
    if fresh_head and isinstance(network, ASTVoiceEncoder):
        network.reset_head()
        given |= {name: (name, network.state_dict()[name]) for name in _HEAD}
    tensors = {}
    for ours, wanted in network.state_dict().items():
        theirs = _original_name(ours, config)
        if theirs not in given:
            raise _mismatch(kind, f"the tensor {theirs} is missing")
        tensors[ours] = _checked(kind, *given.pop(theirs), wanted)
    if given:
        name, _ = next(iter(given.values()))
        raise _mismatch(kind, f"this network has no place for the tensor {name}")
    network.load_state_dict(tensors, assign=True)
    return network.requires_grad_(False).eval()


def _network(kind: str, config: Any) -> Network:
    match kind:
        case "ve_conv":
            return VEConv(config)
        case "ast":
            return ASTVoiceEncoder(config)
        case "face_decoder":
            return FaceDecoder(config)
        case _:
            return VGGFace(config)


def _original_name(ours: str, config: Any) -> str:
    if isinstance(config, VEConvConfig):
        return ve_conv.original_key(ours)
    if isinstance(config, VGGFaceConfig):
        return dict(vgg_face.original_keys(config))[ours]
    return ours


def _given(kind: str, state: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """The tensors by the names that `_original_name` gives, each with the name it came under."""
    given: dict[str, tuple[str, Any]] = {}
    for theirs, tensor in state.items():
        name = str(theirs).removeprefix("module.")  # of networks that were trained on several GPUs
        if kind == "ast":
            name = ast_voice_encoder.current_key(name)
        if name in given:
            raise _mismatch(kind, f"the tensors {given[name][0]} and {theirs} are the same one")
        given[name] = (str(theirs), tensor)
    return given


def _checked(kind: str, name: str, tensor: Any, wanted: torch.Tensor) -> torch.Tensor:
    if not isinstance(tensor, torch.Tensor):
        raise _mismatch(kind, f"{name} is no tensor")
    if wanted.ndim == 2 and tensor.ndim == 4 and tensor.flatten(1).shape == wanted.shape:
        tensor = tensor.flatten(1)  # a convolution as large as its input is a linear layer
    if tensor.shape != wanted.shape:
        raise _mismatch(kind, f"the tensor {name} is {list(tensor.shape)} and should be {list(wanted.shape)}")
    if tensor.is_floating_point() != wanted.is_floating_point():
        raise _mismatch(kind, f"the tensor {name} holds {tensor.dtype} and should hold {wanted.dtype}")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise _mismatch(kind, f"the tensor {name} holds values that are not numbers")
    widened: torch.Tensor = tensor.detach().to(wanted.dtype)
    return widened.contiguous()


def _mismatch(kind: str, reason: str) -> ModelError:
    return ModelError("checkpoint_mismatch", f"This is not a checkpoint of {kind}: {reason}.")
