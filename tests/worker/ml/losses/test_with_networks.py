"""The losses of Speech-to-face on the networks they are for: what is trained learns, and what is frozen does not."""

from __future__ import annotations

import torch
from torch import nn

from tests.worker.ml.small_networks import LENGTH, small_networks
from worker.ml.losses.face_decoder import decoder_loss
from worker.ml.losses.voice_encoder import script_weights, voice_encoder_loss
from worker.ml.networks.face_decoder import FaceDecoder
from worker.ml.networks.ve_conv import VEConv
from worker.ml.networks.vgg_face import VGGFace, normalised_faces

NETWORKS = small_networks()


def frozen_face_encoder() -> VGGFace:
    encoder = NETWORKS["vgg_face"]
    assert isinstance(encoder, VGGFace)
    return encoder.requires_grad_(False).eval()


def learning(network: nn.Module) -> set[str]:
    return {name for name, one in network.named_parameters() if one.grad is not None and one.grad.any()}


def test_a_decoder_learns_whom_it_draws_from_the_identity_term_alone() -> None:
    encoder, decoder = frozen_face_encoder(), NETWORKS["face_decoder"]
    assert isinstance(decoder, FaceDecoder)
    true = torch.rand(3, LENGTH)
    landmarks, textures = decoder.train()(true)
    terms = decoder_loss(
        landmarks,
        textures,
        torch.rand_like(landmarks) * 32,
        torch.rand_like(textures),
        true,
        embed=lambda drawn: encoder(normalised_faces(drawn * 255, encoder.config)),
    )
    terms.identity.backward(retain_graph=True)
    assert any(name.startswith("texture_layers") for name in learning(decoder))
    assert not any(name.startswith("landmark_layers") for name in learning(decoder))
    terms.total.backward()
    assert any(name.startswith("landmark_layers") for name in learning(decoder))
    assert not learning(encoder)


def test_a_voice_encoder_learns_from_what_the_face_networks_make_of_it() -> None:
    encoder, decoder, voice = frozen_face_encoder(), NETWORKS["face_decoder"], NETWORKS["ve_conv"]
    assert isinstance(decoder, FaceDecoder) and isinstance(voice, VEConv)
    decoder.zero_grad()
    decoder.requires_grad_(False).eval()
    before = {name: one.clone() for name, one in decoder.state_dict().items()}
    voices = voice.train()(torch.randn(3, 2, 257, 120))
    terms = voice_encoder_loss(
        voices,
        torch.rand(3, LENGTH),
        face_logits=encoder.class_logits,
        decoder_features=decoder.first_layers,
        weights=script_weights("ve_conv"),
    )
    terms.total.backward()
    assert torch.isfinite(terms.total)
    assert len(learning(voice)) == len(list(voice.parameters()))
    assert not learning(encoder) and not learning(decoder)
    # Statistics of batch norm included.
    assert all(torch.equal(one, before[name]) for name, one in decoder.state_dict().items())
