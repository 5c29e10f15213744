"""Our models in mmpretrain's list of models."""

import difflib
import fnmatch
import os
import os.path as osp
from pathlib import Path
from typing import List, Optional

from mmengine.config import Config
from mmengine.registry import Registry
from mmpretrain.apis import get_model as get_mmpretrain_model
from mmpretrain.apis.model import ModelHub

from mmfer.registry import DATASETS, TRANSFORMS
from mmfer.utils.devices import choose_device

from .checkpoints import load_weights

# Where links lead to, the index lies beside.
PACKAGE = osp.dirname(osp.dirname(osp.realpath(__file__)))
# Weights that come with the package lie here, see metafiles.
WEIGHTS = osp.join(PACKAGE, 'weights')
# As mmpretrain's inferencer of classifiers is found.
TASK = 'Image Classification'


def index_root() -> str:
    """The folder of ``model-index.yml`` and ``configs/``.

    Inside the package where it was installed from a wheel, beside it where
    it runs from a checkout.

    Raises:
        FileNotFoundError: There is no index in either place.
    """
    for root in (osp.join(PACKAGE, '.mim'), osp.dirname(PACKAGE)):
        if osp.isfile(osp.join(root, 'model-index.yml')):
            return root
    raise FileNotFoundError(
        f'mmfer: no model-index.yml in {PACKAGE}/.mim or beside {PACKAGE}; '
        'install mmfer anew (pip install .), its configs are missing.'
    )


def register_models() -> List[str]:
    """Make mmpretrain know our models, by the names of their configs.

    Its ``get_model``, ``inference_model`` and
    ``ImageClassificationInferencer`` take these names afterwards, and configs
    that name our transforms and data sets without a scope. Can be called
    again.

    Returns:
        list[str]: The names.
    """
    from modelindex.load_model_index import load
    from modelindex.models.Model import Model
    from modelindex.models.Result import Result

    lend_to_mmpretrain(TRANSFORMS)
    lend_to_mmpretrain(DATASETS)
    root = index_root()
    index = load(osp.join(root, 'model-index.yml'))
    index.build_models_with_collections()
    measured = {model.name.lower(): model for model in index.models}
    names = []
    for config in sorted(Path(root).glob('configs/[!_]*/*.py')):
        name = config.stem.lower()
        names.append(name)
        if ModelHub.has(name):
            continue
        # Those without results are not in the index.
        model = measured.get(name, Model(name=name))
        model.config = str(config)
        if model.weights is not None and '://' not in model.weights:
            model.weights = osp.join(WEIGHTS, osp.basename(model.weights))
        # mmpretrain chooses the inferencer by the task.
        model.results = [
            *(model.results or []),
            Result(task=TASK, dataset='facial expressions', metrics={}),
        ]
        ModelHub._models_dict[name] = model
    return names


def lend_to_mmpretrain(registry: Registry) -> None:
    """Register our classes in the parent, too, unless a name is taken.

    mmpretrain's inferencers build transforms of its own registry, in no
    scope, and a parent looks for none of its children's names.
    """
    registry.import_from_location()
    for name, cls in registry.module_dict.items():
        if name not in registry.parent:
            registry.parent.register_module(name=name, module=cls)


def list_models(
    pattern: Optional[str] = None, weights: Optional[bool] = None
) -> List[str]:
    """Names of our models.

    Args:
        pattern (str, optional): With wildcards, as ``'alum*'``.
        weights (bool, optional): Only those with weights, or without.

    Returns:
        list[str]: In order of the alphabet.
    """
    return sorted(
        name
        for name in register_models()
        if (pattern is None or fnmatch.fnmatch(name, f'{pattern}*'))
        and (
            weights is None
            or weights == (ModelHub._models_dict[name].weights is not None)
        )
    )


def get_model(model, pretrained=False, **kwargs):
    """mmpretrain's ``get_model`` that knows our models.

    Args:
        model (str | Config): A name of :func:`list_models` or of mmpretrain,
            the path of a config, or a config.
        pretrained (bool | str): Whether to load the weights that are named
            with the model, or a checkpoint, see :func:`load_weights`.
            Defaults to False.
        **kwargs: See ``mmpretrain.get_model``.

    Returns:
        BaseModel: In evaluation mode.

    Raises:
        ValueError: There is no model of this name (near ones are named), or
            it has no weights, or they are those of another model, or the
            device cannot be used.
    """
    names = register_models()
    if kwargs.get('device') is not None:
        kwargs['device'] = choose_device(kwargs['device'])
    name = str(model) if isinstance(model, (str, os.PathLike)) else 'the model'
    if name.endswith('.py'):
        if not osp.isfile(name):
            raise ValueError(f'{name}: there is no such config.')
        model = Config.fromfile(name)
    elif isinstance(model, str):
        ModelHub._register_mmpretrain_models()
        if not ModelHub.has(name.lower()):
            if name.endswith(('.pth', '.pt')):
                raise ValueError(
                    f'{name} is a checkpoint; give the config or work dir of '
                    'its training as the model, and this as pretrained=...'
                )
            near = difflib.get_close_matches(name.lower(), ModelHub._models_dict, n=3)
            raise ValueError(
                f'there is no model {name!r}'
                + (
                    f'; did you mean {" or ".join(near)}?'
                    if near
                    else ', and no such folder.'
                    if osp.dirname(name)
                    else '.'
                )
                + ' Models of mmfer that come with weights: '
                f'{", ".join(list_models(weights=True))}; all of them: '
                'mmfer.list_models(). A config (*.py) goes, too.'
            )
        if name.lower() not in names and pretrained is True:
            # Weights of mmpretrain's own are loaded its own way.
            return get_mmpretrain_model(model, True, **kwargs)
    if isinstance(model, Config) and model.get('default_scope') == 'mmfer':
        # Bases of a user's own need not name it.
        model.model.setdefault('_scope_', 'mmfer')
    if isinstance(model, Config) and not model.get('test_dataloader'):
        # mmpretrain takes None for one.
        model = model.copy()
        model.pop('test_dataloader', None)
    model = get_mmpretrain_model(model, False, **kwargs)
    if not model._dataset_meta and 'test_dataloader' in model._config:
        # mmpretrain looks among its own data sets only.
        dataset = DATASETS.get(model._config.test_dataloader.dataset.type)
        model._dataset_meta = getattr(dataset, 'METAINFO', {})
    if pretrained is True:
        pretrained = (
            model._metainfo.weights
            if model._metainfo is not None
            else model._config.get('load_from')
        )
        if pretrained is None:
            raise ValueError(
                f'{name} comes without weights: train it, and give the '
                'checkpoint as pretrained=..., or its work dir as the model '
                'of a FERInferencer. Models with weights: '
                f'{", ".join(list_models(weights=True))}.'
            )
    if pretrained:
        load_weights(model, os.fspath(pretrained))
    return model
