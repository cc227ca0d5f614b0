"""Why a training cannot go on, and what an exception of torch or of the system means for it."""

from __future__ import annotations

import torch

from worker.ml.errors import MediaError

_LOST_PEER = ("gloo", "Connection closed by peer", "Connection reset by peer", "NCCL")


class TrainingFailed(MediaError):
    """The training cannot go on as it is.

    Codes: `not_finite`, `out_of_memory`, `disk_full`, `checkpoint_mismatch`, `invalid_recipe`.
    """


class Stopped(Exception):
    """The training was asked to stop. It has left a checkpoint, unless it had not begun.

    Attributes:
        step: at which it goes on.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped at step {step}")
        self.step = step


def is_lost_peer(failure: BaseException) -> bool:
    """Whether another process of the training is gone, so that nothing can be computed together with it."""
    if isinstance(failure, torch.distributed.DistError):
        return True
    return isinstance(failure, RuntimeError) and any(sign in str(failure) for sign in _LOST_PEER)
