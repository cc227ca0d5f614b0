"""Make the default model: `python -m worker.train_default --data DIR --ge2e WHEEL_OR_PT --out weights/default`.

The steps, each in its own file under `worker/ml/default_model/`: embed the training voices; align the frontal faces;
find face space; fit the map from voices to face space; save; judge. docs/model.md says why. Everything is seeded. About
five minutes on two cores.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from worker.ml.default_model.face_alignment import GRID, align
from worker.ml.default_model.face_space import FaceSpace, find_face_space
from worker.ml.default_model.ge2e_weights import load_ge2e
from worker.ml.default_model.pairs import Pair, read_pairs, stack_faces
from worker.ml.default_model.sharpness import clarity_weights
from worker.ml.default_model.voice_regression import RegressionSettings, fit
from worker.ml.face_generator import ENLARGE
from worker.ml.model_files import ModelConfig
from worker.ml.speech_to_face import SpeechToFace

log = logging.getLogger("train_default")

LATENT = 128
CONFIG = ModelConfig(
    name="default",
    revision=1,
    clip_seconds=6.4,
    voice_encoder={"hidden": 256, "layers": 3, "embedding": 256},
    face_generator={"latent": LATENT, "texture_size": 112, "field_grid": GRID},
)
CLIPS_AT_ONCE = 32


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the training; returns the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    model = train(options.data, options.ge2e, options.out, options.seed)
    log.info("saved %s, weights %s", options.out, model.weights_sha256)
    if not options.no_judges:
        from worker.evaluate_default import evaluate, table  # the judges are an extra

        sys.stdout.write(table(evaluate(model, options.data, "test")) + "\n")
    return 0


def train(data: Path, ge2e: Path, out: Path, seed: int) -> SpeechToFace:
    """Train on the training split and save to `out`."""
    torch.manual_seed(seed)
    pairs = read_pairs(data, "train")
    model = SpeechToFace(CONFIG)
    model.voice_encoder.load_state_dict(load_ge2e(ge2e).state_dict())
    log.info("listening to %d voices", len(pairs))
    embeddings = embed_voices(model, pairs)
    faces = stack_faces(pairs, "face_f2f")
    weights = clarity_weights(faces)
    space = face_space(faces)
    head = fit(
        embeddings,
        ((space.latents + space.mirrored) / 2).astype(np.float32),
        np.asarray([pair.gender == "male" for pair in pairs]),
        weights,
        seed,
        RegressionSettings(),
    )
    model.voice_to_face.load_state_dict(head.state_dict())
    model.face_generator.load_state_dict(space.generator.state_dict())
    model.save_pretrained(out)
    return SpeechToFace.from_pretrained(out, "cpu")


def embed_voices(model: SpeechToFace, pairs: Sequence[Pair]) -> npt.NDArray[np.float32]:
    """Voice embeddings float32 `[N, E]`."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pairs), CLIPS_AT_ONCE):
            waveforms = [pair.waveform() for pair in pairs[start : start + CLIPS_AT_ONCE]]
            parts.append(model.listen(waveforms).numpy())
    return np.concatenate(parts)


def face_space(faces: npt.NDArray[np.uint8]) -> FaceSpace:
    """Align the faces, uint8 `[N, 224, 224, 3]`, and find the space they live in."""
    pictures = F.avg_pool2d(torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255, ENLARGE)
    fields = align(pictures, _tell_alignment)
    log.info("finding face space")
    with torch.inference_mode():
        return find_face_space(pictures, fields, LATENT)


def _tell_alignment(step: int, loss: float) -> None:
    if step % 10 == 0:
        log.info("aligning faces, step %d: %.4f", step, loss)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="worker.train_default", description="Make the default model.")
    parser.add_argument("--data", type=Path, required=True, help="folder of paired clips, with manifest.csv")
    parser.add_argument(
        "--ge2e", type=Path, required=True, help="Resemblyzer's wheel, or pretrained.pt from it"
    )
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-judges", action="store_true", help="do not evaluate at the end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
