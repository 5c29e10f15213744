"""Scalars of a run that stay on the device until somebody reads them.

A read of one value makes the CPU wait for the GPU. mmengine reads each loss in
each step. Here the scalars of a step are copied into one small tensor, and the
tensors of many steps are read together.
"""

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

# A history that nobody reads converts its values after so many updates, so that
# it does not hold device memory without end.
MAX_WAITING = 1000


class _Pack:
    """Scalars of one step and one dtype: a tensor (n, ), later a list of numbers."""

    __slots__ = ('tensor', 'values')

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self.values: List[Union[int, float]] = []


class DeferredScalar:
    """Scalar of a :class:`ScalarReader` that may still be on the device."""

    __slots__ = ('reader', 'pack', 'index')

    def __init__(self, reader: 'ScalarReader', pack: _Pack, index: int):
        self.reader = reader
        self.pack = pack
        self.index = index

    @property
    def value(self) -> Union[int, float]:
        """Value as a number. The first access reads all scalars that wait."""
        if not self.pack.values:
            self.reader.read()
        return self.pack.values[self.index]


class ScalarReader:
    """Copies of scalars on the device, which are read together.

    Copies are needed: a CUDA graph writes the losses of each step to the same
    memory, and a loss that is kept would keep its autograd graph.
    """

    def __init__(self) -> None:
        self._waiting: List[_Pack] = []
        self._iteration: Optional[int] = None
        self._scalars: List[ReferenceType] = []
        self._kept: List[DeferredScalar] = []

    @torch.no_grad()
    def keep(self, scalars: Sequence[Tensor]) -> List[DeferredScalar]:
        """Copy scalars, without a read.

        Args:
            scalars (Sequence[Tensor]): Tensors with one element each.
        """
        groups: Dict[Tuple, List[int]] = {}
        for position, scalar in enumerate(scalars):
            groups.setdefault((scalar.dtype, scalar.device), []).append(position)
        kept: Dict[int, DeferredScalar] = {}
        for positions in groups.values():
            values = [scalars[i] for i in positions]
            pack = _Pack(torch.stack([x.reshape(()) if x.ndim else x for x in values]))
            self._waiting.append(pack)
            for index, position in enumerate(positions):
                kept[position] = DeferredScalar(self, pack, index)
        return [kept[position] for position in range(len(scalars))]

    def keep_outputs(
        self, outputs: Mapping[str, Any], iteration: int
    ) -> Dict[str, Any]:
        """Copy the scalars among the outputs of a train step, without a read.

        Several hooks ask for the same outputs; they are copied once.

        Args:
            outputs (Mapping[str, Any]): What ``train_step`` returned.
            iteration (int): Iteration of the run, 0-based.

        Returns:
            dict[str, Any]: Each tensor with one element as a
            :class:`DeferredScalar`; every other value as it is.
        """
        names = [name for name, value in outputs.items() if is_scalar_tensor(value)]
        scalars = [outputs[name] for name in names]
        # A CUDA graph may return the same tensors in each step, so they alone do
        # not tell two steps apart.
        known = iteration == self._iteration and len(scalars) == len(self._scalars)
        if not known or any(old() is not x for old, x in zip(self._scalars, scalars)):
            self._kept = self.keep(scalars)
            self._iteration = iteration
            # Weak references, because a loss holds its autograd graph.
            self._scalars = [ref(scalar) for scalar in scalars]
        return {**outputs, **dict(zip(names, self._kept, strict=True))}

    def read(self) -> None:
        """Read all scalars that wait: one read per dtype, usually one in all."""
        groups: Dict[Tuple, List[_Pack]] = {}
        for pack in self._waiting:
            key = pack.tensor.dtype, pack.tensor.device
            groups.setdefault(key, []).append(pack)
        for packs in groups.values():
            values = torch.cat([pack.tensor for pack in packs]).tolist()
            start = 0
            for pack in packs:
                end = start + len(pack.tensor)
                pack.values = values[start:end]
                start = end
        self._waiting = []


