"""Every kind of network there is, and where its class lives.

A folder says which kind it holds. Classes are imported when one is asked for: some bring large libraries along.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, cast

from worker.ml.errors import ModelError
from worker.ml.model_folders import read_config_values
from worker.ml.networks.pretrained import Network

Role = Literal["voice_encoder", "face_encoder", "decoder", "discriminator"]
_PACKAGE = "worker.ml.networks"


@dataclass(frozen=True)
class Kind:
    """Where the class of a kind is, and what its networks are for."""

    module: str
    name: str
    role: Role

    def network_class(self) -> type[Network]:
        """Import it."""
        return cast(type[Network], getattr(import_module(f"{_PACKAGE}.{self.module}"), self.name))


KINDS = {
    "ve_conv": Kind("ve_conv", "VEConv", "voice_encoder"),
    "ast": Kind("ast_voice_encoder", "ASTVoiceEncoder", "voice_encoder"),
    "matching_speech_encoder": Kind("matching_speech_encoder", "MatchingSpeechEncoder", "voice_encoder"),
    "ge2e": Kind("ge2e", "GE2E", "voice_encoder"),
    "voice_head": Kind("heads", "VoiceHead", "voice_encoder"),
    "vgg_face": Kind("vgg_face", "VGGFace", "face_encoder"),
    "matching_face_encoder": Kind("matching_face_encoder", "MatchingFaceEncoder", "face_encoder"),
    "face_head": Kind("heads", "FaceHead", "face_encoder"),
    "face_decoder": Kind("face_decoder", "FaceDecoder", "decoder"),
    "conditional_generator": Kind("conditional_generator", "ConditionalGenerator", "decoder"),
    "projection_discriminator": Kind("projection_discriminator", "ProjectionDiscriminator", "discriminator"),
}


def encoder_kinds() -> tuple[str, ...]:
    """Kinds that make embeddings, of voices or of faces."""
    return tuple(name for name, kind in KINDS.items() if kind.role in ("voice_encoder", "face_encoder"))


def decoder_kinds() -> tuple[str, ...]:
    """Kinds that draw."""
    return tuple(name for name, kind in KINDS.items() if kind.role == "decoder")


def load_network(folder: str | Path, device: str = "auto") -> Network:
    """Load whatever network a folder holds, see `Network.from_pretrained`.

    Raises:
        ModelError: `model_not_found`, `checkpoint_mismatch` or `device_not_found`.
    """
    kind = read_config_values(Path(folder)).get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(
            "checkpoint_mismatch",
            f"{folder} holds a network of an unknown kind, {kind!r}. There are {', '.join(KINDS)}.",
        )
    return KINDS[kind].network_class().from_pretrained(folder, device)
