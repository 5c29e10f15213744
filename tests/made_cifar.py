"""Labels of the made CIFAR images, and a pickle that must not be loaded."""

import os

LABELS = [i % 10 for i in range(50)]

# Eight wrong ones, not the same in every image of a class.
NOISY = [(i % 10 + (i % 7 == 0)) % 10 for i in range(50)]


class Poison:
    """Would make a file if it were unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)
