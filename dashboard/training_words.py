"""The words people read about trainings and evaluations: tasks, curves, metrics, settings."""

from __future__ import annotations

from core.states import JobState
from dashboard.words import JOB_WORDS

PROGRAM_WORDS: dict[str, dict[JobState, str]] = {
    "train": {
        **JOB_WORDS,
        JobState.RUNNING: "Training",
        JobState.COMPLETED_WITH_ERRORS: "Trained, not finished",
    },
    "evaluate": {**JOB_WORDS, JobState.RUNNING: "Measuring", JobState.COMPLETED_WITH_ERRORS: "Not complete"},
    "analyse": {**JOB_WORDS, JobState.RUNNING: "Drawing", JobState.COMPLETED_WITH_ERRORS: "Not complete"},
}

# Each task: a title, and what it is for.
TASK_WORDS: dict[str, tuple[str, str]] = {
    "default": ("Default model", "Voice to face, whole: what this place draws with"),
    "ve_conv": ("VE_conv", "Spectrograms to embeddings of faces, by convolutions"),
    "ast": ("AST", "Log-mel frames to embeddings of faces, by a transformer"),
    "face_decoder": ("Face decoder", "Embeddings of faces to pictures and landmarks"),
    "matching": ("Matching", "Voices and faces that find each other"),
    "gan": ("Conditional GAN", "Voices and chance to faces"),
}

# Parts of a dataset, as people say what it lacks.
FEATURE_WORDS: dict[str, str] = {
    "ve_conv": "spectrograms for VE_conv",
    "ast": "log-mel frames for the AST",
    "waveform": "waveforms",
    "picture": "pictures",
    "landmarks": "landmarks",
    "embedding": "embeddings",
}

# Settings whose plain name would not say enough; all others are called as they are named.
SETTING_WORDS: dict[str, str] = {
    "loop": "Training loop",
    "fine_tune": "Fine-tuning",
    "optimiser": "Optimiser",
    "schedule": "Learning rate over time",
    "compat": "Faithful to the original",
    "clip_norm": "Longest gradient",
    "eps": "Epsilon",
    "gain_db": "Louder or softer, dB",
    "noise_db": "Noise below the voice, dB",
    "wall_hours": "Longest run, hours",
    "memory_gib": "Most memory, GiB",
    "r1_weight": "R1 weight",
    "machine": "How it is run",
    "after": "When it is trained",
    "gate": "Gate",
    "most_people": "People, at most",
    "recipe": "Recipe",
    "model": "Model",
}


def setting_words(name: str) -> str:
    return SETTING_WORDS.get(name, name.replace("_", " ").capitalize())
