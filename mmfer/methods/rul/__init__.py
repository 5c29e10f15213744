"""RUL: relative uncertainty learning.

Zhang, Wang and Deng, Relative Uncertainty Learning for Facial Expression
Recognition, NeurIPS 2021. The equations are those of the published code.

====================  ===============================  ==============================
In the paper          Function                         File
====================  ===============================  ==============================
mean and variance     ``UncertaintyNeck``              ``models/uncertainty_neck.py``
uncertainty           ``GaussianFeature.uncertainty``  ``models/uncertainty_neck.py``
mixing weights        ``scalar_weights``               ``models/feature_mixing.py``
mixed feature         ``mix``                          ``models/feature_mixing.py``
loss                  ``mixed_feature_loss``           ``rul_head.py``
Sec. B of supplement  ``RelabelHook``                  ``engine/hooks/relabel.py``
Sec. G, mix output    ``mixed_output_loss``            ``rul_head.py``
Sec. G, attention     ``loss_attention_loss``          ``rul_head.py``
====================  ===============================  ==============================

:class:`RULHead` has options to mix more than two images, all at once or in
pairs.
"""

from .rul_head import RULHead

__all__ = ['RULHead']