class DeferredBuffer(HistoryBuffer):
    """``HistoryBuffer`` whose latest values may still be on the device.

    Any access to the values reads them, so nobody sees another history than
    mmengine's. A copy, such as the one in a checkpoint, is a plain
    ``HistoryBuffer``. Values are appended in blocks, while mmengine copies the
    whole history at each update.

    Args:
        history (HistoryBuffer): History so far.
    """

    def __init__(self, history: HistoryBuffer):
        self._pending: List[Tuple[Any, Union[int, float]]] = []
        super().__init__(*history.data, max_length=history.max_length)

    @property
    def _log_history(self) -> np.ndarray:
        self._convert()
        return self._log

    @_log_history.setter
    def _log_history(self, values: np.ndarray) -> None:
        self._log = values

    @property
    def _count_history(self) -> np.ndarray:
        self._convert()
        return self._count

    @_count_history.setter
    def _count_history(self, values: np.ndarray) -> None:
        self._count = values

    def update(self, log_val: Any, count: int = 1) -> None:
        """Append a value.

        Args:
            log_val (DeferredScalar | int | float): Value.
            count (int): See mmengine's ``HistoryBuffer``. Defaults to 1.
        """
        if not isinstance(log_val, (DeferredScalar, int, float)) or not isinstance(
            count, (int, float)
        ):
            raise TypeError(
                f'the value is a {type(log_val).__name__} and its count a '
                f'{type(count).__name__}; both must be numbers, or the value a '
                'DeferredScalar.'
            )
        self._pending.append((log_val, count))
        if len(self._pending) >= MAX_WAITING:
            self._convert()

    def current(self) -> np.ndarray:
        """Return the latest value."""
        # IterTimerHook asks for its time in each step, which is a number.
        if self._pending and isinstance(self._pending[-1][0], float):
            return np.asarray(self._pending[-1][0])[()]
        return super().current()

    def _convert(self) -> None:
        """Turn the values that wait into numbers."""
        if not self._pending:
            return
        values = [
            value.value if isinstance(value, DeferredScalar) else value
            for value, _ in self._pending
        ]
        counts = [count for _, count in self._pending]
        self._pending = []
        # An empty array is float64; the first values decide the dtype.
        first = not len(self._log)
        self._log = np.array(values) if first else np.append(self._log, values)
        self._count = np.array(counts) if first else np.append(self._count, counts)
        self._log = self._log[-self.max_length :]
        self._count = self._count[-self.max_length :]

    def __reduce__(self) -> Tuple:
        return HistoryBuffer, (*self.data, self.max_length)


# MessageHub is not ours, so the reader of a hub is kept beside it.
_readers: 'WeakKeyDictionary[MessageHub, ScalarReader]' = WeakKeyDictionary()


def scalar_reader(hub: MessageHub) -> ScalarReader:
    """Return the reader that all scalars of a message hub share."""
    return _readers.setdefault(hub, ScalarReader())


def is_scalar_tensor(value: Any) -> bool:
    """Return whether a value is a tensor with one element."""
    return isinstance(value, Tensor) and value.numel() == 1


def defer_history(hub: MessageHub, name: str) -> DeferredBuffer:
    """Make a history of a message hub one that reads late, and return it.

    Args:
        hub (MessageHub): Message hub of a run.
        name (str): Name of the history, such as ``'train/loss'``.
    """
    if name not in hub.log_scalars:
        # mmengine notes here that checkpoints contain this history.
        hub.update_scalar(name, 0.0)
        hub.log_scalars[name] = DeferredBuffer(HistoryBuffer())
    buffer = hub.log_scalars[name]
    if not isinstance(buffer, DeferredBuffer):
        buffer = hub.log_scalars[name] = DeferredBuffer(buffer)
    return buffer


def update_scalar(hub: MessageHub, name: str, value: Any) -> None:
    """Append a value to a history of a message hub, without a read.

    Args:
        hub (MessageHub): Message hub of a run.
        name (str): Name of the history, such as ``'train/grad_norm'``.
        value (Any): Scalar as a tensor, an array or a number, or a
            :class:`DeferredScalar`.
    """
    if is_scalar_tensor(value):
        (value,) = scalar_reader(hub).keep([value])
    if isinstance(value, DeferredScalar):
        defer_history(hub, name).update(value)
    else:
        # A number need not wait.
        hub.update_scalar(name, value)
