"""What stands for the names that files of PyTorch and PaddlePaddle refer to: tensors, storages, arrays, containers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindrestore.weights.limits import BFLOAT16, UNREAD, Budget, NotReadError, count_values, values_of
from mindrestore.weights.pickles import LongText, Pending, named_values

_STORAGES = {
    **{"Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": BFLOAT16, "Bool": "?"},
    **{"Long": "<i8", "Int": "<i4", "Short": "<i2", "Char": "i1", "Byte": "u1"},
    **{"ComplexDouble": "<c16", "ComplexFloat": "<c8"},
}
_DTYPES = {
    **{"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": BFLOAT16, "bool": "?"},
    **{"int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "i1"},
    **{"uint64": "<u8", "uint32": "<u4", "uint16": "<u2", "uint8": "u1", "complex128": "<c16", "complex64": "<c8"},
}
_NUMPY_DTYPES = frozenset(f"{kind}{size}" for kind in "fiuc" for size in (1, 2, 4, 8, 16)) | {"b1"}
_MOST_COPIES = 500_000  # entries that containers may take from others: each takes some hundred bytes


class _DType(Pending):
    """Make a NumPy type: code first, byte order later."""

    def __init__(self, code: str, *_: Any) -> None:
        if code not in _NUMPY_DTYPES:
            raise ValueError(f"arrays of type {ascii(code)[:40]}")
        self.code = code

    def build(self, state: Any) -> None:
        self.result = np.dtype(self.code).newbyteorder("=" if state[1] == "|" else state[1])


class _Array(Pending):
    """Make a NumPy array: shape, type and bytes come later."""

    def __init__(self, copies: _Copies) -> None:
        self.copies = copies

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        self.result = self.copies.array(raw, dtype, shape, "F" if fortran else "C")


class _Copies:
    """Make containers and arrays of others, within a limit.

    An honest file has every value in its bytes; a hostile one could have the same million copied again and again.

    Args:
        budget: pays for bytes that are copied.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget, self.left = budget, _MOST_COPIES

    def spend(self, values: Any) -> Any:
        """Return the values back after counting them."""
        self.left -= len(values)
        if self.left < 0:
            raise NotReadError(f"has more than {_MOST_COPIES:,} copies, which no network needs; save the weights alone")
        return values

    def ordered(self, pairs: Any = ()) -> dict[Any, Any]:
        """Make a dict of pairs, as Python 2 wrote one."""
        keys, values = zip(*self.spend(pairs)) if pairs else ((), ())
        return named_values(keys, values)

    def counter(self, counts: Any = ()) -> dict[Any, Any]:
        """Make a dict of a dict."""
        return named_values([*self.spend(counts)], [*counts.values()] if counts else [])

    def sequence(self, values: Any = ()) -> tuple[Any, ...]:
        """Make a tuple."""
        return tuple(self.spend(values))

    def tuple_or_tensor(self, values: Any = ()) -> Any:
        """Make a tuple, or take the values of PaddlePaddle's pair of a tensor's name and values."""
        if len(values) == 2 and isinstance(values[0], str) and isinstance(values[1], np.ndarray):
            return values[1]
        return self.sequence(values)

    def encode(self, text: str | LongText, *_: Any) -> bytes:
        """Return bytes that were written as text."""
        if isinstance(text, LongText):
            self.budget.allocate(len(text.data))
            return text.latin_1()
        return text.encode("latin-1")

    def array(self, raw: Any, dtype: Any, shape: Any, order: str = "C") -> np.ndarray:
        """Make an array of its bytes; Python 2 wrote them as text."""
        if not isinstance(dtype, np.dtype):
            raise ValueError("an array of unknown type")
        raw = self.encode(raw) if isinstance(raw, str) else raw
        if count_values(shape) * dtype.itemsize != len(raw):
            raise ValueError(f"{len(raw)} bytes, which do not make {shape} of {dtype}")
        return values_of(raw, dtype, self.budget).reshape(shape, order=order)


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    return storage.tensor(offset, size, stride)


def _typed_tensor(storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> Any:
    return storage.tensor(offset, size, stride, rest[2].meaning)  # behind: requires_grad, hooks, type


def known_names(budget: Budget) -> dict[str, Any]:
    """List every name that a file may use, with what the reader does in its place.

    Args:
        budget: pays for arrays that are copied.

    Returns:
        Dotted name -> function, or what a type is called.
    """
    copies = _Copies(budget)
    names: dict[str, Any] = {
        "collections.OrderedDict": copies.ordered,
        "collections.Counter": copies.counter,
        "_codecs.encode": copies.encode,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_tensor_v3": _typed_tensor,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
        "torch._tensor._rebuild_from_type_v2": lambda function, kind, arguments, state: function.meaning(*arguments),
        "torch.Size": copies.sequence,
        "torch.device": lambda *words: words,
        "torch.storage.UntypedStorage": "u1",
        "numpy.dtype": _DType,
    }
    for module in ("builtins", "__builtin__"):
        names[f"{module}.tuple"] = copies.tuple_or_tensor
        names[f"{module}.set"] = copies.sequence
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray._reconstruct"] = lambda *_: _Array(copies)
        names[f"{core}.multiarray.scalar"] = lambda dtype, raw: copies.array(raw, dtype, ()).item()
        names[f"{core}.numeric._frombuffer"] = copies.array
    for kind in ("numpy.ndarray", "torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"):
        names[kind] = None
    names.update({f"torch.{name}Storage": dtype for name, dtype in _STORAGES.items()})
    names.update({f"torch.{name}": dtype for name, dtype in {**_DTYPES, **dict(zip(UNREAD, UNREAD))}.items()})
    return names
