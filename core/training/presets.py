"""Trainings to start from, by name: for each task the recipe of the original, the corrected one, and a small one.

A preset is a whole recipe; whoever asks for a training changes single values of it. The `-original` ones are what the
original's scripts do, faults included where `compat` brings them back; the `-small` ones are done in minutes on two
processor cores and are for trying out a dataset, not for good faces.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.training.parts import Augmentation, Loop, Machine, Optimiser, Pairing, Schedule, Sizes
from core.training.specs import (
    ASTTask,
    DefaultModelTask,
    FaceDecoderTask,
    GanTask,
    MatchingTask,
    Task,
    VEConvTask,
)


@dataclass(frozen=True)
class Preset:
    """A recipe with a name.

    Attributes:
        title: of a few words, for lists.
        sentence: what it trains, on what, and what is special about it.
        machine: how it is best run, where that differs from the defaults.
    """

    name: str
    title: str
    sentence: str
    recipe: Task
    machine: Machine = field(default_factory=Machine)


_PLAIN = Augmentation(flip=False, crop=False)
_AS_GIVEN = Machine(precision="fp32")
_COSINE = Schedule(kind="cosine", warmup_steps=200)
_FIRST_FACE = Pairing(rule="all_to_one", face="first")

_SMALL_DECODER: Sizes = {
    "shared_lengths": (256, 128),
    "landmark_lengths": (64,),
    "texture_side": 7,
    "texture_widths": (64, 32, 16, 8),
}
_SMALL_VE_CONV: Sizes = {
    "widths": (8, 16, 32, 64),
    "strides": (4, 2, 2, 2),
    "pooled": (False, True, False, False),
    "hidden_length": 256,
    "final_relu": False,
}
_SMALL_AST: Sizes = {
    "width": 96,
    "depth": 3,
    "heads": 3,
    "mlp_width": 192,
    "stride": 16,
    "final_relu": False,
}
_SMALL_SPEECH: Sizes = {
    "embedding_length": 64,
    "filters": 32,
    "filter_length": 101,
    "filter_stride": 32,
    "front_norm": "clip",
    "channels": (48, 96, 96),
}
_SMALL_FACE: Sizes = {"embedding_length": 64, "image_size": 32, "base_channels": 16, "max_channels": 64}
_GAN = GanTask()

_LIST = (
    Preset(
        "face_decoder",
        "Face decoder",
        "Draws a face with landmarks from a VGG-Face embedding; landmarks from -1 to 1, an identity term that teaches, "
        "mirrored faces, a falling learning rate.",
        FaceDecoderTask(
            loop=Loop(epochs=300, batch=32, schedule=_COSINE, clip_norm=10.0, patience=30),
            augmentation=Augmentation(brightness=0.05),
        ),
    ),
    Preset(
        "face_decoder-warp",
        "Face decoder with warp",
        "The same, drawing every face in the frame of the mean landmarks and bending it to its own.",
        FaceDecoderTask(
            loop=Loop(epochs=300, batch=32, schedule=_COSINE, clip_norm=10.0, patience=30),
            augmentation=Augmentation(brightness=0.05),
            warp=True,
        ),
    ),
    Preset(
        "face_decoder-original",
        "Face decoder, as the original",
        "Adam at 0.001, batches of 16, 1,000 epochs, landmarks in pixels, an identity term without a gradient, nothing "
        "else.",
        FaceDecoderTask(loop=Loop(epochs=1000, batch=16), augmentation=_PLAIN, compat="original"),
        _AS_GIVEN,
    ),
    Preset(
        "face_decoder-small",
        "Face decoder, small",
        "Faces of 56 pixels without the identity term, so that no face encoder runs.",
        FaceDecoderTask(
            loop=Loop(epochs=30, batch=16, schedule=Schedule(kind="cosine", warmup_steps=20)),
            face_encoder=None,
            identity_weight=0.0,
            sizes=_SMALL_DECODER,
            augmentation=Augmentation(flip=False, crop=False, brightness=0.05),
        ),
    ),
    Preset(
        "ve_conv",
        "VE_conv",
        "The convolutional voice encoder with losses a voice, the mean face of a person, blanked stretches and no last "
        "ReLU.",
        VEConvTask(
            loop=Loop(
                epochs=100,
                batch=16,
                optimiser=Optimiser(betas=(0.5, 0.999), eps=1e-4),
                schedule=Schedule(kind="steps", every_steps=10_000, factor=0.95, warmup_steps=500),
                clip_norm=10.0,
                patience=10,
            ),
            sizes={"final_relu": False},
            augmentation=Augmentation(time_masks=1, band_masks=1),
        ),
    ),
    Preset(
        "ve_conv-original",
        "VE_conv, as the original",
        "Adam at 0.001 with betas 0.5 and 0.999, batches of 4, 100 epochs, every voice with the person's first face, "
        "losses divided by norms of whole batches.",
        VEConvTask(
            loop=Loop(epochs=100, batch=4, optimiser=Optimiser(betas=(0.5, 0.999), eps=1e-4)),
            pairing=_FIRST_FACE,
            augmentation=_PLAIN,
            compat="original",
        ),
        _AS_GIVEN,
    ),
    Preset(
        "ve_conv-small",
        "VE_conv, small",
        "Four narrow convolutions on the same spectrograms.",
        VEConvTask(
            loop=Loop(
                epochs=10,
                batch=16,
                optimiser=Optimiser(betas=(0.5, 0.999), eps=1e-4),
                schedule=Schedule(kind="cosine", warmup_steps=20),
            ),
            sizes=_SMALL_VE_CONV,
        ),
    ),
    Preset(
        "ast",
        "AST",
        "An audio transformer: first its head, then all of it gently; best with a registered backbone "
        "(recipe.backbone), without which it starts from random weights.",
        ASTTask(
            loop=Loop(epochs=30, batch=16, optimiser=Optimiser(learning_rate=1e-4), patience=5),
            fine_tune=Loop(
                epochs=30,
                batch=16,
                optimiser=Optimiser(name="adamw", learning_rate=1e-5, weight_decay=0.01),
                schedule=_COSINE,
                clip_norm=1.0,
                patience=5,
            ),
            sizes={"final_relu": False},
            augmentation=Augmentation(time_masks=2, band_masks=2),
        ),
    ),
    Preset(
        "ast-original",
        "AST, as the original",
        "Adam at 0.0001 on a head that starts with a deviation of 1, batches of 8, 100 epochs; then at 0.000001 on "
        "everything, batches of 2, 100 epochs.",
        ASTTask(
            loop=Loop(epochs=100, batch=8, optimiser=Optimiser(learning_rate=1e-4)),
            fine_tune=Loop(epochs=100, batch=2, optimiser=Optimiser(learning_rate=1e-6)),
            pairing=_FIRST_FACE,
            augmentation=_PLAIN,
            compat="original",
        ),
        _AS_GIVEN,
    ),
    Preset(
        "ast-small",
        "AST, small",
        "A transformer of three narrow layers, from random weights; nearly all of it is learnt in the second phase.",
        ASTTask(
            loop=Loop(epochs=2, batch=16, optimiser=Optimiser(learning_rate=1e-3)),
            fine_tune=Loop(
                epochs=8,
                batch=16,
                optimiser=Optimiser(name="adamw", learning_rate=5e-4),
                schedule=Schedule(kind="cosine", warmup_steps=20),
            ),
            sizes=_SMALL_AST,
        ),
    ),
    Preset(
        "matching",
        "Matching",
        "A speech encoder on waveforms and a face encoder on pictures that find each other within a batch; no labels "
        "are used.",
        MatchingTask(
            loop=Loop(
                epochs=100, batch=64, optimiser=Optimiser(learning_rate=1e-4), clip_norm=10.0, patience=20
            )
        ),
    ),
    Preset(
        "matching-balanced",
        "Matching, as many of each gender",
        "The same with 15 negatives a query, as many of each gender as there are, so that hearing the gender does not "
        "suffice.",
        MatchingTask(
            loop=Loop(
                epochs=100, batch=64, optimiser=Optimiser(learning_rate=1e-4), clip_norm=10.0, patience=20
            ),
            negatives=15,
            mix="balanced",
            group="gender",
        ),
    ),
    Preset(
        "matching-pretrained",
        "Matching on pretrained features",
        "Heads on frozen encoders: the default model's voice encoder, and a face encoder where one is named "
        "(recipe.face_encoder); made for small datasets.",
        MatchingTask(
            loop=Loop(
                epochs=12,
                batch=64,
                optimiser=Optimiser(name="adamw", learning_rate=2e-3, weight_decay=0.1),
                schedule=Schedule(kind="cosine", warmup_steps=20),
                clip_norm=10.0,
            ),
            features="pretrained",
            sizes={"embedding_length": 64, "dropout": 0.5},
            face_sizes={"image_size": 64, "base_channels": 24, "max_channels": 96},
            augmentation=Augmentation(brightness=0.1),
        ),
    ),
    Preset(
        "matching-small",
        "Matching, small",
        "Narrow encoders on 2 seconds of voice and faces of 32 pixels.",
        MatchingTask(
            loop=Loop(
                epochs=30,
                batch=64,
                optimiser=Optimiser(learning_rate=2e-3),
                schedule=Schedule(kind="cosine", warmup_steps=20),
                clip_norm=10.0,
            ),
            clip_seconds=2.0,
            sizes=_SMALL_SPEECH,
            face_sizes=_SMALL_FACE,
            augmentation=Augmentation(brightness=0.1),
        ),
    ),
    Preset(
        "gan",
        "Conditional GAN",
        "A generator that draws from a frozen speech encoder and noise, against a projection discriminator, with the "
        "relativistic identity loss.",
        _GAN,
    ),
    Preset(
        "gan-small",
        "Conditional GAN, small",
        "Faces of 64 pixels from narrow networks.",
        GanTask(
            loop=Loop(epochs=60, batch=32, optimiser=Optimiser(name="rmsprop", learning_rate=2e-4)),
            average=0.995,
            sizes={"image_size": 64, "noise_length": 32, "base_channels": 24, "max_channels": 96},
            discriminator_sizes={"base_channels": 24, "max_channels": 96},
        ),
        Machine(validate_epochs=5),
    ),
    Preset(
        "gan-no_identity",
        "GAN without identity terms",
        "An ablation: the discriminator is never asked whether the face goes with the voice of somebody else.",
        _GAN.model_copy(update={"identity_weight": 0.0}),
    ),
    Preset(
        "gan-standard",
        "GAN without differences",
        "An ablation: the standard objective in place of the relativistic one.",
        _GAN.model_copy(update={"objective": "standard"}),
    ),
    Preset(
        "gan-face_trunk",
        "GAN from the face encoder",
        "The discriminator starts from the trunk of the matching face encoder.",
        _GAN.model_copy(update={"face_encoder": "matching-face"}),
    ),
    Preset(
        "gan-noise",
        "GAN without voices",
        "An ablation: random conditions in place of voices, so that only what faces look like is learnt.",
        _GAN.model_copy(update={"condition": "noise", "identity_weight": 0.0}),
    ),
    Preset(
        "default",
        "Default model",
        "The model that ships: a pretrained voice encoder, a head, and a morphable face.",
        DefaultModelTask(),
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _LIST}
