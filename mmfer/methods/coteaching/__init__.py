"""Co-teaching: each network selects samples for the other.

Han et al., Co-teaching: Robust Training of Deep Neural Networks with Extremely
Noisy Labels, NeurIPS 2018.

==========================  =========================  ========================
In the paper                Function                   File
==========================  =========================  ========================
Algorithm 1, lines 5 to 8   ``CoTeaching.joint_loss``  ``coteaching.py``
smallest loss               ``smallest``               ``models/small_loss.py``
Algorithm 1, line 10, R(T)  ``ramp``                   ``models/small_loss.py``
==========================  =========================  ========================
"""

from .coteaching import CoTeaching

__all__ = ['CoTeaching']
