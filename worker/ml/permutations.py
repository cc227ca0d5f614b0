"""Random orders that take no memory: where a permutation of many numbers sends one of them, worked out by itself.

A Feistel network over the next even number of bits, run until it comes back into the range: at most about four times on
average. For single numbers in plain integers, and for many at once in numpy; both give the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_WORD = (1 << 64) - 1
_TURNS = 6
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mixed(*numbers: int) -> int:
    """64 well-stirred bits of some numbers (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    state = 0
    for number in numbers:
        state = _mix_in(state, number)
    return state


def shuffled(number: int, length: int, key: tuple[int, ...]) -> int:
    """Where the permutation of `range(length)` with that key sends a number."""
    stirred = mixed(*key)
    half, mask = _halves(length)
    while True:
        left, right = number >> half, number & mask
        for turn in range(_TURNS):
            left, right = right, left ^ (mixed(stirred, turn, right) & mask)
        number = left << half | right
        if number < length:
            return number


def shuffled_many(numbers: npt.NDArray[np.int64], length: int, key: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """The same for every one of `[N]` numbers."""
    stirred = mixed(*key)
    half, mask = _halves(length)
    heads = [_mix_in(mixed(stirred), turn) for turn in range(_TURNS)]
    answer = numbers.astype(np.uint64)
    outside = np.ones(len(answer), bool)
    while outside.any():
        moving = answer[outside]
        left, right = moving >> np.uint64(half), moving & np.uint64(mask)
        for head in heads:
            left, right = right, left ^ (_mix_in_many(head, right) & np.uint64(mask))
        answer[outside] = left << np.uint64(half) | right
        outside = answer >= length
    return answer.astype(np.int64)


def _halves(length: int) -> tuple[int, int]:
    half = max(1, ((length - 1).bit_length() + 1) // 2)
    return half, (1 << half) - 1


def _mix_in(state: int, number: int) -> int:
    """One more number on what `mixed` made of those before."""
    state = (state + number + _STEP) & _WORD
    state = ((state ^ (state >> 30)) * _FIRST) & _WORD
    state = ((state ^ (state >> 27)) * _SECOND) & _WORD
    return state ^ (state >> 31)


def _mix_in_many(state: int, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    mixing = numbers + np.uint64((state + _STEP) & _WORD)  # unsigned numbers wrap around, as they should
    mixing = (mixing ^ (mixing >> np.uint64(30))) * np.uint64(_FIRST)
    mixing = (mixing ^ (mixing >> np.uint64(27))) * np.uint64(_SECOND)
    return mixing ^ (mixing >> np.uint64(31))
