"""Exponential moving averages of weights: what a network draws with while it is trained.

The average of a network's parameters is kept; its buffers, such as the statistics of batch normalisation, are those of
the network itself, which are averages already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


class Average:
    """The moving average of a network's parameters.

    Attributes:
        tensors: by the parameters' names.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self._parameters = dict(network.named_parameters())
        self.tensors = {name: value.detach().clone() for name, value in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights in.

        Args:
            step: over all phases, from 0. In the first steps the average forgets faster, so that it does not hang on
                to the random weights that it began with.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(
            list(self.tensors.values()), [value.detach() for value in self._parameters.values()], 1 - decay
        )

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take over an average that was kept in a checkpoint."""
        for name, mine in self.tensors.items():
            mine.copy_(tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has its average in place of its weights. Nothing is copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for name, parameter in self._parameters.items():
            parameter.data, self.tensors[name] = self.tensors[name], parameter.data


@contextmanager
def averages_in_place(averages: Sequence[Average]) -> Iterator[None]:
    """All of these networks have their averages in place of their weights."""
    with ExitStack() as stack:
        for average in averages:
            stack.enter_context(average.in_place())
        yield
