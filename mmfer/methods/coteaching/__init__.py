"""Co-teaching (Han et al., NeurIPS'18).

===================  ========================================================
paper, Algorithm 1   code
===================  ========================================================
lines 4 and 5        :func:`~mmfer.models.small_loss.smallest`: samples of
                     smallest loss
lines 6 and 7        :meth:`CoTeaching.joint_loss`: each network learns from
                     the samples that the other one selected
line 8, R(T)         :meth:`~mmfer.models.SmallLossNetwork.start_epoch` and
                     :func:`~mmfer.models.small_loss.ramp`: share of a batch
                     that is discarded
===================  ========================================================
"""

from .coteaching import CoTeaching

__all__ = ['CoTeaching']
