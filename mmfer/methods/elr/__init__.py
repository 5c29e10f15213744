"""ELR: early-learning regularisation.

Liu, Niles-Weed, Razavian and Fernandez-Granda, Early-Learning Regularization
Prevents Memorization of Noisy Labels, NeurIPS 2020. Clipping and order of the steps
are those of the published code.

====================  =======================  ===============
In the paper          Function                 File
====================  =======================  ===============
target                ``average_targets``      ``losses.py``
regulariser           ``early_learning_term``  ``losses.py``
loss                  ``elr_loss``             ``losses.py``
table of targets      ``ELRHead.loss``         ``elr_head.py``
ELR+, loss            ``elr_plus_loss``        ``losses.py``
ELR+, both networks   ``ELRPlus.loss``         ``elr_plus.py``
ELR+, ramps           ``ramp``                 ``losses.py``
noise score, our own  ``label_evidence``       ``losses.py``
====================  =======================  ===============
"""

from .elr_head import ELRHead
from .elr_plus import ELRPlus

__all__ = ['ELRHead', 'ELRPlus']
