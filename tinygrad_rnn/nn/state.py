"""The state of a module as a flat dictionary of tensors, and its way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..autograd import no_grad
from ..engine.tensor import Tensor


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` passed over: keys it did not find, and keys it has no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def load(own: Mapping[str, Tensor], state: Mapping[str, Any], strict: bool, what: str) -> IncompatibleKeys:
    """Copy the values of `state` into the tensors of `own`: all of them, or on any fault none."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{what}: expected a dictionary of tensors, got {type(state).__name__}")
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    found = {key: _as_array(state[key]) for key in own if key in state}
    faults = [fault for key, array in found.items() if (fault := _fault(key, array, own[key]))]
    if strict:
        faults = _listed("Missing key(s)", missing) + _listed("Unexpected key(s)", unexpected) + faults
    if faults:
        raise RuntimeError(f"{what}: nothing was loaded\n  " + "\n  ".join(faults))
    with no_grad():
        for key, array in found.items():
            own[key].copy_(Tensor(array))
    return IncompatibleKeys(missing, unexpected)


def _as_array(value: Any) -> NDArray[Any]:
    return value.array if isinstance(value, Tensor) else np.asarray(value)


def _fault(key: str, array: NDArray[Any], target: Tensor) -> str | None:
    """Why `array` cannot become the value of `target`, or None."""
    if array.shape != target.shape:
        return f"size mismatch for {key}: {array.shape} is given, {target.shape} is needed"
    if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, target.dtype, "same_kind"):
        return f"dtype mismatch for {key}: {array.dtype} is given, {target.dtype} is needed"
    return None


def _listed(title: str, keys: Iterable[str]) -> list[str]:
    names = ", ".join(f'"{key}"' for key in keys)
    return [f"{title}: {names}"] if names else []
