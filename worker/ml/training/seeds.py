"""Where all chance of a training comes from: pure functions of the seed and of the place in the training.

Nothing is carried from one step to the next. What a step draws is the same whether the steps before it ran in this
process or in one that was killed, and however many threads read the samples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from worker.ml.permutations import shuffled_many

# What the numbers are for, so that no two uses share a stream. Never renumber: checkpoints rely on it.
_WEIGHTS, _ORDER, _SAMPLE, _STEP, _DRAW, _VALIDATION_SAMPLE, _VALIDATION, _PANELS = range(8)
_DRAWN_AT_MOST = 1 << 20  # 8 MB


def _sequence(*words: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(words)


def _number(*words: int) -> int:
    return int(_sequence(*words).generate_state(1, np.uint64)[0]) >> 1  # torch takes signed numbers as well


def _seed_torch(number: int) -> None:
    # torch.manual_seed would note a stack trace each time for GPUs that nobody uses, which takes a millisecond.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        # Of all of them: the one that is trained on need not be the current one.
        torch.cuda.manual_seed_all(number)


def seed_weights(seed: int, phase: int = -1) -> None:
    """Seeds torch before networks are made, and before each phase begins."""
    _seed_torch(_number(seed, _WEIGHTS, phase + 1))


class Order:
    """Which sample comes when in an epoch: a permutation of `count` numbers, of which stretches are asked for.

    Up to a million it is drawn and kept; more are worked out as they are asked for and take no memory.
    """

    def __init__(self, seed: int, phase: int, epoch: int, count: int) -> None:
        self._count = count
        self._key = (_number(seed, _ORDER, phase, epoch), count)
        self._drawn: npt.NDArray[np.int64] | None = None
        if count <= _DRAWN_AT_MOST:
            chance = np.random.Generator(np.random.PCG64(_sequence(seed, _ORDER, phase, epoch)))
            self._drawn = chance.permutation(count)

    def stretch(self, first: int, length: int) -> npt.NDArray[np.int64]:
        """The numbers of the samples from a place on, `[length]` or as many as there are."""
        if self._drawn is not None:
            return self._drawn[first : first + length]
        places = np.arange(first, min(first + length, self._count), dtype=np.int64)
        return shuffled_many(places, self._count, self._key)


def of_sample(seed: int, phase: int, epoch: int, number: int) -> np.random.Generator:
    """For a training sample in one epoch. The same however many processes share the work."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, _SAMPLE, phase, epoch, number)))


def of_validation_sample(seed: int, number: int) -> np.random.Generator:
    """For a sample of the validation: the same every time, so that validations can be compared."""
    return np.random.Generator(np.random.PCG64(_sequence(seed, _VALIDATION_SAMPLE, number)))


def enter_update(seed: int, step: int, player: int, update: int, part: int, rank: int) -> torch.Generator:
    """Seeds torch's own generators, from which dropout draws, and gives a task's generator on the CPU.

    Args:
        step: over all phases.
        player, update: which network, and its which update in this step.
        part: of the batch, where memory does not hold the whole.
        rank: of the process; each has its own share of the batch.
    """
    place = (step, player, update, part, rank)
    _seed_torch(_number(seed, _STEP, *place))
    return torch.Generator().manual_seed(_number(seed, _DRAW, *place))


def enter_validation(seed: int, batch: int) -> torch.Generator:
    """The same as `enter_update` for a batch of the validation; the same in every epoch."""
    _seed_torch(_number(seed, _VALIDATION, batch, 0))
    return torch.Generator().manual_seed(_number(seed, _VALIDATION, batch, 1))


def enter_panels(seed: int) -> torch.Generator:
    """The same for pictures: a face changes from one epoch to the next because the network did."""
    _seed_torch(_number(seed, _PANELS, 0))
    return torch.Generator().manual_seed(_number(seed, _PANELS, 1))
