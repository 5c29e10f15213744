"""Labels of the made CIFAR images, and a pickle that must not be loaded."""

import os

LABELS = [i % 10 for i in range(50)]

# Eight labels are wrong, but not those of all images of a class.
NOISY = [(i % 10 + (i % 7 == 0)) % 10 for i in range(50)]


class Poison:
    """Object that makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)
