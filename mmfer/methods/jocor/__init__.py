"""JoCoR: combating noisy labels by agreement (Wei et al., CVPR'20).

===================  ========================================================
paper                code
===================  ========================================================
Eqs. 1 and 5         :meth:`JoCoR.joint_loss`: joint loss, and its mean over
                     the samples with the smallest loss
Eq. 4                :func:`~mmfer.methods.jocor.jocor.symmetric_kl`
selection            :func:`~mmfer.models.small_loss.smallest`,
                     :func:`~mmfer.models.small_loss.num_kept`
===================  ========================================================
"""

from .jocor import JoCoR

__all__ = ['JoCoR']
