"""Faces as Speech-to-face's inference script made them: `python -m benchmarks.infer_original MODEL KIND FOLDER`.

One recording after another: an FFmpeg process converts it, another brings it to the loudness, librosa or the AST
extractor of transformers makes the features, the networks run on a batch of one in float32, and matplotlib writes the
picture. (Its loudness program starts three processes, and it loads the networks for each call; here that is done once
and not counted, which favours it.) The default model is called in the same manner. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch

from benchmarks.preparation import RATE, ast_extractor, level, librosa_extractor
from worker.ml.drawing_models import load_drawing_model
from worker.ml.networks.pretrained import Network
from worker.ml.pair import Pair


def main() -> None:
    folder, kind, recordings = Path(sys.argv[1]), sys.argv[2], sorted(Path(sys.argv[3]).iterdir())
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with tempfile.TemporaryDirectory(prefix="voicesketch-original-") as scratch:
        place = Path(scratch)
        draw = drawer(folder, kind)
        began = 0.0
        for number, recording in enumerate([recordings[0], *recordings]):
            if number == 1:  # the first one was for warming up
                began = time.perf_counter()
            pyplot.imshow(draw(level(recording, place)))
            pyplot.axis("off")
            pyplot.savefig(place / f"{number}.png")
            pyplot.close()
        took = time.perf_counter() - began
        assert len(list(place.glob("*.png"))) == len(recordings) + 1
    print(json.dumps({"per_second": len(recordings) / took}))


def drawer(folder: Path, kind: str) -> Callable[[Path], np.ndarray]:
    """From a levelled file to a picture, uint8 `[H, W, 3]`."""
    model = load_drawing_model([folder], "cpu")
    if not isinstance(model, Pair):
        import librosa

        return lambda file: model.draw([librosa.load(file, sr=RATE)[0]])[0]
    pair = model
    for network in (pair.encoder, pair.decoder):
        assert isinstance(network, Network)
        network.precision = "float32"
    extract = ast_extractor() if kind == "ast" else librosa_extractor()

    def draw(file: Path) -> np.ndarray:
        features = torch.from_numpy(extract(file))
        with torch.no_grad():
            embedding = pair.encoder(features if kind == "ast" else features[None])
            return pair.decoder.decode(embedding).pictures[0]

    return draw


if __name__ == "__main__":
    main()
