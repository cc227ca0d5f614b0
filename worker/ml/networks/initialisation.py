"""Building a network whose weights are about to come from a file, without drawing random ones first.

Filling 150 million numbers at random takes longer than reading them. The meta device would avoid it too, but buffers
that a constructor computes and no file holds would stay empty there; here they are computed as always.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_RANDOM_FILLS = (torch.Tensor.uniform_, torch.Tensor.normal_, torch.Tensor.erfinv_)


class UnfilledWeights(TorchFunctionMode):
    """Inside it, tensors that would be filled at random are left as they are: `with UnfilledWeights(): VEConv(...)`."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _RANDOM_FILLS:
            return args[0]
        return func(*args, **(kwargs or {}))
