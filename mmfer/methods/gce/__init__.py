"""GCE: generalized cross-entropy.

Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with
Noisy Labels, NeurIPS 2018.

===================  =============================  ===============
In the paper         Function                       File
===================  =============================  ===============
Sec. 3.2, L_q        ``generalized_cross_entropy``  ``losses.py``
Sec. 3.3, L_q(k)     ``loss_at``                    ``losses.py``
Algorithm 1, loss    ``truncated_loss``             ``losses.py``
Algorithm 1, w       ``kept``                       ``losses.py``
Algorithm 1, epochs  ``GCEHead.refresh_due``        ``gce_head.py``
===================  =============================  ===============
"""

from .gce_head import GCEHead

__all__ = ['GCEHead']
