"""Registries of mmfer, children of those of mmpretrain, with the scope ``mmfer``.

In a child registry, every name of mmpretrain and mmengine resolves without a
prefix, at any depth of a config with ``default_scope='mmfer'``. ``locations``
lists mmpretrain's packages beside those of mmfer. Without them, a child that
builds first would search a parent whose modules have not been imported yet.
"""

from typing import Any, Dict, Optional

from mmengine.registry import DefaultScope, Registry
from mmpretrain import registry as parents

# Registered names that have changed: old name -> new name. A config with the
# old name gets an error that tells the new one.
RENAMED: Dict[str, str] = {'PeakHook': 'BestEpochHook'}


class ChildRegistry(Registry):
    """Registry that also finds mmfer's names when the scope is mmpretrain's.

    A config may have ``default_scope='mmpretrain'`` and
    ``model=dict(type='mmfer.FERClassifier', ...)``. The parts of this
    classifier have no prefix, so mmengine would search mmpretrain alone. Here
    they are built in the scope of mmfer.
    """

    # Scopes whose names mmfer's scope contains.
    ANCESTORS = ('mmpretrain', 'mmengine')

    def get(self, key: str) -> Optional[type]:
        """Return the class that is registered as ``key``.

        Raises:
            KeyError: ``key`` is an old name, see :data:`RENAMED`.
        """
        if isinstance(key, str):
            scope, name = self.split_scope_key(key)
            # A user may register a class of their own under an old name.
            ours = scope in (None, self.scope) and name not in self._module_dict
            if ours and name in RENAMED:
                raise KeyError(
                    f'{key} is now called {RENAMED[name]}. Change the name in the '
                    'config that has it.'
                )
        return super().get(key)

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build an object from its config; see mmengine's ``Registry.build``."""
        current = DefaultScope.get_current_instance()
        if current is None or current.scope_name not in self.ANCESTORS:
            return super().build(cfg, *args, **kwargs)
        with DefaultScope.overwrite_default_scope(self.scope):
            return super().build(cfg, *args, **kwargs)


def _child(parent: Registry, package: str, *more: str) -> Registry:
    locations = [f'mmpretrain.{package}', f'mmfer.{package}', *more]
    return ChildRegistry(parent.name, parent=parent, scope='mmfer', locations=locations)


# Every registry of mmpretrain has a child here, used or not. Without a child,
# mmengine falls back to its own registry, which does not know mmpretrain's names.
RUNNERS = _child(parents.RUNNERS, 'engine')
RUNNER_CONSTRUCTORS = _child(parents.RUNNER_CONSTRUCTORS, 'engine')
LOOPS = _child(parents.LOOPS, 'engine')
HOOKS = _child(parents.HOOKS, 'engine')
LOG_PROCESSORS = _child(parents.LOG_PROCESSORS, 'engine')
OPTIMIZERS = _child(parents.OPTIMIZERS, 'engine')
OPTIM_WRAPPERS = _child(parents.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(parents.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')
PARAM_SCHEDULERS = _child(parents.PARAM_SCHEDULERS, 'engine')
DATASETS = _child(parents.DATASETS, 'datasets')
DATA_SAMPLERS = _child(parents.DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child(parents.TRANSFORMS, 'datasets')
# Label-noise generators, cleaning methods and their evidence are registered here.
# In a run, mmfer.scan adds 40 ms to the first build.
TASK_UTILS = _child(parents.TASK_UTILS, 'models', 'mmfer.datasets', 'mmfer.scan')
MODELS = _child(parents.MODELS, 'models', 'mmfer.methods')
MODEL_WRAPPERS = _child(parents.MODEL_WRAPPERS, 'models')
# Without this child, building a layer warns that the scope has no initialisers.
WEIGHT_INITIALIZERS = _child(parents.WEIGHT_INITIALIZERS, 'models')
BATCH_AUGMENTS = _child(parents.BATCH_AUGMENTS, 'models')
METRICS = _child(parents.METRICS, 'evaluation')
EVALUATORS = _child(parents.EVALUATORS, 'evaluation')
VISUALIZERS = ChildRegistry(
    'visualizer',
    parent=parents.VISUALIZERS,
    scope='mmfer',
    locations=['mmpretrain.visualization', 'mmfer.engine'],
)
VISBACKENDS = ChildRegistry(
    'vis_backend',
    parent=parents.VISBACKENDS,
    scope='mmfer',
    locations=['mmpretrain.visualization'],
)
