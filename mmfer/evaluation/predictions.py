"""Write the predictions of a test run into a file that needs no pickle."""

import os.path as osp
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric, Evaluator

from mmfer.registry import METRICS
from mmfer.utils.safe_pickle import write_arrays

PREDICTIONS_SUFFIX = '.npz'
"""Suffix of files with predictions."""
METRICS_SUFFIXES = ('.json', '.yaml', '.yml')
"""Suffixes of files with metrics."""
TEXTS = ('img_path',)


def check_results_file(path: str, metrics: bool = False) -> None:
    """Raise unless results can be written to a file of this name.

    Args:
        path (str): File that a user names.
        metrics (bool): Whether metrics are written; otherwise predictions.

    Raises:
        ValueError: The suffix is another one.
    """
    suffixes = METRICS_SUFFIXES if metrics else (PREDICTIONS_SUFFIX,)
    if path.endswith(suffixes):
        return
    stem, suffix = osp.splitext(path)
    reason = (
        'A pickle can run code when it is read, so mmfer writes none. '
        if suffix in ('.pkl', '.pickle')
        else ''
    )
    raise ValueError(
        f'--out {path}: {"metrics" if metrics else "predictions"} are written as '
        f'{", ".join(suffixes)}. {reason}Use --out {stem}{suffixes[0]}'
    )


@METRICS.register_module()
class DumpPredictions(BaseMetric):
    """Metric that measures nothing, and writes the predictions into a ``.npz`` file.

    The file has an array of N rows for each field that all N samples have with the
    same shape: ``pred_score`` (N, C), ``pred_label``, ``gt_label``, ``sample_id``,
    ``uncertainty`` and ``img_path`` (N,), and others of the model. ``img_path`` is
    empty for images without a file. ``classes`` (C,) has the names of the classes.
    :func:`mmfer.analysis.predictions.read_predictions` reads the file.

    Args:
        out_file (str): File to write; its name ends with ``.npz``.
        **kwargs: See mmengine's ``BaseMetric``.

    Raises:
        ValueError: The name ends in another way.
    """

    def __init__(self, out_file: str, **kwargs: Any):
        super().__init__(**kwargs)
        check_results_file(out_file)
        self.out_file = out_file

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collect the numbers and paths of a batch."""
        for sample in data_samples:
            found = {name: as_array(name, value) for name, value in sample.items()}
            found.setdefault('img_path', np.array(''))
            self.results.append(
                {name: value for name, value in found.items() if value is not None}
            )

    def compute_metrics(self, results: List[Dict[str, np.ndarray]]) -> dict:
        """Write the file; there are no metrics."""
        names = [name for name in results[0] if all(name in row for row in results)]
        arrays = {}
        for name in names:
            values = [row[name] for row in results]
            if len({value.shape for value in values}) == 1:
                stacked = np.stack(values)
                # A data sample has its labels as arrays of one number.
                scalar = stacked.ndim == 2 and name in ('gt_label', 'pred_label')
                if scalar and stacked.shape[1] == 1:
                    stacked = stacked[:, 0]
                arrays[name] = stacked
        classes = (self.dataset_meta or {}).get('classes')
        if classes is not None and 'classes' not in arrays:
            arrays['classes'] = np.array([str(name) for name in classes])
        write_arrays(self.out_file, arrays)
        return {}


def dump_predictions(evaluator: Evaluator, out_file: str) -> None:
    """Let an evaluator also write its predictions.

    Args:
        evaluator (Evaluator): Evaluator of a test loop; changed in place.
        out_file (str): See :class:`DumpPredictions`.
    """
    metric = DumpPredictions(out_file)
    metric.dataset_meta = evaluator.dataset_meta
    evaluator.metrics.append(metric)


def as_array(name: str, value: Any) -> Optional[np.ndarray]:
    """Return numbers as an array, or the path of an image; None for anything else."""
    if name in TEXTS:
        return np.array(str(value or ''))
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.dtype == torch.bfloat16 else value
        return value.numpy()
    if isinstance(value, (bool, int, float, np.generic, np.ndarray)):
        array = np.asarray(value)
        return array if array.dtype.kind in 'biuf' else None
    return None
