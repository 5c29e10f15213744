"""Test-time augmentation that also averages uncertainties."""

from typing import List

from mmpretrain.models.tta import AverageClsScoreTTA
from mmpretrain.structures import DataSample

from mmfer.registry import MODELS


@MODELS.register_module()
class AverageUncertaintyTTA(AverageClsScoreTTA):
    """``AverageClsScoreTTA`` that also averages ``uncertainty`` and ``pred_va``.

    Fields that the model does not predict are omitted.
    """

    def _merge_single_sample(self, data_samples: List[DataSample]) -> DataSample:
        if 'pred_score' in data_samples[0]:
            merged = super()._merge_single_sample(data_samples)
            merged.set_pred_label(merged.pred_score.argmax())
        else:
            merged = data_samples[0].new()
        if 'pred_va' in merged:
            mean = sum(s.pred_va for s in data_samples) / len(data_samples)
            merged.set_field(mean, 'pred_va')
        if 'uncertainty' in merged:
            mean = sum(s.uncertainty for s in data_samples) / len(data_samples)
            merged.set_field(mean, 'uncertainty')
        return merged
