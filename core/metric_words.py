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
    "retrieval.map": "Retrieval, mean average precision",
    "embedding.cosine": "Cosine similarity of embeddings",
    "embedding.l1": "Distance of embeddings (L1)",
    "embedding.l2": "Distance of embeddings (L2)",
    "embedding.angle": "Angle between embeddings",
    "landmarks.rmse": "Error of landmarks, pixels",
    "landmarks.normalised": "Error of landmarks, by the distance of the eyes",
    "ssim": "Structural similarity (SSIM)",
    "lpips": "Perceptual distance (LPIPS)",
    "frechet": "Fréchet distance",
    "kernel_distance": "Kernel distance",
    "attributes.gender": "Gender agrees",
    "attributes.age": "Age agrees",
    "attributes.gender.read": "Gender is read alike",
    "attributes.age_years": "Difference of the ages read, years",
    "likeness.cosine": "Cosine to the own true face",
    "likeness.l1": "Distance to the own true face (L1)",
    "likeness.l2": "Distance to the own true face (L2)",
    "likeness.angle": "Angle to the own true face",
    "inter_human": "Cosine to the true faces of others",
    "vggface_score": "VGG-Face score",
    "vggface_score.sf2f": "VGG-Face score, as SF2F took it",
    "diversity": "Diversity of faces",
    "face_found": "A face is found",
    "variation.identity": "Variation with the noise, identity",
    "variation.pixels": "Variation with the noise, pixels",
}
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
    parts, endings = name.split("."), list[str]()
    while ".".join(parts) not in METRIC_WORDS and parts[-1] in _ENDINGS:
        endings.insert(0, _ENDINGS[parts.pop()])
    base = ".".join(parts)
    title = METRIC_WORDS.get(base)
    if title is None and parts[0] == "matching" and len(parts) == 3 and parts[1] in _WAYS:
        title = f"Finds {_WAYS[parts[1]]} among {parts[2]}"
    if title is None and parts[0] == "retrieval" and len(parts) == 3:
        title = f"{METRIC_WORDS.get(f'retrieval.{parts[2]}', parts[2])}, of {parts[1].removeprefix('of')}"
    if title is None:
        title = name if len(parts) == 1 else ", ".join(parts[1:]).replace("_", " ").capitalize()
    return ", ".join([title, *endings])


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
