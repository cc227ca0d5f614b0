"""The words people read for states and codes. Apart from them, so that a translation touches nothing that decides."""

from __future__ import annotations

from core.states import ItemState, JobState

JOB_WORDS: dict[JobState, str] = {
    JobState.VALIDATING: "Checking",
    JobState.QUEUED: "Waiting",
    JobState.RUNNING: "Drawing",
    JobState.FINALIZING: "Finishing",
    JobState.PAUSED: "Paused",
    JobState.CANCELLING: "Stopping",
    JobState.COMPLETED: "Done",
    JobState.COMPLETED_WITH_ERRORS: "Done, some without a face",
    JobState.CANCELLED: "Cancelled",
    JobState.FAILED: "Failed",
    JobState.DEAD: "Given up",
    JobState.REJECTED: "Refused",
}

PREPARE_WORDS: dict[JobState, str] = {
    **JOB_WORDS,
    JobState.RUNNING: "Preparing",
    JobState.COMPLETED_WITH_ERRORS: "Not complete",
}

ITEM_WORDS: dict[ItemState, str] = {
    ItemState.PENDING: "Waiting",
    ItemState.LEASED: "Drawing",
    ItemState.DONE: "Drawn",
    ItemState.CACHED: "Drawn before",
    ItemState.FAILED: "No face",
    ItemState.SKIPPED: "Left out",
    ItemState.CANCELLED: "Cancelled",
}

STEP_WORDS: dict[ItemState, str] = {
    **ITEM_WORDS,
    ItemState.LEASED: "Preparing",
    ItemState.DONE: "Done",
    ItemState.CACHED: "Done before",
    ItemState.FAILED: "Failed",
}

# Why an input is no part of a dataset.
LEFT_OUT_WORDS: dict[str, str] = {
    "bad_array": "The array cannot be used",
    "bad_metadata": "The table is wrong about it",
    "changed_while_read": "Changed while it was read",
    "clip_limit": "More clips than asked for",
    "corrupt_audio": "The recording is damaged",
    "corrupt_image": "The picture is damaged",
    "decoder_crashed": "Makes the program that decodes it crash",
    "decoding_needs_memory": "Takes too much memory to decode",
    "decoding_took_too_long": "Takes too long to decode",
    "empty_file": "The file is empty",
    "image_too_large": "The picture is too large",
    "missing_companion": "Something that belongs to it is missing",
    "no_face": "No face was found",
    "no_pair": "The person has one side only",
    "no_person": "Belongs to nobody",
    "no_speech": "No speech in it",
    "not_audio": "No recording",
    "not_image": "No picture",
    "not_in_manifest": "The manifest does not name it",
    "not_media": "Neither a recording nor a picture",
    "not_wanted": "Not asked for",
    "several_faces": "More than one face",
    "too_large": "Too large to be sent",
    "too_long": "Too long",
    "too_many_channels": "Too many channels",
    "too_short": "Too short",
    "truncated_audio": "The recording breaks off",
    "unreadable_file": "The file could not be read",
}

# Values of a recipe.
VALUE_WORDS: dict[str, str] = {
    "ve_conv": "spectrograms for VE_conv",
    "ast": "log-mel frames for the AST",
    "waveform": "waveforms",
    "picture": "pictures",
    "landmarks": "landmarks",
    "embedding": "embeddings",
    "none": "the whole picture",
    "face": "a square round the face",
    "aligned": "the face with level eyes",
    "reject": "left out",
    "largest": "the largest is taken",
}

LAYOUT_WORDS: dict[str, str] = {
    "auto": "Look at the files",
    "folders": "A folder for each person",
    "manifest": "A manifest names them",
    "original": "audios/ and images/ of each person",
    "decoder_triples": "Pictures with embeddings and landmarks",
    "voxceleb1": "VoxCeleb1",
    "voxceleb2": "VoxCeleb2",
    "hq_voxceleb": "HQ-VoxCeleb",
}

# Parts of a dataset and what they are made of, as headings of a table; and its charts.
PART_WORDS: dict[str, str] = {
    "train": "Train",
    "validation": "Validation",
    "test": "Test",
    "people": "People",
    "voices": "Voices",
    "faces": "Faces",
    "durations": "durations",
    "entries_per_person": "entries per person",
    "loudness": "loudness",
    "outcomes": "outcomes",
    "split": "split",
}

# What a job does, in the list of jobs.
JOB_KIND_WORDS: dict[str, str] = {
    "infer": "Draw faces",
    "prepare": "Prepare data",
    "train": "Train",
    "evaluate": "Evaluate",
    "analyse": "Analyse",
}

JOB_SORT_WORDS: dict[str, str] = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "name": "By name",
    "largest": "Largest first",
    "priority": "By priority",
}

# What the choice "State" of the list of jobs offers, by the states that each stands for.
JOB_STATE_CHOICES: dict[tuple[JobState, ...], str] = {
    (
        JobState.VALIDATING,
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.FINALIZING,
        JobState.CANCELLING,
    ): "At work",
    (JobState.PAUSED,): "Paused",
    (JobState.COMPLETED,): "Done",
    (JobState.COMPLETED_WITH_ERRORS,): "Done with errors",
    (JobState.FAILED, JobState.DEAD, JobState.REJECTED): "Failed",
    (JobState.CANCELLED,): "Cancelled",
}

# What a job draws with or works on, where that is no name alone.
WHAT_WORDS: dict[str, str] = {
    "measure": "%(model)s on %(dataset)s",
    "prepare": "dataset %(dataset)s",
}
