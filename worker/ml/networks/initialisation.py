"""Building a network whose weights are about to come from a file, without drawing random ones first.

Filling 150 million numbers at random takes longer than reading them. The meta device would avoid it too, but buffers
that a constructor computes and no file holds would stay empty there; here they are computed as always.
"""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode

# By name: some calls show as the function of `torch.nn.init`, others as the method that it ends in, and transformers
# puts functions of its own in their place while it builds a network.
_RANDOM_FILLS = frozenset(
    ("erfinv_", "kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_", "uniform_")
)


class UnfilledWeights(TorchFunctionMode):
    """Inside it, tensors that would be filled at random are left as they are: `with UnfilledWeights(): VEConv(...)`."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in _RANDOM_FILLS:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
