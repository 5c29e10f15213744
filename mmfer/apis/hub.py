"""Find models of mmfer by name, also through mmpretrain."""

import difflib
import fnmatch
import os
import os.path as osp
from typing import Any, List, Optional, Union

from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import Registry
from mmpretrain.apis import get_model as get_mmpretrain_model
from mmpretrain.apis.model import ModelHub

from mmfer.registry import DATASETS, TRANSFORMS
from mmfer.utils.devices import choose_device
from mmfer_command.shipped import INDEX, shipped_configs, shipped_folder

from .checkpoints import load_weights

PACKAGE = osp.dirname(osp.dirname(osp.realpath(__file__)))
# Folder of the weights that are part of the package, see the metafiles.
WEIGHTS = osp.join(PACKAGE, 'weights')
# Task by which mmpretrain finds its inferencer for classifiers.
TASK = 'Image Classification'


def register_models() -> List[str]:
    """Register mmfer's models in mmpretrain, by the names of their configs.

    Afterwards, mmpretrain's ``get_model``, ``inference_model`` and
    ``ImageClassificationInferencer`` accept these names. They also accept
    configs that name mmfer's transforms and data sets without a scope. The
    function may be called more than once.

    Returns:
        list[str]: Names of the models.
    """
    from modelindex.load_model_index import load
    from modelindex.models.Model import Model
    from modelindex.models.Result import Result

    lend_to_mmpretrain(TRANSFORMS)
    lend_to_mmpretrain(DATASETS)
    index = load(str(shipped_folder() / INDEX))
    index.build_models_with_collections()
    measured = {model.name.lower(): model for model in index.models}
    names = []
    for config in shipped_configs():
        name = config.stem.lower()
        names.append(name)
        if ModelHub.has(name):
            continue
        # Models without results are not in model-index.yml.
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
    """Register mmfer's classes also in mmpretrain, unless a name exists there.

    mmpretrain's inferencers build transforms without a scope from their own
    registry. This registry is the parent of mmfer's, and a parent does not look
    for names in its children.

    Args:
        registry (Registry): A registry of mmfer.
    """
    registry.import_from_location()
    for name, cls in registry.module_dict.items():
        if name not in registry.parent:
            registry.parent.register_module(name=name, module=cls)


def list_models(
    pattern: Optional[str] = None, weights: Optional[bool] = None
) -> List[str]:
    """Return the names of mmfer's models.

    Args:
        pattern (str, optional): Beginning of the names, in upper or lower case.
            It may have wildcards, such as ``'*ferplus'``. Defaults to None:
            all names.
        weights (bool, optional): True: only models with weights. False: only
            models without weights. Defaults to None: all models.

    Returns:
        list[str]: Names in alphabetical order.
    """
    return sorted(
        name
        for name in register_models()
        if (pattern is None or fnmatch.fnmatch(name, f'{pattern.lower()}*'))
        and (
            weights is None
            or weights == (ModelHub._models_dict[name].weights is not None)
        )
    )


def get_model(
    model: Union[str, os.PathLike, Config],
    pretrained: Union[bool, str, os.PathLike] = False,
    **kwargs: Any,
) -> BaseModel:
    """Build a model of mmfer or mmpretrain, by name or config.

    Args:
        model (str | PathLike | Config): A name from :func:`list_models` or
            from mmpretrain, the path of a config, or a config.
        pretrained (bool | str | PathLike): A checkpoint, see
            :func:`load_weights`. True: the weights that are published with the
            model. False: no weights. Defaults to False.
        **kwargs: See ``mmpretrain.get_model``.

    Returns:
        BaseModel: The model, in evaluation mode.

    Raises:
        ValueError: There is no model of this name; the message lists similar
            names. Or the model has no weights, the checkpoint is one of
            another model, or the device cannot be used.
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
        check_name(name)
        if name.lower() not in names and pretrained is True:
            # mmpretrain loads the weights of its own models.
            return get_mmpretrain_model(model, True, **kwargs)
    if isinstance(model, Config) and model.get('default_scope') == 'mmfer':
        # The model of a user's config may lack the scope.
        model.model.setdefault('_scope_', 'mmfer')
    if isinstance(model, Config) and not model.get('test_dataloader'):
        # mmpretrain would try to use a test_dataloader that is None.
        model = model.copy()
        model.pop('test_dataloader', None)
    model = get_mmpretrain_model(model, False, **kwargs)
    if not model._dataset_meta and 'test_dataloader' in model._config:
        # mmpretrain looks for class names only among its own data sets.
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
                'checkpoint as pretrained=... (on the command line: --checkpoint), or '
                'give its work dir as the model. Models with weights: '
                f'{", ".join(list_models(weights=True))}.'
            )
    if pretrained:
        assert not isinstance(pretrained, bool)
        load_weights(model, os.fspath(pretrained))
    return model


def check_name(name: str) -> None:
    """Raise unless there is a model of this name.

    Raises:
        ValueError: There is none. The message lists similar names.
    """
    ModelHub._register_mmpretrain_models()
    if ModelHub.has(name.lower()):
        return
    if name.endswith(('.pth', '.pt')):
        raise ValueError(
            f'{name} is a checkpoint; give the config or work dir of '
            'its run as the model, and the checkpoint as pretrained=... (on the '
            'command line: --model and --checkpoint)'
        )
    if osp.isdir(name):
        raise ValueError(
            f'{name} is a folder; give the config (*.py) in it as the model, and its '
            'checkpoint as pretrained=... FERInferencer takes the folder itself.'
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
        '`mmfer models`. The path of a config (*.py) is accepted '
        'as well.'
    )
