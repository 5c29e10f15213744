"""SCN: self-cure network.

Wang, Peng, Yang, Lu and Qiao, Suppressing Uncertainties for Large-Scale Facial
Expression Recognition, CVPR 2020. The equations are those of the published code.

======================  =======================  ================
In the paper            Function                 File
======================  =======================  ================
importance weight       ``SCNHead.weigh``        ``scn_head.py``
weighted cross-entropy  ``SCNHead.loss``         ``scn_head.py``
high and low group      ``important_images``     ``equations.py``
rank regularisation     ``rank_regularization``  ``equations.py``
relabelling             ``corrected_labels``     ``equations.py``
======================  =======================  ================

``PRESETS`` in ``scn_head.py`` has the difference between paper and published code.
"""

from .scn_head import SCNHead

__all__ = ['SCNHead']
