"""Batch of samples as stacked tensors, which can be read as data samples."""

from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

import numpy as np
import torch
from mmpretrain.structures import DataSample
from torch import Tensor

# Fields with one number per sample. A data sample has them as a tensor (1,).
SCALARS = ('gt_label', 'pred_label')
# Types of values that are replaced, or are views of a tensor of the batch.
UNCHANGEABLE = (Tensor, np.ndarray, np.generic, str, int, float, tuple, type(None))


class SampleBatch:
    """Labels and predictions of B samples, as one tensor for each field.

    Losses and metrics of mmfer read the tensors: ``batch.gt_label``. Code of
    OpenMMLab reads data samples: ``batch[i]``, or a loop over the batch. A data
    sample is made when somebody asks for it, and it is kept. If its fields are
    changed, the tensors change with them. Fields of which the samples have different
    shapes are lists.

    Args:
        fields (Mapping[str, Tensor]): Fields that live on the device of the
            model, each (B, ...): ``gt_label`` int64 (B,), ``gt_score`` (B, C),
            and predictions.
        arrays (Mapping[str, Tensor], optional): Fields that stay on the CPU,
            each (B, ...), such as ``gt_va`` and ``gt_label_sets``. A data
            sample has them as NumPy arrays.
        meta (Mapping[str, Sequence], optional): Meta fields with B entries,
            such as ``sample_id``, an int64 tensor (B,) on the CPU, and
            ``img_path``.
    """

    # This is no collections.abc.Sequence: torch would pin and copy it sample by
    # sample.
    def __init__(
        self,
        fields: Mapping[str, Tensor],
        arrays: Optional[Mapping[str, Tensor]] = None,
        meta: Optional[Mapping[str, Any]] = None,
    ):
        self._fields: Dict[str, Tensor] = dict(fields)
        self._arrays: Dict[str, Tensor] = dict(arrays or {})
        self._meta: Dict[str, Any] = dict(meta or {})
        self._samples: Optional[List[Optional[DataSample]]] = None
        # Fields of these data samples when they were made, which are views of the
        # tensors. None: the tensors were stacked again, so they are no views.
        self._views: Optional[Dict[int, Dict[str, Any]]] = {}
        sizes = {
            len(values)
            for part in (self._fields, self._arrays, self._meta)
            for values in part.values()
        }
        if len(sizes) != 1:
            raise ValueError(
                'SampleBatch: the fields have '
                f'{sorted(sizes) or "no"} entries. Give each field one entry for '
                'each sample of the batch.'
            )
        self._size = sizes.pop()

    @classmethod
    def from_samples(cls, samples: Sequence[DataSample]) -> 'SampleBatch':
        """Stack data samples that have the same fields.

        Args:
            samples (Sequence[DataSample]): B samples.

        Raises:
            ValueError: A field cannot be stacked. For example, one sample has
                two labels and another one has three.
        """
        return cls._from_samples(samples, keep_lists=False)

    @classmethod
    def _from_samples(
        cls, samples: Sequence[DataSample], keep_lists: bool
    ) -> 'SampleBatch':
        """See :meth:`from_samples`.

        Args:
            samples (Sequence[DataSample]): B samples.
            keep_lists (bool): Keep a field that cannot be stacked as a list.
        """
        first = samples[0]
        names = set(first.all_keys())
        for sample in samples:
            different = names.symmetric_difference(sample.all_keys())
            if different:
                raise ValueError(
                    f'only some samples of the batch have the fields '
                    f'{sorted(different)}. Set them for all samples.'
                )
        fields: Dict[str, Tensor] = {}
        arrays: Dict[str, Tensor] = {}
        meta: Dict[str, Any] = {
            name: [sample.get(name) for sample in samples]
            for name in first.metainfo_keys()
        }
        for name, value in first.items():
            values = [sample.get(name) for sample in samples]
            part = fields if isinstance(value, Tensor) else arrays
            if not all(map(is_numeric, values)):
                meta[name] = values
                continue
            try:
                part[name] = _stack(name, [torch.as_tensor(v) for v in values])
            except ValueError:
                if name in SCALARS or not keep_lists:
                    raise
                meta[name] = values
        ids = meta.get('sample_id', ())
        # Data sets of others may have names as ids.
        if ids and all(isinstance(i, (int, np.integer)) for i in ids):
            meta['sample_id'] = torch.tensor(ids, dtype=torch.int64)
        return cls(fields, arrays, meta)

    # -- tensors -----------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        # Called only for names that are no ordinary attributes. Names with an
        # underscore are looked up while an object is unpickled.
        if not name.startswith('_'):
            self._take_changes()
            for part in (self._fields, self._arrays, self._meta):
                if name in part:
                    return part[name]
        raise AttributeError(f'{type(self).__name__} has no field {name!r}.')

    def __contains__(self, name: str) -> bool:
        self._take_changes()
        return any(name in part for part in (self._fields, self._arrays, self._meta))

    def keys(self) -> List[str]:
        """Return the names of all fields except the meta fields."""
        self._take_changes()
        return [*self._fields, *self._arrays]

    def _take_changes(self) -> None:
        """Stack the fields again if somebody changed data samples of this batch."""
        if self._samples is None or not self._has_changes():
            return
        now = self._from_samples([self[i] for i in range(len(self))], keep_lists=True)
        self._fields, self._arrays = now._fields, now._arrays
        self._meta = {**self._meta, **now._meta}
        self._views = None

    def _has_changes(self) -> bool:
        """Return whether a data sample may differ from the tensors.

        Changes in place change the tensors, too, as long as fields are views of them.
        Evaluation loops of mmengine read one data sample of each batch, and must
        not cause that all of them are made.
        """
        if self._views is None:
            return True
        assert self._samples is not None
        for index, made in self._views.items():
            now = dict(self._samples[index].all_items())  # type: ignore[union-attr]
            if now.keys() != made.keys() or not all(
                value is made[name] and isinstance(value, UNCHANGEABLE)
                for name, value in now.items()
            ):
                return True
        return False

    def __getstate__(self) -> Dict[str, Any]:
        """Return the state without data samples; copies of them are no views."""
        self._take_changes()
        return dict(self.__dict__, _samples=None, _views={})

    def replace(self, **fields: Tensor) -> 'SampleBatch':
        """Return a batch with other or further fields, each (B, ...)."""
        self._take_changes()
        arrays, meta = (
            {name: values for name, values in part.items() if name not in fields}
            for part in (self._arrays, self._meta)
        )
        return type(self)({**self._fields, **fields}, arrays, meta)

    def drop(self, name: str) -> 'SampleBatch':
        """Return a batch without one of its fields."""
        self._take_changes()
        fields, arrays, meta = (
            {key: values for key, values in part.items() if key != name}
            for part in (self._fields, self._arrays, self._meta)
        )
        return type(self)(fields, arrays, meta)

    def to(self, device: Any, non_blocking: bool = False) -> 'SampleBatch':
        """Return the batch with its fields on another device."""
        self._take_changes()
        return type(self)(
            {
                name: value.to(device, non_blocking=non_blocking)
                for name, value in self._fields.items()
            },
            self._arrays,
            self._meta,
        )

    def pin_memory(self) -> 'SampleBatch':
        """Return the batch in pinned memory, for copies that do not block."""

        def pin(part: Mapping[str, Any]) -> Dict[str, Any]:
            return {
                name: value.pin_memory() if isinstance(value, Tensor) else value
                for name, value in part.items()
            }

        self._take_changes()
        # The ids are read on the CPU only.
        return type(self)(pin(self._fields), pin(self._arrays), self._meta)

    def rows(self) -> List[Dict[str, Any]]:
        """Return a dict for each sample, as ``DataSample.to_dict`` does.

        The tensors of the batch must be on the CPU.
        """
        self._take_changes()
        columns: Dict[str, Any] = {}
        for name, values in self._meta.items():
            columns[name] = values.tolist() if isinstance(values, Tensor) else values
        for name, value in self._fields.items():
            columns[name] = (value[:, None] if name in SCALARS else value).unbind()
        for name, value in self._arrays.items():
            columns[name] = list(value.numpy())
        names = list(columns)
        return [dict(zip(names, row)) for row in zip(*columns.values(), strict=True)]

    # -- data samples ------------------------------------------------------
    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[DataSample]:
        return (self[i] for i in range(len(self)))

    def __getitem__(
        self, index: Union[int, slice]
    ) -> Union[DataSample, List[DataSample]]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        if self._samples is None:
            self._samples = [None] * len(self)
        sample = self._samples[index]
        if sample is None:
            position = range(len(self))[index]
            sample = self._samples[position] = self._make(position)
            if self._views is not None:
                self._views[position] = dict(sample.all_items())
        return sample

    def _make(self, index: int) -> DataSample:
        """Make the data sample of one row."""
        sample = DataSample(
            metainfo={
                name: values[index].item()
                if isinstance(values, Tensor)
                else values[index]
                for name, values in self._meta.items()
            }
        )
        for name, value in self._fields.items():
            if name in SCALARS:
                sample.set_field(value[index : index + 1], name, dtype=Tensor)
            elif name == 'gt_score':
                sample.set_gt_score(value[index])
            elif name == 'pred_score':
                sample.set_pred_score(value[index])
            else:
                sample.set_field(value[index], name, dtype=Tensor)
        for name, value in self._arrays.items():
            sample.set_field(value[index].numpy(), name)
        return sample

    def __repr__(self) -> str:
        shapes = {name: tuple(getattr(self, name).shape) for name in self.keys()}
        return f'{type(self).__name__}({len(self)} samples, {shapes})'


