"""What NumPy's functions do with arrays of files: views of elements, reductions in blocks, all pixels for the rest."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from lazytiff import _blocks, _cuts, _evaluate
from lazytiff._array import BaseArray
from lazytiff._dask import to_dask
from lazytiff._functions import Elementwise
from lazytiff._making import Operands, elementwise
from lazytiff._memory import MemoryArray
from lazytiff._npy import save_npy
from lazytiff._stream import STREAMED, ufunc_reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

# Methods of the arrays that do what these do.
_METHODS = {
    np.max: "max",
    np.amax: "max",
    np.min: "min",
    np.amin: "min",
    np.sum: "sum",
    np.prod: "prod",
    np.mean: "mean",
    np.var: "var",
    np.std: "std",
    np.any: "any",
    np.all: "all",
    np.argmax: "argmax",
    np.argmin: "argmin",
    np.ptp: "ptp",
    np.count_nonzero: "count_nonzero",
    np.histogram: "histogram",
    np.median: "median",
    np.percentile: "percentile",
    np.quantile: "quantile",
    np.transpose: "transpose",
}
# These ask for shape and dtype and no more, so that an array without memory will do.
_ABOUT = {
    np.shape,
    np.ndim,
    np.size,
    np.iscomplexobj,
    np.isrealobj,
    np.result_type,
    np.can_cast,
    np.common_type,
    np.empty_like,
    np.zeros_like,
    np.ones_like,
    np.full_like,
}
# These change their first argument, which has one of these names.
_CHANGING = {np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal}
_CHANGED = "dst", "a", "arr"


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what __array_ufunc__ is to do."""
    if any(isinstance(one, BaseArray) for one in kwargs.get("out", ())):  # in place, whatever the operands are
        inputs = tuple(np.asarray(value) if _is_foreign(value) else value for value in inputs)
    if any(_knows_better(value) for value in (*inputs, *kwargs.get("out", ()))):
        return NotImplemented
    if any(hasattr(value, "__dask_graph__") for value in inputs):
        return getattr(ufunc, method)(*map(_as_dask, inputs), **kwargs)
    if method == "reduce" and ufunc in STREAMED and isinstance(inputs[0], BaseArray):
        return ufunc_reduce(inputs[0], ufunc, *inputs[1:], **kwargs)
    if method == "at" and isinstance(inputs[0], BaseArray):
        raise TypeError(f"{ufunc.__name__}.at would change a copy of the pixels; assign with array[key] = ...")
    if method == "__call__" and ufunc.signature is None:
        return _call(ufunc, inputs, dict(kwargs))
    return _at_once(getattr(ufunc, method), inputs, kwargs)


def _at_once(call: Callable[..., Any], inputs: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Call NumPy with whole arrays; what it writes to arrays of files is written once all is computed."""
    out = options.get("out", ())
    if not any(isinstance(one, BaseArray) for one in out):
        return call(*map(_read, inputs), **_read_all(dict(options)))
    for one in out:
        if isinstance(one, BaseArray):
            one._require_writable()
    memory = tuple(np.empty(one.shape, one.dtype) if isinstance(one, BaseArray) else one for one in out)
    found = list(_as_tuple(call(*map(_read, inputs), **_read_all({**options, "out": memory}))))
    for number, one in enumerate(out):
        if isinstance(one, BaseArray):
            one[...], found[number] = found[number], one
    return found[0] if len(out) == 1 else tuple(found)


def _call(ufunc: np.ufunc, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return a view, or compute into arrays that are there."""
    out = options.pop("out", ())
    where = options.pop("where", True)
    if where is not True and (not out or any(isinstance(one, BaseArray) for one in out)):
        raise TypeError("where= leaves elements as they are: it needs out=, a numpy.ndarray to leave them in")
    is_masked = any(map(_is_masked, inputs))
    if all(one is None for one in out) and not is_masked:
        return elementwise(ufunc, Operands(inputs), options)
    for one in out:
        if isinstance(one, BaseArray):
            one._require_writable()
    operands = [_apart(value, out) for value in inputs]
    has_files = any(isinstance(value, BaseArray) for value in operands)
    if where is not True or is_masked or not has_files or any(one is None for one in out):
        kept = {**options, "out": out} if out else options
        return _at_once(ufunc, tuple(operands), kept if where is True else {**kept, "where": where})
    casting = options.pop("casting", "same_kind")
    views = _as_tuple(elementwise(ufunc, Operands(operands), {**options, "casting": casting}, out))
    for view, target in zip(views, out, strict=True):
        _store(view, target)
    return out[0] if len(out) == 1 else out


def _is_masked(value: Any) -> bool:
    masked = sys.modules.get("numpy.ma")  # which NumPy imports when it is needed: without it there are no such arrays
    return masked is not None and isinstance(value, masked.MaskedArray)


def _store(view: Any, target: Any) -> None:
    """Compute a view into an array of its shape, block by block."""
    if view.shape != target.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {target.shape} doesn't match the shape {view.shape}"
        )

    def work(box: Any, request: Any) -> None:
        (block,) = view._read([request])
        target[_cuts.slices(box)] = block.astype(target.dtype, copy=False)

    for _ in _blocks.each(view, work, "compute"):
        pass


