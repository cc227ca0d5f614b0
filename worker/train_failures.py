"""What an exception that ended a training means for those who asked for it."""

from __future__ import annotations

from worker.ml.device_failures import is_lost_device, is_out_of_memory
from worker.ml.errors import DatasetError, MediaError, ModelError, RecipeError
from worker.ml.full_disk import is_full
from worker.ml.training.events import Failed
from worker.ml.training.failures import TrainingFailed, is_lost_peer
from worker.ml.training.silent_hosts import is_silence
from worker.train_processes import LOST_PROCESS, SILENT_HOST
from worker.train_request import TrainRequest


def explain(failure: BaseException, request: TrainRequest) -> Failed:
    """A code and a sentence; the codes are those of `Failed`."""
    if isinstance(failure, TrainingFailed | DatasetError | RecipeError):
        return Failed(failure.code, failure.message)
    if isinstance(failure, ModelError):
        return Failed("invalid_recipe", failure.message)
    if isinstance(failure, MediaError):
        message = f"The dataset holds something that cannot be read: {failure.message}"
        return Failed("dataset_mismatch", message)
    if is_full(failure):
        return Failed("disk_full", "There is no room left on the disk. Make room and go on.")
    if is_out_of_memory(failure):
        message = (
            "There is not enough memory. Make the batch or the network smaller, or take a larger machine."
        )
        return Failed("out_of_memory", message)
    if isinstance(failure, OSError) and _is_below(failure, request):
        reason = failure.strerror or "it cannot be read"
        message = (
            f"The dataset in {request.dataset} was lost while training ({reason}). Put it back and go on."
        )
        return Failed("dataset_not_found", message, retryable=True)
    if is_lost_device(failure):
        message = (
            "The GPU failed. Look into the log of its driver; the training goes on from its last checkpoint."
        )
        return Failed("internal_error", message, retryable=True)
    if is_lost_peer(failure):
        sentence = SILENT_HOST if is_silence(failure) else LOST_PROCESS
        return Failed("internal_error", sentence, retryable=True)
    kind = type(failure).__name__
    return Failed("internal_error", f"Something that was not foreseen went wrong: {kind}: {failure}"[:2000])


def _is_below(failure: OSError, request: TrainRequest) -> bool:
    return str(failure.filename or "").startswith(str(request.dataset))
