"""Messages about weights to start from: what fits, what does not, and what to do."""

from typing import Dict, List

from mmengine.config import Config

from mmfer.utils.checks import join_words

from .weight_networks import Network, network_names, owner_of
from .weight_sources import Source


def describe_misfit(cfg: Config, source: Source, network: Network) -> str:
    """Return a message: why weights are refused, and what to do."""
    match = network.match
    backbone = type(network.module.backbone).__name__
    start = f'--init {source.given}: the weights do not fit {network.place}.backbone'
    if match.channels == (1, 3):
        return (
            f'{start} ({backbone}): they are for grey images, and those of the config '
            'have three channels. Load grey ones: color_type="grayscale" of '
            'LoadFERImage, and data_preprocessor.input_shape=(1, H, W).'
        )
    if match.channels is not None and match.channels[0] == 3:
        return (
            f'{start} ({backbone}): they are for images of 3 channels, and those of '
            f'the config have {match.channels[1]}. Load colour images: '
            'color_type="color" of LoadFERImage, and '
            'data_preprocessor.input_shape=(3, H, W).'
        )
    advice = (
        'Take weights of this network, or the backbone of the weights '
        '(model.backbone in the config that they were trained with).'
    )
    if source.backbone is not None:
        flags = ' '.join(flags_for(cfg, source.backbone, network))
        advice = (
            f'The weights are those of {as_call(source.backbone)}. To train this '
            f'network, add --cfg-options {flags}'
        )
    return (
        f'{start} ({backbone}): of its {match.total} tensors, {match.describe()}. '
        f'{advice}'
    )


def flags_for(cfg: Config, backbone: dict, network: Network) -> List[str]:
    """Return the ``--cfg-options`` that put a backbone into all networks."""
    names = [n for n in network_names(cfg.model) if n != 'network2']
    if 'network1' in cfg.model and (cfg.model.get('network2') or {}).get('backbone'):
        names.append('network2')
    flags = []
    for name in names:
        place = f'model.{name}.backbone' if name else 'model.backbone'
        before = owner_of(cfg, name).backbone
        same = before.get('type') == backbone['type']
        if not same:
            flags.append(f'{place}._delete_=True')
        for key, value in backbone.items():
            if not same or before.get(key) != value:
                flags.append(f'{place}.{key}={value}'.replace(' ', ''))
    return flags


def as_call(settings: dict) -> str:
    """Return a config as ``ResNet(depth=18)``."""
    inside = ', '.join(f'{k}={v!r}' for k, v in settings.items() if k != 'type')
    return f'{settings["type"]}({inside})' if inside else settings['type']


def describe_start(
    source: Source,
    networks: List[Network],
    taken: List[str],
    new: Dict[str, str],
    replaced: List[str],
    changes: List[str],
) -> str:
    """Return what ``--init`` did, in one line."""
    parts = ['backbone', *taken]
    match = networks[0].match
    whose = ' of the encoder' * bool(networks[0].name)
    if len(networks) == 2:
        whose = ' of both networks'
    verb = 'start' if len(parts) > 1 else 'starts'
    digest = f', SHA-256 {source.sha256[:12]}...' if source.sha256 else ''
    sentences = [
        f'the {join_words(parts, "and")}{whose} {verb} from {source.checkpoint} '
        f'({match.total} tensors of the backbone{digest})',
        *(f'the {part} is new ({reason})' for part, reason in new.items()),
    ]
    return f'--init {source.given}: {"; ".join(replaced + sentences + changes)}.'