def is_numeric(value: Any) -> bool:
    """Return whether a value of a field can be a tensor."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in 'biuf'
    return isinstance(value, (Tensor, int, float))


def _stack(name: str, values: Sequence[Tensor]) -> Tensor:
    """Stack a field of all samples; raise ``ValueError`` if shapes differ."""
    if len({value.shape for value in values}) > 1:
        raise ValueError(f'the samples have a {name} of different shapes.')
    if name in SCALARS:
        if values[0].shape != (1,):
            raise ValueError(f'the samples have several values of {name}.')
        return torch.cat(list(values))
    return torch.stack(list(values))


# A batch of samples as a model gets it: of mmfer's collate function, or of any other.
Samples = Union[SampleBatch, Sequence[DataSample]]


def has_field(samples: Samples, name: str) -> bool:
    """Return whether the samples of a batch have a field.

    Args:
        samples (SampleBatch | Sequence[DataSample]): B samples.
        name (str): Name of a field or of a meta field.
    """
    return name in (samples if isinstance(samples, SampleBatch) else samples[0])


def stack_field(samples: Samples, name: str) -> Tensor:
    """Return a field of all samples of a batch as one tensor, (B, ...).

    Args:
        samples (SampleBatch | Sequence[DataSample]): B samples that have the
            field.
        name (str): Name of the field. ``gt_label`` gives int64 (B,).
    """
    if isinstance(samples, SampleBatch):
        return getattr(samples, name)
    values = [torch.as_tensor(sample.get(name)) for sample in samples]
    return torch.cat(values) if name in SCALARS else torch.stack(values)
