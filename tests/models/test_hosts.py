"""MA-Net and ARM, which GAAVE's Table 1 cleans labels for."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope

from mmfer.datasets.batches import SampleBatch
from mmfer.models import AmendRepresentation, MANet, MANetHead
from mmfer.models.manet import AttentionBlock, ConvAttention, MultiScaleBlock
from mmfer.registry import MODELS


def randomised(module):
    """Random weights and statistics, in float64 and eval mode."""
    torch.manual_seed(0)
    for value in module.state_dict().values():
        if value.is_floating_point():
            torch.nn.init.uniform_(value, 0.2, 0.9)
            value -= 0.3 * (value.ndim > 1)
    return module.double().eval()


# -- ARM -------------------------------------------------------------------------
def amended(neck, maps, shared=None):
    """ARM in loops; without ``shared``, the statistics are those of the batch."""
    kernel = neck.de_albino.weight.detach().numpy()[0, 0]
    count, channels, height, width = maps.shape
    pixels = np.zeros((count, channels // 256, 16 * height, 16 * width))
    for c in range(channels):
        group, place = divmod(c, 256)
        pixels[:, group, place // 16 :: 16, place % 16 :: 16] = maps[:, c]
    side = ((16 * height - 32) // 8 + 1, (16 * width - 32) // 8 + 1)
    out = np.zeros((count, channels // 256, *side))
    for i in range(side[0]):
        for j in range(side[1]):
            window = pixels[:, :, 8 * i : 8 * i + 32, 8 * j : 8 * j + 32]
            out[:, :, i, j] = (window * kernel).sum(axis=(2, 3))
    mean, var = neck.bn.running_mean.numpy(), neck.bn.running_var.numpy()
    if shared is None:
        mean, var = out.mean(axis=(0, 2, 3)), out.var(axis=(0, 2, 3))
    scale = neck.bn.weight.detach().numpy() / np.sqrt(var + neck.bn.eps)
    out = (out - mean[:, None, None]) * scale[:, None, None]
    out += neck.bn.bias.detach().numpy()[:, None, None]
    shared = out.mean(axis=(0, 1)) if shared is None else shared
    return (out.mean(axis=1) + neck.alpha.item() * shared).reshape(count, -1)


@pytest.mark.parametrize('size', [(7, 7), (2, 3)])
def test_arm(size):
    neck = randomised(AmendRepresentation(512, size))
    maps = torch.rand(4, 512, *size, dtype=torch.float64)
    expected = amended(neck, maps.numpy(), neck.affinity.numpy())
    np.testing.assert_allclose(neck((maps,))[0].detach(), expected, rtol=1e-9)
    before = neck.affinity.clone()
    found = neck.train()((maps,))[0].detach()
    expected = amended(neck, maps.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert found.shape[1] == (2 * size[0] - 3) * (2 * size[1] - 3)
    # The running mean moves a tenth of the way to the mean of the batch.
    each = found.reshape(4, *before.shape) - expected.reshape(4, *before.shape)
    assert each.abs().max() < 1e-9 and not torch.equal(neck.affinity, before)
    neck.momentum = 1.0
    neck((maps,))
    alone = AmendRepresentation(512, size).double()
    alone.load_state_dict(neck.state_dict())
    alone.alpha.data.zero_()
    without = alone.train()((maps,))[0]
    shared = (neck.alpha * neck.affinity).flatten()
    np.testing.assert_allclose(found, (without + shared).detach(), rtol=1e-9)


def test_arm_predicts_each_image_for_itself():
    neck = randomised(AmendRepresentation(256, (2, 2)))
    maps = torch.rand(5, 256, 2, 2, dtype=torch.float64)
    together, first = neck((maps,))[0], neck((maps[:1],))[0]
    torch.testing.assert_close(together[:1], first)


@pytest.mark.parametrize('channels, size', [(300, (7, 7)), (512, (1, 7))])
def test_maps_that_arm_cannot_use(channels, size):
    with pytest.raises(ValueError, match='multiple of 256, and height and width'):
        AmendRepresentation(channels, size)


# -- MA-Net ----------------------------------------------------------------------
def test_attention_is_that_of_timm():
    cbam = pytest.importorskip('timm.layers.cbam')
    mine = randomised(ConvAttention(32))
    other = cbam.CbamModule(32, mlp_bias=True).double().eval()
    state = mine.state_dict()
    theirs = {}
    for name, value in other.state_dict().items():
        if 'fc' in name:
            index = dict(fc1=0, fc2=2)[name.split('.')[1]]
            value = state[f'channel.{index}.{name.split(".")[-1]}'].reshape(value.shape)
        elif 'conv.conv' in name:
            # Mean and maximum are in the other order.
            value = state['position.0.weight'].flip(1)
        else:
            value = state[f'position.1.{name.split(".")[-1]}']
        theirs[name] = value
    other.load_state_dict(theirs)
    x = torch.randn(3, 32, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(mine(x), other(x))


def norm(layer, x):
    return F.batch_norm(
        x, layer.running_mean, layer.running_var, layer.weight, layer.bias
    )


def test_multi_scale_block():
    block = randomised(MultiScaleBlock(8, 8))
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    start = F.relu(norm(block.norm1, F.conv2d(x, block.conv1.weight, padding=1)))
    out = torch.zeros_like(x)
    for layers, order in ((block.forth, (0, 1, 2, 3)), (block.back, (3, 2, 1, 0))):
        last = None
        for (conv, bn), group in zip(layers, order):
            part = start[:, 2 * group : 2 * group + 2]
            if last is not None:
                part = part + F.relu(last)
            last = norm(bn, F.conv2d(part, conv.weight, padding=1))
            out[:, 2 * group : 2 * group + 2] += last
    torch.testing.assert_close(block(x), F.relu(out + x))


def test_attention_block():
    block = randomised(AttentionBlock(32, 32))
    x = torch.randn(2, 32, 4, 4, dtype=torch.float64)
    out = F.relu(norm(block.norm1, F.conv2d(x, block.conv1.weight, padding=1)))
    out = norm(block.norm2, F.conv2d(out, block.conv2.weight, padding=1))
    torch.testing.assert_close(block(x), F.relu(block.attention(out) + x))


def test_branches():
    """Each local branch sees its quarter only; the global one sees the whole map."""
    init_default_scope('mmfer')
    net = MODELS.build(dict(type='MANet', base_channels=8))
    net.eval()
    images = torch.randn(2, 3, 64, 96)
    (found,) = net(images)
    assert found.shape == (2, 128)
    x = net.layer2(net.layer1(net.maxpool(net.norm1(net.conv1(images)).relu())))
    quarters = [x[:, :, :4, :6], x[:, :, :4, 6:], x[:, :, 4:, :6], x[:, :, 4:, 6:]]
    outs = [net.local[i](quarter) for i, quarter in enumerate(quarters)]
    # All quarters have the same size, so this is the mean over all positions.
    near = sum(out.mean(dim=(2, 3)) for out in outs) / 4
    torch.testing.assert_close(found[:, :64], near)
    torch.testing.assert_close(found[:, 64:], net.multiscale(x).mean(dim=(2, 3)))


def test_size_of_the_published_network():
    """50.54 M parameters with the classifiers of seven classes."""
    net = MANet()
    head = MANetHead(7, 1024)
    count = sum(p.numel() for part in (net, head) for p in part.parameters())
    assert count // 10_000 == 5054


def test_head():
    """Two linear classifiers, by hand."""
    head = MANetHead(5, 12, weight=0.3).double()
    feats = torch.randn(4, 12, dtype=torch.float64)
    labels = torch.tensor([0, 4, 2, 2])
    weight, bias = head.fc.weight[..., 0], head.fc.bias
    local = feats[:, :6] @ weight[:5].T + bias[:5]
    whole = feats[:, 6:] @ weight[5:].T + bias[5:]
    torch.testing.assert_close(head((feats,)), 0.3 * local + 0.7 * whole)
    expected = 0.0
    for logits, share in ((local, 0.3), (whole, 0.7)):
        for row, label in zip(logits, labels):
            expected += share * (torch.logsumexp(row, 0) - row[label]) / 4
    samples = SampleBatch(dict(gt_label=labels))
    torch.testing.assert_close(head.loss((feats,), samples)['loss'], expected)
    found = head.predict_batch((feats,))
    torch.testing.assert_close(found['uncertainty'], 1 - found['pred_score'].amax(1))
    with pytest.raises(ValueError, match='weight'):
        MANetHead(5, 12, weight=1.5)
