"""Values that published code of other methods computes, for tests of parity.

``data/published_peers.json`` holds inputs and outputs in float64 with 12 significant
digits; each entry names the repository that computed it. No code was copied from
there.
"""

import functools
import json
from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch

FILE = Path(__file__).parent / 'data/published_peers.json'
# Outputs have 12 digits.
RTOL = 1e-9


@functools.lru_cache(maxsize=1)
def read() -> Dict[str, Any]:
    return json.loads(FILE.read_text())


def as_tensor(value: Any) -> Any:
    """Numbers and nested lists of numbers as tensors; everything else as it is."""
    if isinstance(value, dict):
        return {name: as_tensor(part) for name, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [as_tensor(part) for part in value]
    if isinstance(value, (list, float)):
        # torch.tensor would make float32 of Python's floats.
        return torch.as_tensor(np.asarray(value))
    return value


def golden(name: str) -> Dict[str, Any]:
    """``inputs``, ``outputs`` and ``options`` of an entry.

    Args:
        name (str): Such as ``'scn_step_a'``.
    """
    entry = read()[name]
    return dict(
        inputs=as_tensor(entry['inputs']),
        outputs=as_tensor(entry['outputs']),
        options=entry['options'],
    )


def assert_golden(got: torch.Tensor, want: Any) -> None:
    """Compare with a published value, at 1e-9 relative to its largest number."""
    want = torch.as_tensor(np.asarray(want))
    scale = float(want.abs().max()) if want.is_floating_point() else 0.0
    torch.testing.assert_close(
        got.detach(), want, rtol=RTOL, atol=RTOL * scale, check_dtype=False
    )
