"""Find data sets and pipelines inside wrappers such as ``ConcatDataset``."""

from typing import Any, Callable, Iterator, List, Optional

from .base import FERDataset


def fer_datasets(dataset: Any) -> Iterator[FERDataset]:
    """Yield the data sets of mmfer inside wrappers, or the data set itself."""
    if isinstance(dataset, FERDataset):
        yield dataset
    for inner in _inner_datasets(dataset):
        yield from fer_datasets(inner)


def prepare_images(dataset: Any) -> None:
    """Prepare the images of all data sets of mmfer inside wrappers.

    See :meth:`~mmfer.datasets.batched.BatchedDataset.prepare_images`.

    Args:
        dataset: Any data set.
    """
    for inner in fer_datasets(dataset):
        inner.prepare_images()


def pipeline_of(dataset: Any) -> Optional[Callable]:
    """Return the pipeline of a data set, None if it has none.

    Args:
        dataset: Any data set. If a wrapper has several data sets, the first
            one is used.
    """
    while dataset is not None:
        attributes = getattr(dataset, '__dict__', {})
        if attributes.get('pipeline') is not None:
            return attributes['pipeline']
        dataset = next(iter(_inner_datasets(dataset)), None)
    return None


def _inner_datasets(dataset: Any) -> List[Any]:
    """Return the data sets directly inside a wrapper; empty if it is none."""
    attributes = getattr(dataset, '__dict__', {})
    parts = attributes.get('datasets')
    if isinstance(parts, (list, tuple)) and parts:
        return list(parts)
    # Do not use the truth value of a data set: it asks for the length, which loads
    # the data, and an empty data set would count as missing.
    inner = attributes.get('dataset')
    if inner is None:
        inner = attributes.get('_dataset')
    return [] if inner is None else [inner]
