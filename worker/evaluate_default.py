"""How good the default model's faces are: `python -m worker.evaluate_default --data DIR [--weights DIR]`.

Drawn faces are judged beside the frontal reconstructions of the same people (`face_f2f`, the most that could be hoped
for) and the published Speech2Face outputs for the same voices (`s2f_exg07`). Every share comes with its count and a
95 % interval; what chance would give is one half for matching. docs/model.md explains each line.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker.face_judges import Judges, Verdict
from worker.ml.default_model.pairs import Pair, read_pairs, stack_faces
from worker.ml.metrics import intervals
from worker.ml.metrics.diversity import identity_variation, pixel_variation
from worker.ml.metrics.matching import matching
from worker.ml.model_folders import find_model
from worker.ml.speech_to_face import SpeechToFace

Faces = npt.NDArray[np.uint8]
SET_NAMES = {"drawn": "drawn", "f2f": "face-to-face", "s2f": "Speech2Face"}


@dataclass(frozen=True)
class Share:
    """A count out of a total, with its 95 % interval (Wilson's, or bootstrap over people for matching)."""

    count: float
    total: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class SetReport:
    """One set of faces.

    Attributes:
        face_found: YuNet finds a face.
        gender_read: the reader agrees with the manifest.
        gender_read_confirmed: the same, among people whose original video frame is read as the manifest says.
        gender_by_identity: a linear classifier on SFace vectors of the training people's frontal faces agrees.
        pixel_distance: mean absolute difference between two people's faces, in grey levels of 255.
        identity_distance: mean cosine distance between two people's SFace vectors.
        identity_distance_same_gender: the same within a gender.
        matching: own frontal face nearer, by SFace, than that of a random other person.
        matching_same_gender: the same against others of the same gender.
    """

    face_found: Share
    gender_read: Share
    gender_read_confirmed: Share
    gender_by_identity: Share
    pixel_distance: float
    identity_distance: float
    identity_distance_same_gender: float
    matching: Share
    matching_same_gender: Share


def evaluate(
    model: SpeechToFace, data: Path, split: str, *, with_identity_reader: bool = True
) -> dict[str, SetReport]:
    """Draw a split and judge it. The keys are those of `SET_NAMES`.

    Args:
        with_identity_reader: whether to make the second reader, which must look at all training faces first.
    """
    pairs = _one_clip_each(read_pairs(data, split))
    drawn = model.draw([pair.waveform() for pair in pairs])
    sets = {"drawn": drawn, "f2f": stack_faces(pairs, "face_f2f"), "s2f": stack_faces(pairs, "s2f_exg07")}
    judges = Judges()
    verdicts = {name: [judges.judge(face) for face in faces] for name, faces in sets.items()}
    masculine = np.asarray([pair.gender == "male" for pair in pairs])
    frames = [judges.judge(pair.face("face_ori")) for pair in pairs]
    confirmed = np.asarray([frame.gender == pair.gender for frame, pair in zip(frames, pairs, strict=True)])
    reader = np.full(129, np.nan, dtype=np.float32)
    if with_identity_reader:
        reader = _identity_reader(read_pairs(data, "train"), judges)
    return {
        name: _report(sets[name], verdicts[name], verdicts["f2f"], masculine, confirmed, reader)
        for name in SET_NAMES
    }


def table(reports: dict[str, SetReport]) -> str:
    """The reports side by side, as text."""
    lines = ["".join([f"{'':32}", *(f"{SET_NAMES[name]:>26}" for name in reports)])]
    for line in SetReport.__dataclass_fields__:
        cells = [getattr(report, line) for report in reports.values()]
        lines.append("".join([f"{line.replace('_', ' '):32}", *(f"{_cell(cell):>26}" for cell in cells)]))
    return "\n".join(lines)


def wilson(count: int, total: int) -> Share:
    """A share with Wilson's 95 % interval."""
    if total == 0:
        return Share(0, 0, math.nan, math.nan, math.nan)
    return Share(count, total, count / total, *intervals.wilson(count, total))


def _one_clip_each(pairs: list[Pair]) -> list[Pair]:
    """The first clip of each identity: several of one person would count that person several times."""
    seen: dict[str, Pair] = {}
    for pair in pairs:
        seen.setdefault(pair.identity, pair)
    return list(seen.values())


def _report(
    faces: Faces,
    verdicts: list[Verdict],
    own: list[Verdict],
    masculine: npt.NDArray[np.bool_],
    confirmed: npt.NDArray[np.bool_],
    reader: npt.NDArray[np.float32],
) -> SetReport:
    agrees = np.asarray(
        [
            verdict.gender == ("male" if man else "female")
            for verdict, man in zip(verdicts, masculine, strict=True)
        ]
    )
    identities, own_identities = _stack(verdicts), _stack(own)
    by_identity = (identities @ reader[:-1] + reader[-1] > 0) == masculine
    same = masculine[:, None] == masculine[None]
    others = ~np.eye(len(faces), dtype=bool)
    distance = 1 - identities @ identities.T
    return SetReport(
        face_found=wilson(sum(verdict.found for verdict in verdicts), len(verdicts)),
        gender_read=wilson(int(agrees.sum()), len(agrees)),
        gender_read_confirmed=wilson(int(agrees[confirmed].sum()), int(confirmed.sum())),
        gender_by_identity=wilson(int(by_identity.sum()), len(by_identity)),
        pixel_distance=pixel_variation(faces).value,
        identity_distance=identity_variation(identities).value,
        identity_distance_same_gender=float(distance[others & same].mean()),
        matching=_matching(identities, own_identities, None),
        matching_same_gender=_matching(identities, own_identities, masculine.astype(np.int64)),
    )


def _stack(verdicts: list[Verdict]) -> npt.NDArray[np.float32]:
    """SFace vectors `[N, 128]`; zeros, similar to nobody, where no face was found."""
    return np.stack([np.zeros(128, np.float32) if one.identity is None else one.identity for one in verdicts])


def _matching(
    drawn: npt.NDArray[np.float32], own: npt.NDArray[np.float32], groups: npt.NDArray[np.int64] | None
) -> Share:
    """How often the own face is nearer than a rival's, over all pairs; interval by resampling people."""
    people = np.arange(len(drawn))
    per_person = matching(drawn, own, people, people, 2, groups=groups)
    same = np.ones((len(people),) * 2, dtype=bool) if groups is None else groups[:, None] == groups[None]
    rivals = same.sum(axis=1) - 1
    found = intervals.mean_over_people(per_person)
    won = float(np.nansum(per_person * rivals))
    return Share(won, int(rivals.sum()), found.value, found.low, found.high)


def _identity_reader(pairs: list[Pair], judges: Judges) -> npt.NDArray[np.float32]:
    """A second reader: ridge regression of gender on SFace vectors of real frontal faces. `[129]`, bias last."""
    verdicts = [judges.judge(pair.face("face_f2f")) for pair in pairs]
    known = [
        (verdict.identity, pair)
        for verdict, pair in zip(verdicts, pairs, strict=True)
        if verdict.identity is not None
    ]
    inputs = np.stack([np.append(identity, 1.0) for identity, _ in known])
    labels = np.asarray([1.0 if pair.gender == "male" else -1.0 for _, pair in known])
    return np.linalg.solve(inputs.T @ inputs + 1.0 * np.eye(129), inputs.T @ labels).astype(np.float32)


def _cell(value: Share | float) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if value < 2 else f"{value:.1f}"
    counted = f" of {value.total}" if value.total < 1000 else ""
    return f"{100 * value.share:.1f} %{counted} ({100 * value.low:.0f}–{100 * value.high:.0f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or JSON with `--json`."""
    parser = argparse.ArgumentParser(
        prog="worker.evaluate_default", description="Judge the faces a model draws."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of paired clips, with manifest.csv")
    parser.add_argument("--weights", default="default", help="model folder or name")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    model = SpeechToFace.from_pretrained(find_model(options.weights), options.device)
    reports = evaluate(model, options.data, options.split)
    if options.json:
        sys.stdout.write(
            json.dumps({name: asdict(report) for name, report in reports.items()}, indent=2) + "\n"
        )
    else:
        sys.stdout.write(f"{model.version}, {options.split} split\n{table(reports)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
