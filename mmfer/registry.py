"""Registries of mmfer: children of mmpretrain's, scope ``mmfer``.

Being a child means that every name of mmpretrain and mmengine resolves here
without a prefix, at any depth of a config, once ``default_scope='mmfer'``.
``locations`` lists mmpretrain's packages beside ours because a child that
builds first would otherwise look into a parent that nobody has filled yet.
"""

from typing import Dict, Optional

from mmengine.registry import DefaultScope, Registry
from mmpretrain import registry as parents

# Registered names that have changed: old name -> new name. A config with the
# old name gets an error that tells the new one.
RENAMED: Dict[str, str] = {'PeakHook': 'BestEpochHook'}


class ChildRegistry(Registry):
    """Registry whose builds see mmfer's names in mmpretrain's scope, too.

    A config with ``default_scope='mmpretrain'`` and
    ``model=dict(type='mmfer.FERClassifier', ...)`` builds the classifier,
    which builds its parts here; without a scope of their own mmengine would
    look for these parts in mmpretrain alone.
    """

    # Scopes that know less than ours.
    ANCESTORS = ('mmpretrain', 'mmengine')

    def get(self, key: str) -> Optional[type]:
        """Return the class that is registered as ``key``.

        Raises:
            KeyError: ``key`` is an old name, see :data:`RENAMED`.
        """
        new = RENAMED.get(key.rpartition('.')[2]) if isinstance(key, str) else None
        # A class of the user may have the name that ours had.
        if new and key.rpartition('.')[2] not in self._module_dict:
            raise KeyError(
                f'{key} is now called {new}. Change the name in the config that has it.'
            )
        return super().get(key)

    def build(self, cfg, *args, **kwargs):
        """See mmengine's ``Registry.build``."""
        current = DefaultScope.get_current_instance()
        if current is None or current.scope_name not in self.ANCESTORS:
            return super().build(cfg, *args, **kwargs)
        with DefaultScope.overwrite_default_scope(self.scope):
            return super().build(cfg, *args, **kwargs)


def _child(parent: Registry, package: str, *more: str) -> Registry:
    locations = [f'mmpretrain.{package}', f'mmfer.{package}', *more]
    return ChildRegistry(parent.name, parent=parent, scope='mmfer', locations=locations)


# Every node, used or not: a node without a child in the scope falls back to
# mmengine's, which does not know mmpretrain's names.
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
# Label noise generators live here: they are nobody's model and nobody's hook.
TASK_UTILS = _child(parents.TASK_UTILS, 'models', 'mmfer.datasets')
MODELS = _child(parents.MODELS, 'models', 'mmfer.methods')
MODEL_WRAPPERS = _child(parents.MODEL_WRAPPERS, 'models')
# Initialisers too, or building any layer warns that the scope has none.
WEIGHT_INITIALIZERS = _child(parents.WEIGHT_INITIALIZERS, 'models')
BATCH_AUGMENTS = _child(parents.BATCH_AUGMENTS, 'models')
METRICS = _child(parents.METRICS, 'evaluation')
EVALUATORS = _child(parents.EVALUATORS, 'evaluation')
# Figures come with mmpretrain's visualizer.
VISUALIZERS = ChildRegistry(
    'visualizer',
    parent=parents.VISUALIZERS,
    scope='mmfer',
    locations=['mmpretrain.visualization'],
)
VISBACKENDS = ChildRegistry(
    'vis_backend',
    parent=parents.VISBACKENDS,
    scope='mmfer',
    locations=['mmpretrain.visualization'],
)
