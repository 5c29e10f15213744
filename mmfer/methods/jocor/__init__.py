"""JoCoR: joint training with co-regularisation.

Wei et al., Combating Noisy Labels by Agreement, CVPR 2020.

=============  ====================  =========================
In the paper   Function              File
=============  ====================  =========================
Eqs. 1 and 5   ``JoCoR.joint_loss``  ``jocor.py``
Eq. 4          ``symmetric_kl``      ``models/divergences.py``
smallest loss  ``smallest``          ``models/small_loss.py``
R(t)           ``ramp``              ``models/small_loss.py``
=============  ====================  =========================
"""

from .jocor import JoCoR

__all__ = ['JoCoR']
