"""Names of measures in words, for people who read reports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Format = Literal["share", "number", "degrees", "pixels"]

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Finding the right person",
        "Shown one side and several candidates of the other, exactly one of them of the same person: how often is the "
        "right one nearest? Negatives of the same gender are harder, since a guess of the gender no longer helps.",
        ("matching", "auc"),
    ),
    (
        "Finding them in a gallery",
        "Everybody's true face side by side: is the right one among the K nearest? The larger the gallery, the harder.",
        ("retrieval",),
    ),
    (
        "Likeness to the true face",
        "Each drawn face beside a true one of the same person.",
        ("likeness", "inter_human", "embedding", "landmarks", "ssim", "lpips"),
    ),
    (
        "How the faces are read",
        "What a detector and a reader say of the pictures. They judge pictures, not people.",
        ("face_found", "attributes"),
    ),
    (
        "Measures of the face",
        "Pearson's r between a measure of the true face and of the drawn one, over people. 0 is no relation at all.",
        ("craniofacial",),
    ),
    (
        "The faces as a set",
        "Whether drawn faces differ from each other, and are distributed as true ones. None of these asks whether a "
        "face is the right one.",
        ("variation", "diversity", "vggface_score", "frechet", "kernel_distance"),
    ),
)

_WORDS = {
    "auc": "Telling pairs of one person from pairs of two (AUC)",
    "retrieval.map": "Mean average precision",
    "likeness.cosine": "Cosine to the own true face",
    "likeness.l1": "L1 distance of unit vectors",
    "likeness.l2": "L2 distance of unit vectors",
    "likeness.angle": "Angle to the own true face",
    "inter_human": "Cosine to other people's true faces",
    "embedding.cosine": "Cosine of predicted and true features",
    "embedding.l1": "L1 distance of features, unit length",
    "embedding.l2": "L2 distance of features, unit length",
    "embedding.angle": "Angle between predicted and true features",
    "landmarks.rmse": "Landmarks: error at 224 pixels",
    "landmarks.normalised": "Landmarks: error over the distance of the eyes",
    "ssim": "Structural similarity (SSIM)",
    "lpips": "Perceptual distance (LPIPS)",
    "face_found": "A face is found in the drawing",
    "attributes.gender": "Gender read as the dataset says",
    "attributes.gender.read": "Gender read as in the true face",
    "attributes.age": "Age read in the decade of the true face's",
    "attributes.age_years": "Difference of the ages read",
    "variation.identity": "Cosine distance between two people's drawn faces",
    "variation.pixels": "Difference between two people's drawn faces",
    "diversity": "Perceptual distance between two people's drawn faces",
    "vggface_score": "VGGFace score, channels as the network wants",
    "vggface_score.sf2f": "VGGFace score, channels as SF2F fed them",
    "frechet": "Fréchet distance of the two sets",
    "kernel_distance": "Kernel distance of the two sets",
}
_DIRECTIONS = {
    "voice_to_face": "Voice to face",
    "face_to_voice": "Face to voice",
    "drawn_to_voice": "Drawn face to voice",
    "voice_to_drawn": "Voice to drawn face",
    "face_to_face": "Drawn face to true face",
}
_ENDINGS = {
    "same_gender": "same gender",
    "dlib": "by dlib",
    "partner": "by its partner",
    "features": "in the model's own features",
}


@dataclass(frozen=True)
class Words:
    """`title`, and what sets this one apart from others of the title: `by dlib`, `same gender`."""

    title: str
    apart: str


def words_of(name: str) -> Words:
    """A measure's name in words."""
    parts = name.split(".")
    endings: list[str] = []
    while parts[-1] in _ENDINGS and name not in _WORDS:
        endings.insert(0, _ENDINGS[parts.pop()])
    bare = ".".join(parts)
    if bare in _WORDS:
        title = _WORDS[bare]
    elif parts[0] == "matching":
        title = f"{_DIRECTIONS.get(parts[1], parts[1])}, 1 of {parts[2]}"
    elif parts[0] == "retrieval":
        of_100 = len(parts) == 3
        k = parts[-1][1:]
        title = ("Nearest of all" if k == "1" else f"Among the {k} nearest") + (" of 100" if of_100 else "")
    elif parts[0] == "craniofacial":
        title = parts[1].replace("_", " ").capitalize()
    else:
        title = bare
    return Words(title, ", ".join(endings))


def group_of(name: str) -> int:
    """Which of `GROUPS` a measure belongs to; the last for unknown ones."""
    family = name.split(".")[0]
    for number, (_, _, families) in enumerate(GROUPS):
        if family in families:
            return number
    return len(GROUPS) - 1


def format_of(name: str) -> Format:
    """How its numbers are written."""
    family = name.split(".")[0]
    if family in ("matching", "retrieval", "face_found", "auc") or name in (
        "attributes.gender",
        "attributes.gender.read",
        "attributes.age",
    ):
        return "share"
    if "angle" in name:
        return "degrees"
    return "pixels" if name == "landmarks.rmse" else "number"


def written(name: str, value: float) -> str:
    """A number of a measure as people read it; its unit never stands on a line of its own."""
    kind = format_of(name)
    if kind == "share":
        text = f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    elif kind == "degrees":
        text = f"{value:.1f}°"
    elif kind == "pixels":
        text = f"{value:.2f}\N{NO-BREAK SPACE}px"
    elif abs(value) >= 10:
        text = f"{value:.1f}"
    elif name.startswith("craniofacial"):
        text = f"{value:.2f}"
    else:
        text = f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}") if value < 0 else text


def in_reading_order(names: Iterable[str]) -> list[str]:
    """Names with those that differ in the judge alone next to each other, otherwise in their order."""
    given = list(names)
    first = {name.removesuffix(".dlib"): place for place, name in reversed(list(enumerate(given)))}
    return sorted(given, key=lambda name: first[name.removesuffix(".dlib")])
