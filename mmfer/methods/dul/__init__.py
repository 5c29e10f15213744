"""DUL: data uncertainty learning, classification form.

Chang, Lan, Cheng and Wei, Data Uncertainty Learning in Face Recognition, CVPR 2020.

===================  ===============================  ==============================
In the paper         Function                         File
===================  ===============================  ==============================
mean, variance       ``UncertaintyNeck``              ``models/uncertainty_neck.py``
standard deviation   ``standard_deviation``           ``losses.py``
reparameterisation   ``sample_feature``               ``losses.py``
KL divergence        ``kl_to_standard_normal``        ``losses.py``
classification form  ``DULHead.loss``                 ``dul_head.py``
uncertainty          ``GaussianFeature.uncertainty``  ``models/uncertainty_neck.py``
===================  ===============================  ==============================

The paper was written for face recognition. For expressions, the neck and the schedule
are those of RUL, whose paper compares with it.
"""

from .dul_head import DULHead

__all__ = ['DULHead']
