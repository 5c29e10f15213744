"""DMUE: latent distribution mining and pairwise uncertainty estimation.

She, Hu, Shi, Wang, Shen and Mei, Dive into Ambiguity: Latent Distribution Mining and
Pairwise Uncertainty Estimation for Facial Expression Recognition, CVPR 2021. The
equations are those of the published code.

===========================  =============================  =======================
Quantity                     Function                       File
===========================  =============================  =======================
shared and copied stages     ``find_last_stage``            ``branches.py``
auxiliary branch             ``Branch``                     ``branches.py``
statistics of each subset    ``GroupedBatchNorm``           ``grouped_norm.py``
labels of a branch           ``branch_labels``              ``losses.py``
loss of the branches         ``auxiliary_loss``             ``losses.py``
soft labels                  ``soft_labels``                ``losses.py``
loss against soft labels     ``soft_label_loss``            ``losses.py``
similarity preserving loss   ``similarity_loss``            ``losses.py``
mean cosines to the classes  ``class_similarities``         ``certainty.py``
their scale                  ``min_max``                    ``certainty.py``
certainty of a label, s      ``Certainty``                  ``certainty.py``
ramps                        ``ramp_up``, ``ramp_down``     ``losses.py``
whole loss                   ``DMUEHead.global_loss``       ``dmue_head.py``
noise score                  ``DMUEHead.score_labels``      ``dmue_head.py``
===========================  =============================  =======================
"""

from .dmue import DMUEClassifier
from .dmue_head import DMUEHead

__all__ = ['DMUEClassifier', 'DMUEHead']
