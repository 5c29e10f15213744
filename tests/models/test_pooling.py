"""Pooling of maps, vectors and tokens."""

import torch

from mmfer.registry import MODELS


def test_maps_vectors_and_tokens():
    pool = MODELS.build(dict(type='FeaturePooling'))
    features, vector, tokens = (
        torch.randn(2, 3, 4, 5),
        torch.randn(2, 3),
        torch.randn(2, 7, 3),
    )
    torch.testing.assert_close(pool(features)[0], features.mean((2, 3)))
    torch.testing.assert_close(pool((vector,))[0], vector)
    several = pool([features, tokens])
    assert len(several) == 2
    torch.testing.assert_close(several[1], tokens.mean(1))
