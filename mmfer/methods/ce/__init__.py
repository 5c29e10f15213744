"""Plain cross-entropy, the baseline of every table.

===================  ========================================================
quantity             code
===================  ========================================================
cross-entropy        mmpretrain's ``LinearClsHead``
uncertainty          :func:`~mmfer.models.heads.least_confidence`: one minus
                     the largest probability
===================  ========================================================
"""

from .ce_head import CEHead

__all__ = ['CEHead']
