"""Compute in forked processes, which have none of the threads of their parent."""

import os
from functools import lru_cache, partial

import torch


@lru_cache(maxsize=None)
def one_thread_in_forks() -> None:
    """Let torch use a single thread in the processes that fork from this one.

    A network that was built has started torch's threads. A forked process does not have
    them, but torch would wait for them without end, for example in a web server that
    loads its application before it forks. Data loaders of torch do the same.
    """
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))
