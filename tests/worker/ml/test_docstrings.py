"""What is public in `worker.ml` says what it is, and what takes arrays says their shapes."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import pytest
from torch import nn

import worker.ml

# Named tensors of whatever shapes: weights, gradients and what optimisers remember.
_ANY_SHAPE = ("worker.ml.training", "worker.ml.weight_files", "worker.ml.model_files")
_ANY_SHAPE_FUNCTIONS = {"worker.ml.metrics.lpips.published_names"}
_ARRAYS = re.compile(
    r"Tensor|NDArray|ndarray|Numbers|Integers|Vectors|Points|Features|Faces|Waveform|Array\b"
)
_SHAPE = re.compile(r"`\[[^`]*\]`|shape")


@lru_cache(maxsize=1)
def modules() -> tuple[ModuleType, ...]:
    names = [one.name for one in pkgutil.walk_packages(worker.ml.__path__, "worker.ml.")]
    return tuple(import_module(name) for name in names)


def public_of(module: ModuleType) -> Iterator[Any]:
    """Classes and functions that are written there."""
    for name, thing in vars(module).items():
        is_written = isinstance(thing, type | FunctionType) and thing.__module__ == module.__name__
        if is_written and not name.startswith("_"):
            yield thing


def members_of(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class writes itself."""
    for name, member in vars(kind).items():
        member = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and isinstance(member, FunctionType) and member.__name__ == name:
            yield name, member


def is_told(kind: type, name: str) -> bool:
    """By the method, by one that it overrides, or by the class, which names its attributes and says what calls give."""
    if any(vars(base)[name].__doc__ for base in kind.__mro__ if name in vars(base)):
        return True
    if name == "forward":
        return bool(kind.__doc__)
    is_attribute = isinstance(vars(kind)[name], property)
    return is_attribute and any(re.search(rf"\b{name}\b", base.__doc__ or "") for base in kind.__mro__)


@pytest.mark.parametrize("kind", ["modules", "classes and functions", "methods"])
def test_everything_public_has_a_docstring(kind: str) -> None:
    silent = []
    for module in modules():
        if kind == "modules" and not module.__doc__:
            silent.append(module.__name__)
        for thing in public_of(module):
            where = f"{module.__name__}.{thing.__qualname__}"
            if kind == "classes and functions" and not thing.__doc__:
                silent.append(where)
            if kind == "methods" and isinstance(thing, type) and not getattr(thing, "_is_protocol", False):
                silent += [f"{where}.{name}" for name, _ in members_of(thing) if not is_told(thing, name)]
    assert not silent


def test_every_network_says_the_shapes_of_what_it_takes_and_gives() -> None:
    networks = [
        thing
        for module in modules()
        for thing in public_of(module)
        if isinstance(thing, type) and issubclass(thing, nn.Module) and "forward" in vars(thing)
    ]
    assert len(networks) > 20
    vague = [
        one.__qualname__
        for one in networks
        if not _SHAPE.search(f"{one.__doc__} {vars(one)['forward'].__doc__}")
    ]
    assert not vague


def test_every_function_of_arrays_says_their_shapes() -> None:
    functions = {
        f"{module.__name__}.{thing.__qualname__}": thing
        for module in modules()
        for thing in public_of(module)
        if isinstance(thing, FunctionType) and not module.__name__.startswith(_ANY_SHAPE)
    }
    of_arrays = {
        name: one
        for name, one in functions.items()
        if any(_ARRAYS.search(str(kind)) for kind in one.__annotations__.values())
    }
    assert len(of_arrays) > 80
    vague = [name for name, one in of_arrays.items() if not _SHAPE.search(one.__doc__ or "")]
    assert set(vague) == _ANY_SHAPE_FUNCTIONS
