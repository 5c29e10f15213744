"""RUL: relative uncertainty learning (Zhang, Wang and Deng, NeurIPS'21).

The equations are those of the published code, sections those of the
supplement.

===================  ========================================================
paper                code
===================  ========================================================
mean and variance    :class:`~mmfer.models.UncertaintyNeck`
mixed feature        :func:`~mmfer.models.feature_mixing.scalar_weights`,
                     :func:`~mmfer.models.feature_mixing.mix`
loss                 :func:`~mmfer.methods.rul.rul_head.mixed_feature_loss`
uncertainty          :meth:`~mmfer.models.uncertainty_neck.GaussianFeature.uncertainty`
supplement B         :class:`~mmfer.engine.RelabelHook`: relabelling
supplement G         :func:`~mmfer.methods.rul.rul_head.mixed_output_loss`,
                     :func:`~mmfer.methods.rul.rul_head.loss_attention_loss`
several images       ``num_images`` and ``pairwise`` of :class:`RULHead`
===================  ========================================================
"""

from .rul_head import RULHead

__all__ = ['RULHead']
