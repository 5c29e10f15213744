"""JoCoR: combating noisy labels by agreement (Wei et al., CVPR'20).

===================  ========================================================
paper                code
===================  ========================================================
Eqs. 1 and 5         :meth:`JoCoR.joint_loss`: joint loss, and its mean over
                     the samples of smallest loss
Eq. 4                :func:`~mmfer.methods.jocor.jocor.symmetric_kl`
R(t)                 :meth:`~mmfer.models.SmallLossNetwork.start_epoch`: share
                     of a batch that is discarded
===================  ========================================================
"""

from .jocor import JoCoR

__all__ = ['JoCoR']
