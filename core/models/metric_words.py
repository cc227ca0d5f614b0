"""What metrics are called where people read them, and how their numbers are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

METRIC_WORDS: dict[str, str] = {
    "matching.voice_to_face.2": "Finds the face of a voice among 2",
    "matching.voice_to_face.10": "Finds the face of a voice among 10",
    "matching.face_to_voice.2": "Finds the voice of a face among 2",
    "matching.face_to_voice.10": "Finds the voice of a face among 10",
    "auc": "Tells right pairs from wrong ones (AUC)",
    "retrieval.r1": "Right face in the first place",
    "retrieval.r5": "Right face among the first 5",
    "retrieval.r10": "Right face among the first 10",
    "retrieval.map": "Mean average precision",
    "embedding.cosine": "Cosine of predicted and true features",
    "embedding.l1": "Distance of predicted and true features (L1)",
    "embedding.l2": "Distance of predicted and true features (L2)",
    "embedding.angle": "Angle between predicted and true features",
    "landmarks.rmse": "Landmarks: error at 224 pixels",
    "landmarks.normalised": "Landmarks: error over the distance of the eyes",
    "ssim": "Structural similarity (SSIM)",
    "lpips": "Perceptual distance (LPIPS)",
    "frechet": "Fréchet distance of the two sets",
    "kernel_distance": "Kernel distance of the two sets",
    "attributes.gender": "Gender is read as the dataset says",
    "attributes.age": "Age is read in the decade of the true face's",
    "attributes.gender.read": "Gender is read as in the true face",
    "attributes.age_years": "Difference of the ages read, years",
    "likeness.cosine": "Cosine to the own true face",
    "likeness.l1": "Distance to the own true face (L1)",
    "likeness.l2": "Distance to the own true face (L2)",
    "likeness.angle": "Angle to the own true face",
    "inter_human": "Cosine to other people's true faces",
    "vggface_score": "VGGFace score, channels as the network wants",
    "vggface_score.sf2f": "VGGFace score, channels as SF2F fed them",
    "diversity": "Perceptual distance between two people's drawn faces",
    "face_found": "A face is found in the drawing",
    "variation.identity": "Cosine distance between two people's drawn faces",
    "variation.pixels": "Difference of pixels between two people's drawn faces",
}
# Headings of reports and pages, each with what stands below it and the first words of names of metrics.
METRIC_GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
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
_SAME_GENDER = ".same_gender"
# Shares of cases, which people read as percents.
_SHARES = ("matching.", "retrieval.r", "attributes.gender", "face_found")


# What else the name of a metric may end with, and the ways that matching goes.
_ENDINGS = {
    "same_gender": "within a gender",
    "dlib": "by dlib",
    "partner": "by its partner",
    "features": "in the model’s own features",
}
_WAYS = {
    "voice_to_face": "the face of a voice",
    "face_to_voice": "the voice of a face",
    "drawn_to_voice": "the voice of a drawn face",
    "voice_to_drawn": "the drawn face of a voice",
    "face_to_face": "the true face of a drawn one",
}


def metric_title(name: str) -> str:
    """The name of a metric in words; names nobody here knows stay nearly as they are."""
    title, endings = metric_words(name)
    return ", ".join([title, *endings])


def metric_words(name: str) -> tuple[str, list[str]]:
    """What a metric measures, and what sets it apart from others that measure that: `within a gender`, `by dlib`."""
    parts, endings = name.split("."), list[str]()
    while ".".join(parts) not in METRIC_WORDS and parts[-1] in _ENDINGS:
        endings.insert(0, _ENDINGS[parts.pop()])
    title = METRIC_WORDS.get(".".join(parts))
    if title is None and parts[0] == "matching" and len(parts) == 3 and parts[1] in _WAYS:
        title = f"Finds {_WAYS[parts[1]]} among {parts[2]}"
    if title is None and parts[0] == "retrieval" and len(parts) == 3:
        title = f"{METRIC_WORDS.get(f'retrieval.{parts[2]}', parts[2])}, of {parts[1].removeprefix('of')}"
    if title is None and parts[0] == "retrieval" and len(parts) == 2 and parts[1][1:].isdigit():
        title = f"Right face among the first {parts[1][1:]}"
    if title is None:
        title = name if len(parts) == 1 else ", ".join(parts[1:]).replace("_", " ").capitalize()
    return title, endings


def metric_group(name: str) -> int:
    """Which of `METRIC_GROUPS` a metric is shown in; the last for those nobody knows."""
    family = name.split(".")[0]
    for number, (_, _, families) in enumerate(METRIC_GROUPS):
        if family in families:
            return number
    return len(METRIC_GROUPS) - 1


def in_order(names: Iterable[str]) -> list[str]:
    """Metrics as they are listed: what says most comes first, what nobody here knows last."""
    ranks = {name: rank for rank, name in enumerate(METRIC_WORDS)}
    return sorted(names, key=lambda name: (ranks.get(name.removesuffix(_SAME_GENDER), len(ranks)), name))


def metric_number(name: str, value: float | None) -> str:
    """A value of a metric as it is printed: shares in percent, others with three digits that say something."""
    if value is None:
        return ""
    if name.startswith(_SHARES):
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"


def metric_interval(name: str, metric: Mapping[str, Any]) -> str:
    """The 95 % interval of a metric; empty where it has none."""
    low, high = metric.get("low"), metric.get("high")
    if low is None or high is None:
        return ""
    return f"{metric_number(name, low)} – {metric_number(name, high)}"
