"""Published layouts of face networks, against networks written from their names.

The files are made here, with the names and shapes of the published programs. The
reference computes in float64 from these names alone.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import call_tool, load_tool
from mmengine.config import Config

from mmfer.apis.face_layouts import find_layout
from mmfer.apis.face_weights import match_layout
from mmfer.registry import MODELS

tool = load_tool('model_converters/import_face_weights.py')
STAGES = {18: (2, 2, 2, 2), 50: (3, 4, 14, 3)}
WIDTHS = (64, 128, 256, 512)


class Names:
    """Random tensors of a published network, by name."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.state = {}

    def conv(self, name, out, into, kernel, groups=1):
        shape = (out, into // groups, kernel, kernel)
        scale = (into // groups * kernel**2) ** -0.5
        value = self.random.normal(size=shape, scale=scale)
        self.state[f'{name}.weight'] = torch.tensor(value)

    def norm(self, name, width):
        for key, low, high in (
            ('weight', 0.5, 1.5),
            ('bias', -0.5, 0.5),
            ('running_mean', -0.5, 0.5),
            ('running_var', 0.5, 1.5),
        ):
            value = self.random.uniform(low, high, width)
            self.state[f'{name}.{key}'] = torch.tensor(value)
        self.state[f'{name}.num_batches_tracked'] = torch.tensor(7)

    def prelu(self, name, width):
        self.state[f'{name}.weight'] = torch.tensor(self.random.uniform(0, 1, width))


class Reference:
    """Operations on tensors of a state dict, in float64."""

    def __init__(self, state):
        self.state = state

    def conv(self, x, name, stride=1, groups=1):
        weight = self.state[f'{name}.weight']
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)

    def norm(self, x, name):
        get = {
            k: self.state[f'{name}.{k}'][:, None, None]
            for k in ('weight', 'bias', 'running_mean', 'running_var')
        }
        scaled = (x - get['running_mean']) / (get['running_var'] + 1e-5).sqrt()
        return scaled * get['weight'] + get['bias']

    def prelu(self, x, name):
        slope = self.state[f'{name}.weight'][:, None, None]
        return torch.where(x > 0, x, slope * x)


# -- the published programs, as names and as functions --------------------------------
def insightface(depth):
    names, before = Names(), 64
    names.conv('conv1', 64, 3, 3)
    names.norm('bn1', 64)
    names.prelu('prelu', 64)
    for i, (blocks, width) in enumerate(zip(STAGES[depth], WIDTHS)):
        for j in range(blocks):
            block = f'layer{i + 1}.{j}'
            names.norm(f'{block}.bn1', before)
            names.conv(f'{block}.conv1', width, before, 3)
            names.norm(f'{block}.bn2', width)
            names.prelu(f'{block}.prelu', width)
            names.conv(f'{block}.conv2', width, width, 3)
            names.norm(f'{block}.bn3', width)
            if not j:
                names.conv(f'{block}.downsample.0', width, before, 1)
                names.norm(f'{block}.downsample.1', width)
            before = width
    names.norm('bn2', 512)
    names.state['fc.weight'] = torch.zeros(512, 9)
    names.state['fc.bias'] = torch.zeros(512)
    names.norm('features', 512)

    def maps(state, x):
        do = Reference(state)
        x = do.prelu(do.norm(do.conv(x, 'conv1'), 'bn1'), 'prelu')
        for i, blocks in enumerate(STAGES[depth]):
            for j in range(blocks):
                block, stride = f'layer{i + 1}.{j}', 1 if j else 2
                y = do.conv(do.norm(x, f'{block}.bn1'), f'{block}.conv1')
                y = do.prelu(do.norm(y, f'{block}.bn2'), f'{block}.prelu')
                y = do.norm(do.conv(y, f'{block}.conv2', stride), f'{block}.bn3')
                if not j:
                    x = do.conv(x[..., ::2, ::2], f'{block}.downsample.0')
                    x = do.norm(x, f'{block}.downsample.1')
                x = x + y
        return do.norm(x, 'bn2')

    return names.state, maps


def face_evolve(depth, se):
    names, before, index = Names(), 64, 0
    names.conv('input_layer.0', 64, 3, 3)
    names.norm('input_layer.1', 64)
    names.prelu('input_layer.2', 64)
    for blocks, width in zip(STAGES[depth], WIDTHS):
        for _ in range(blocks):
            branch = f'body.{index}.res_layer'
            names.norm(f'{branch}.0', before)
            names.conv(f'{branch}.1', width, before, 3)
            names.prelu(f'{branch}.2', width)
            names.conv(f'{branch}.3', width, width, 3)
            names.norm(f'{branch}.4', width)
            if se:
                names.conv(f'{branch}.5.fc1', width // 16, width, 1)
                names.conv(f'{branch}.5.fc2', width, width // 16, 1)
            if before != width:
                names.conv(f'body.{index}.shortcut_layer.0', width, before, 1)
                names.norm(f'body.{index}.shortcut_layer.1', width)
            before, index = width, index + 1
    names.norm('output_layer.0', 512)
    names.state['output_layer.3.weight'] = torch.zeros(512, 9)
    names.state['output_layer.3.bias'] = torch.zeros(512)
    names.norm('output_layer.4', 512)

    def maps(state, x):
        do, index = Reference(state), 0
        x = do.conv(x, 'input_layer.0')
        x = do.prelu(do.norm(x, 'input_layer.1'), 'input_layer.2')
        for blocks in STAGES[depth]:
            for j in range(blocks):
                branch, stride = f'body.{index}.res_layer', 1 if j else 2
                y = do.conv(do.norm(x, f'{branch}.0'), f'{branch}.1')
                y = do.conv(do.prelu(y, f'{branch}.2'), f'{branch}.3', stride)
                y = do.norm(y, f'{branch}.4')
                if se:
                    z = y.mean((2, 3), keepdim=True)
                    z = do.conv(do.conv(z, f'{branch}.5.fc1').relu(), f'{branch}.5.fc2')
                    y = y * torch.sigmoid(z)
                x = x[..., ::stride, ::stride]
                if f'body.{index}.shortcut_layer.0.weight' in state:
                    x = do.conv(x, f'body.{index}.shortcut_layer.0')
                    x = do.norm(x, f'body.{index}.shortcut_layer.1')
                x, index = x + y, index + 1
        return do.norm(x, 'output_layer.0')

    return names.state, maps


# Places of the parts of MobileFaceNet: stem, first, down1, stage1, ..., last.
PYTORCH = (
    'conv1', 'conv2_dw', 'conv_23', 'conv_3', 'conv_34', 'conv_4', 'conv_45', 'conv_5',
    'conv_6_sep',
)  # fmt: skip


def mobilefacenet(style, scale=1, blocks=(1, 4, 6, 2)):
    """Names and function of InsightFace_Pytorch ('pytorch') or arcface_torch."""
    torch_style = style == 'arcface_torch'

    def place(part):
        if not torch_style:
            return PYTORCH[part]
        return 'conv_sep' if part == 8 else f'layers.{part}'

    def layer(unit, kind):
        number = dict(conv=0, bn=1, prelu=2)[kind]
        return f'{unit}.layers.{number}' if torch_style else f'{unit}.{kind}'

    def units(block):
        if torch_style:
            return [f'{block}.layers.{i}' for i in range(3)]
        return [f'{block}.{name}' for name in ('conv', 'conv_dw', 'project')]

    def block_of(part, index):
        return f'{place(part)}.{"layers" if torch_style else "model"}.{index}'

    names = Names()

    def unit(name, out, into, kernel, groups=1, linear=False):
        names.conv(layer(name, 'conv'), out, into, kernel, groups)
        names.norm(layer(name, 'bn'), out)
        if not linear:
            names.prelu(layer(name, 'prelu'), out)

    def bottleneck(block, out, into, hidden):
        first, second, third = units(block)
        unit(first, hidden, into, 1)
        unit(second, hidden, hidden, 3, hidden)
        unit(third, out, hidden, 1, linear=True)

    n, w = 64 * scale, 128 * scale
    plan = [(2, n, n, 128), (4, w, n, 256), (6, w, w, 512)]
    unit(place(0), n, 3, 3)
    if blocks[0] == 1:
        unit(place(1), n, n, 3, 64)
    else:
        for i in range(blocks[0]):
            bottleneck(block_of(1, i), n, n, 128)
    for (part, out, into, hidden), number, inner in zip(
        plan, blocks[1:], (128, 256, 256)
    ):
        bottleneck(place(part), out, into, hidden)
        for i in range(number):
            bottleneck(block_of(part + 1, i), out, out, inner)
    unit(place(8), 512, w, 1)
    if torch_style:
        names.conv('features.layers.0.layers.0', 512, 512, 7, 512)
        names.norm('features.layers.0.layers.1', 512)
        names.state['features.layers.2.weight'] = torch.zeros(512, 512)
        names.norm('features.layers.3', 512)
    else:
        names.conv('conv_6_dw.conv', 512, 512, 7, 512)
        names.norm('conv_6_dw.bn', 512)
        names.state['linear.weight'] = torch.zeros(512, 512)
        names.norm('bn', 512)

    def maps(state, x):
        do = Reference(state)

        def run(x, name, stride=1, linear=False):
            weight = state[f'{layer(name, "conv")}.weight']
            groups = x.shape[1] // weight.shape[1]
            x = do.norm(
                do.conv(x, layer(name, 'conv'), stride, groups), layer(name, 'bn')
            )
            return x if linear else do.prelu(x, layer(name, 'prelu'))

        def inverted(x, block, stride=1):
            first, second, third = units(block)
            y = run(run(run(x, first), second, stride), third, linear=True)
            return x + y if stride == 1 else y

        x = run(x, place(0), 2)
        if blocks[0] == 1:
            x = run(x, place(1))
        else:
            for i in range(blocks[0]):
                x = inverted(x, block_of(1, i))
        for part, number in zip((2, 4, 6), blocks[1:]):
            x = inverted(x, place(part), 2)
            for i in range(number):
                x = inverted(x, block_of(part + 1, i))
        return run(x, place(8))

    return names.state, maps


CASES = [
    (insightface, (18,), dict(type='IResNet', depth=18), True),
    (face_evolve, (18, False), dict(type='IResNet', depth=18, se=False), True),
    (face_evolve, (18, True), dict(type='IResNet', depth=18, se=True), True),
    (mobilefacenet, ('pytorch',), dict(type='MobileFaceNet', scale=1), False),
    (mobilefacenet, ('arcface_torch', 2), dict(type='MobileFaceNet', scale=2), True),
    (
        mobilefacenet,
        ('arcface_torch', 4, (2, 2, 3, 1)),
        dict(type='MobileFaceNet', scale=4, blocks=[2, 2, 3, 1]),
        True,
    ),
]  # fmt: skip


@pytest.mark.parametrize('program, options, backbone, to_rgb', CASES)
def test_converted_network_computes_the_same(
    program, options, backbone, to_rgb, tmp_path, capsys
):
    state, maps = program(*options)
    source, target = tmp_path / 'gesichter ä.pth', tmp_path / 'weights.pth'
    torch.save(
        {
            f'module.{k}': v.float() if v.is_floating_point() else v
            for k, v in state.items()
        },
        source,
    )
    tool.main([str(source), str(target)])
    said = capsys.readouterr().out
    content = torch.load(target, weights_only=True)
    meta = content['meta']
    assert backbone.items() <= meta['backbone_cfg'].items()
    assert meta['mean'] == meta['std'] == [127.5] * 3 and meta['to_rgb'] is to_rgb
    assert 'missing:        0' in said and 'unexpected:     0' in said
    # The config that is printed builds this network.
    start, end = said.index('data_preprocessor ='), said.index('Start from it')
    cfg = Config.fromstring(said[start:end], '.py')
    assert cfg.data_preprocessor.to_rgb is to_rgb
    cfg.model.backbone.pop('_delete_')
    network = MODELS.build(cfg.model.backbone)
    network.init_weights()
    network.double().eval()
    # Statistics and weights are float32 in the file.
    exact = {k: v.float().double() for k, v in state.items() if v.is_floating_point()}
    images = torch.randn(2, 3, 48, 48, dtype=torch.float64)
    with torch.no_grad():
        (found,) = network(images)
        expected = maps(exact, images)
    assert found.shape == (2, 512, 3, 3)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    'program, options', [(insightface, (50,)), (face_evolve, (50, True))]
)
def test_names_of_fifty_layers(program, options):
    state, _ = program(*options)
    layout, report = match_layout(state)
    assert report.ok and not report.unexpected
    assert layout.backbone['depth'] == 50
    # All tensors but those of the embedding, each once.
    assert len(report.state_dict) + len(report.classifier) == len(state)


def test_other_files_are_no_face_network():
    assert find_layout({'conv1.weight': (64, 3, 7, 7), 'fc.weight': (10, 512)}) is None


def test_what_is_refused(tmp_path):
    def said(state):
        torch.save(state, tmp_path / 'a.pth')
        return call_tool(
            'model_converters/import_face_weights.py',
            tmp_path / 'a.pth',
            tmp_path / 'b.pth',
            code=1,
        )

    state, _ = insightface(18)
    text = said({k: v for k, v in state.items() if not k.startswith('layer4.1')})
    assert '(2, 2, 2, 1) blocks' in text and '18 (2, 2, 2, 2)' in text
    text = said({k: v for k, v in state.items() if k != 'layer3.1.bn3.bias'})
    assert '1 entries are missing' in text
    text = said(
        {
            **mobilefacenet('arcface_torch', 2)[0],
            **{'layers.0.layers.0.weight': torch.zeros(320, 3, 3, 3)},
        }
    )
    assert 'the widths 64, 128, 256' in text
    both = {f'{p}.{k}': v for p in ('module', 'backbone') for k, v in state.items()}
    assert '--prefix' in said(both)
    assert not (tmp_path / 'b.pth').exists()


def test_channel_order_of_the_user(tmp_path, capsys):
    state, _ = face_evolve(18, True)
    torch.save(state, tmp_path / 'a.pth')
    tool.main([str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth')])
    assert '--channel-order bgr' in capsys.readouterr().out
    tool.main(
        [str(tmp_path / 'a.pth'), str(tmp_path / 'b.pth'), '--channel-order', 'bgr']
    )
    said = capsys.readouterr().out
    assert 'to_rgb=False' in said and '--channel-order' not in said


def test_options_of_iresnet():
    with pytest.raises(ValueError, match='depth'):
        MODELS.build(dict(type='IResNet', depth=20))
    with pytest.raises(ValueError, match='face_evolve'):
        MODELS.build(dict(type='IResNet', depth=18, se=True))
    for options in (
        dict(scale=10**6),
        dict(blocks=[1, 2, 3]),
        dict(blocks=[1] * 3 + [999]),
    ):
        with pytest.raises(ValueError, match='MobileFaceNet'):
            MODELS.build(dict(type='MobileFaceNet', **options))
    network = MODELS.build(dict(type='IResNet', depth=18, out_indices=(0, 2, 3)))
    network.eval()
    shapes = [tuple(x.shape) for x in network(torch.zeros(1, 3, 64, 64))]
    assert shapes == [(1, 64, 32, 32), (1, 256, 8, 8), (1, 512, 4, 4)]
