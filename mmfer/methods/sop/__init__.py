"""SOP: sparse over-parameterisation of label noise.

Liu, Zhu, Qu and You, Robust Training under Label Noise by Over-parameterization, ICML
2022. Clipping and order of the steps are those of the published code.

========================  =====================  ===============
In the paper              Function               File
========================  =====================  ===============
noise model, U and V      ``wrong_label_terms``  ``losses.py``
corrected prediction      ``correct``            ``losses.py``
cross-entropy             ``label_loss``         ``losses.py``
squared error             ``squared_residual``   ``losses.py``
SOP+, balance             ``balance_loss``       ``losses.py``
SOP+, consistency         ``consistency_loss``   ``losses.py``
whole loss                ``sop_loss``           ``losses.py``
steps of u and v          ``sample_gradients``   ``losses.py``
========================  =====================  ===============

The second view of SOP+ enters in ``sop_classifier.py``.
"""

from .sop_classifier import SOPClassifier
from .sop_head import SOPHead

__all__ = ['SOPClassifier', 'SOPHead']
