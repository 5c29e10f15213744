"""Schematic faces with known expression, valence and arousal.

The faces need no download and no file. A face is one row of parameters
(:data:`FACE_DTYPE`): facial actions inspired by the Facial Action Coding
System, the build of the head, its pose, the light, and objects that occlude
it. :func:`sample_faces` draws such rows at random, and :func:`render_faces`
turns them into grey images. The results of both depend only on the arguments.

- `parameters`: names, units and data type of the parameters.
- `sampling`: random parameters, labels, valence and arousal.
- `canvas`: painting of shapes, for many faces at once.
- `drawing`: the shapes of a face.
- `rendering`: from parameters to images, with light, blur and noise.
- `dataset`: the data set :class:`SyntheticFaces`.
"""

from .dataset import SyntheticFaces
from .parameters import ACTIONS, APPEARANCE, EXPRESSIONS, FACE_DTYPE
from .rendering import render_face, render_faces
from .sampling import NEIGHBOURS, PROTOTYPE_VA, sample_faces

__all__ = [
    'ACTIONS',
    'APPEARANCE',
    'EXPRESSIONS',
    'FACE_DTYPE',
    'NEIGHBOURS',
    'PROTOTYPE_VA',
    'SyntheticFaces',
    'render_face',
    'render_faces',
    'sample_faces',
]
