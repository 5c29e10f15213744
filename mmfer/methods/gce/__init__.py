"""GCE: generalized cross-entropy.

Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with
Noisy Labels, NeurIPS 2018.

===================  =============================  ===============
In the paper         Function                       File
===================  =============================  ===============
L_q                  ``generalized_cross_entropy``  ``losses.py``
L_q(k)               ``loss_at``                    ``losses.py``
truncated loss       ``truncated_loss``             ``losses.py``
weights w            ``kept``                       ``losses.py``
epochs of a refresh  ``GCEHead.refresh_due``        ``gce_head.py``
===================  =============================  ===============
"""

from .gce_head import GCEHead

__all__ = ['GCEHead']
