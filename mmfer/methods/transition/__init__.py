"""Forward and backward correction of the loss by a transition matrix.

Patrini, Rozza, Menon, Nock and Qu, Making Deep Neural Networks Robust to Label Noise: a
Loss Correction Approach, CVPR 2017.

===================  =====================  =============
In the paper         Function               File
===================  =====================  =============
forward correction   ``forward_loss``       ``losses.py``
backward correction  ``backward_loss``      ``losses.py``
T by anchors         ``anchor_transition``  ``losses.py``
reweighting          ``reweighted_loss``    ``losses.py``
score of a label     ``clean_posterior``    ``losses.py``
===================  =====================  =============

Reweighting is from Liu and Tao (TPAMI 2016), by way of T-Revision. The score of a label
is in no paper: it follows from T by Bayes' rule.
"""

from .transition_head import TransitionHead

__all__ = ['TransitionHead']