def _apart(value: Any, out: Sequence[Any]) -> Any:
    """Return an operand whose elements do not change before they are read, while the results are written."""
    if not isinstance(value, BaseArray | np.ndarray):
        return value
    array = value if isinstance(value, BaseArray) else MemoryArray(value)
    targets = [one for one in out if one is not None and array._overlaps(one)]
    if not targets or (len(out) == 1 and _keeps_places(array, targets[0])):
        return value
    return np.array(value)


def _keeps_places(array: BaseArray, target: Any) -> bool:
    """Tell whether an array needs no elements of the target but those at the same places: they are read just before."""
    for one in _evaluate.order(array):
        is_target = one is target or getattr(one, "_array", None) is target
        is_alike = isinstance(one._function, Elementwise) and one.shape == target.shape
        if not is_target and not is_alike and one._overlaps(target):
            return False
    return True


def _as_tuple(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def _is_foreign(value: Any) -> bool:
    return hasattr(value, "__dask_graph__") or _knows_better(value)


def _knows_better(value: Any) -> bool:
    """Tell whether an operand is of a type that answers for ufuncs itself, as xarray's and pandas's are."""
    theirs = getattr(type(value), "__array_ufunc__", np.ndarray.__array_ufunc__)
    if isinstance(value, BaseArray) or hasattr(value, "__dask_graph__"):
        return False
    return theirs is not np.ndarray.__array_ufunc__ and not isinstance(value, np.ndarray)


def _as_dask(value: Any) -> Any:
    return to_dask(value, "auto") if isinstance(value, BaseArray) else value


def call_function(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Do what __array_function__ is to do."""
    if func in _ABOUT:
        return func(*_exchanged(args, _stand_in), **_exchanged(dict(kwargs), _stand_in))
    kwargs = {name: value for name, value in kwargs.items() if value is not np._NoValue}  # which is not given
    if func in _METHODS and "a" in kwargs and not args:
        args = (kwargs.pop("a"),)
    if any(isinstance(one, BaseArray) for one in _changed(func, args, kwargs)):
        raise TypeError(f"numpy.{func.__name__} would change a copy of the pixels; assign with array[key] = ...")
    if func is np.save:
        given = inspect.signature(np.save).bind(*args, **kwargs).arguments
        if isinstance(array := given["arr"], BaseArray) and not array.dtype.hasobject:  # which NumPy pickles
            return save_npy(given["file"], array)
    if func in _METHODS and args and isinstance(args[0], BaseArray):
        method = getattr(args[0], _METHODS[func])
        if _takes(method, args[1:], kwargs):
            return method(*args[1:], **kwargs)
    return func(*_read_all(args), **_read_all(dict(kwargs)))


def _takes(method: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a method has all of these arguments, some of which NumPy's function may have alone."""
    try:
        inspect.signature(method).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _changed(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments that a function of NumPy's writes to."""
    if func in _CHANGING:
        return args[:1] or tuple(kwargs[name] for name in _CHANGED if name in kwargs)
    return _as_tuple(_out_of(func, args, kwargs))


def _out_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Return the argument out of a function of NumPy's, wherever it stands."""
    try:
        return inspect.signature(func).bind(*args, **kwargs).arguments.get("out")
    except (TypeError, ValueError):  # no such arguments, which func says better; no signature
        return kwargs.get("out")


def _read(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, BaseArray) else value


def _read_all(values: Any) -> Any:
    return _exchanged(values, np.asarray)


def _exchanged(values: Any, make: Callable[[BaseArray], NDArray[Any]]) -> Any:
    """Return arguments with something else for each array, also in lists and tuples."""
    if isinstance(values, BaseArray):
        return make(values)
    if isinstance(values, list | tuple):
        found = [_exchanged(value, make) for value in values]
        return found if isinstance(values, list) else tuple(found)
    if isinstance(values, dict):
        return {name: _exchanged(value, make) for name, value in values.items()}
    return values


def _stand_in(array: BaseArray) -> NDArray[Any]:
    """Return an array of that shape and dtype that takes no memory."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)
