"""Co-teaching (Han et al., NeurIPS'18).

===================  ========================================================
paper, Algorithm 1   code
===================  ========================================================
lines 5 to 8         :meth:`CoTeaching.joint_loss`: each network learns from
                     the samples that the other one selects by
                     :func:`~mmfer.models.small_loss.smallest`
line 10, R(T)        :func:`~mmfer.models.small_loss.ramp`, in
                     :meth:`~mmfer.models.SmallLossNetwork.start_epoch`: share
                     of a batch that is discarded
===================  ========================================================
"""

from .coteaching import CoTeaching

__all__ = ['CoTeaching']
