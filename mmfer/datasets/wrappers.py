"""Find data sets and pipelines inside wrappers such as ``ConcatDataset``."""

from typing import Any, Callable, Iterator, Optional

from .base import FERDataset


def fer_datasets(dataset: Any) -> Iterator[FERDataset]:
    """Yield a data set of mmfer, or all those inside its wrappers."""
    if isinstance(dataset, FERDataset):
        yield dataset
    for inner in getattr(dataset, 'datasets', None) or filter(
        None, [vars(dataset).get('dataset') or vars(dataset).get('_dataset')]
    ):
        yield from fer_datasets(inner)


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
        parts = attributes.get('datasets')
        if isinstance(parts, (list, tuple)) and parts:
            dataset = parts[0]
        else:
            # Not "or": the truth value of a data set asks for its length.
            inner = attributes.get('dataset')
            dataset = attributes.get('_dataset') if inner is None else inner
    return None
