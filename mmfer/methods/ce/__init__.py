"""CE: plain cross-entropy, the baseline of every table.

The loss is that of mmpretrain's ``LinearClsHead``.

============  ====================  ===================
Quantity      Function              File
============  ====================  ===================
uncertainty   ``least_confidence``  ``models/heads.py``
============  ====================  ===================
"""

from .ce_head import CEHead

__all__ = ['CEHead']
