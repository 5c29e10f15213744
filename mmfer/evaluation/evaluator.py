"""Evaluator that reads the predictions of a batch at once."""

from typing import Any, Optional

from mmengine.evaluator import Evaluator

from mmfer.datasets.batches import SampleBatch
from mmfer.registry import EVALUATORS


@EVALUATORS.register_module()
class BatchEvaluator(Evaluator):
    """``Evaluator`` that copies the predictions of a batch to the CPU at once.

    mmengine's evaluator reads sample by sample, and a GPU has to finish its work
    for each read. Metrics may have a method ``process_batch``, which gets the
    :class:`SampleBatch`. Other metrics get a dict for each sample, as usual.

    The tools use it for every ``val_evaluator`` and ``test_evaluator`` that is a
    metric or a list of metrics.
    """

    def process(self, data_samples: Any, data_batch: Optional[Any] = None) -> None:
        """Give the predictions of a batch to all metrics.

        Args:
            data_samples (SampleBatch | Sequence[DataSample]): Predictions.
            data_batch (dict, optional): Batch of the data loader.
        """
        if not isinstance(data_samples, SampleBatch):
            super().process(data_samples, data_batch)
            return
        samples = data_samples.to('cpu')
        rows = None
        for metric in self.metrics:
            if hasattr(metric, 'process_batch'):
                metric.process_batch(samples)
                continue
            if rows is None:
                rows = samples.rows()
            metric.process(data_batch, rows)
