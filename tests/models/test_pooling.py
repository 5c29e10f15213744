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


def test_last_map():
    neck = MODELS.build(dict(type='LastMap', in_channels=3))
    features, tokens = torch.randn(2, 3, 4, 5), torch.randn(2, 7, 3)
    (found,) = neck((torch.randn(2, 8, 8, 8), features))
    assert torch.equal(found, features)
    # Channels last, as timm's Swin has them.
    assert torch.equal(neck((features.permute(0, 2, 3, 1),))[0], features)
    assert torch.equal(neck([tokens])[0], tokens.transpose(1, 2)[..., None])
    assert neck(torch.randn(2, 3))[0].shape == (2, 3, 1, 1)
