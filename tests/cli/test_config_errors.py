"""Errors of building from a config name the key and the file, in one sentence."""

import pytest
import torch
from helpers import CONFIGS, load_tool, tiny_config
from mmengine.config import Config

from mmfer.cli import build_runner
from mmfer.cli.common import finish_config, load_training_config, run_training_tool
from mmfer.cli.config_errors import ConfigError, config_errors
from mmfer.cli.reading import merge_options, read_config, refuse_stray_commas
from mmfer.registry import MODELS
from mmfer_command.main import make_parser

EXPECTED = {
    'model.backbone.depht': "has no option 'depht'. Did you mean depth?",
    'model.backbone.type': "there is no 'x'.",
    'model.backbone.depth': 'invalid depth x for resnet',
    'model.head.typo': "ALUMHead has no option 'typo'.",
    'model.typo': "FERClassifier has no option 'typo'.",
    'train_dataloader.dataset.num_sample': 'Did you mean num_samples?',
    'train_dataloader.dataset.pipeline.0.typo': "LoadFERImage has no option 'typo'.",
    'train_dataloader.dataset.label_noise.rat': 'Did you mean rate?',
    'train_dataloader.batch_size': 'the dataloader cannot be built',
    'train_dataloader.sampler.shufle': 'Did you mean shuffle?',
    'optim_wrapper.optimizer.lrr': "Adam has no option 'lrr'. Did you mean lr?",
    'optim_wrapper.typo': "OptimWrapper has no option 'typo'.",
    'param_scheduler.type': "there is no 'x'.",
    'train_cfg.max_epoch': 'Did you mean max_epochs?',
    'default_hooks.checkpoint.intervall': 'Did you mean interval?',
    'default_hooks.logger.interval': 'interval must be an integer',
    'val_evaluator.0.topkk': "Accuracy has no option 'topkk'. Did you mean topk?",
}


def built(cfg, options):
    with config_errors(cfg, options):
        runner = build_runner(cfg)
        assert runner.model is not None
        runner._train_loop = runner.build_train_loop(runner._train_loop)
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.build_param_scheduler(runner.param_schedulers)
        assert runner.val_loop is not None


@pytest.mark.parametrize('key', EXPECTED)
def test_option_of_the_command_line(tmp_path, key):
    cfg = tiny_config(tmp_path)
    merge_options(cfg, {key: 'x'})
    with pytest.raises(ConfigError) as error:
        built(cfg, {key: 'x'})
    text = str(error.value)
    assert text.startswith(f'--cfg-options {key}') and EXPECTED[key] in text
    assert '\n' not in text and len(text) < 500


@pytest.mark.parametrize(
    'key', ['model.backbone.depht', 'train_dataloader.dataset.num_sample']
)
def test_option_of_the_file(tmp_path, key):
    """The same mistake in the file, and another option on the command line."""
    cfg = tiny_config(tmp_path)
    merge_options(cfg, {key: 'x'})
    object.__setattr__(cfg, '_filename', str(tmp_path / 'meine Köpfe.py'))
    with pytest.raises(ConfigError) as error:
        built(cfg, {'train_cfg.max_epochs': 3})
    assert str(error.value).startswith(f'{cfg.filename}, {key}: ')


@pytest.mark.parametrize(
    'text, expected',
    [
        ('model = dict(', "line 1: '(' was never closed"),
        ('model = undefined', "name 'undefined' is not defined"),
        ("_base_ = './missing.py'", 'missing.py'),
        ("_base_ = 'mmfer::ce/ce_r18_rafd.py'", 'ce_r18_rafdb'),
        ('1 / 0', 'division by zero'),
    ],
)
def test_a_file_that_is_no_config(tmp_path, text, expected):
    path = tmp_path / 'mein Köpfe.py'
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_config(str(path))
    assert str(error.value).startswith(f'{path}: ') and expected in str(error.value)


def test_a_module_of_the_user_that_is_not_found(tmp_path, monkeypatch):
    monkeypatch.delenv('PYTHONPATH', raising=False)
    folder = tmp_path / 'meine Köpfe'
    (folder / 'configs').mkdir(parents=True)
    (folder / 'my_unknown_head.py').write_text('')
    path = folder / 'configs' / 'own.py'
    path.write_text("custom_imports = dict(imports=['my_unknown_head'])")
    with pytest.raises(ConfigError) as error:
        read_config(str(path))
    assert str(error.value) == (
        f"{path}: Python does not find 'my_unknown_head' of custom_imports. It lies in "
        f"{folder}, where Python does not look. Put PYTHONPATH='{folder}' before the "
        'command.'
    )
    # A path that is set stays.
    monkeypatch.setenv('PYTHONPATH', '/other')
    with pytest.raises(ConfigError, match=r'Köpfe\':"\$PYTHONPATH" before'):
        read_config(str(path))
    path.write_text("custom_imports = dict(imports='nowhere.my_head')")
    with pytest.raises(ConfigError, match="find 'nowhere' of .* Install the package"):
        read_config(str(path))


def test_a_backbone_whose_package_is_missing(tmp_path, monkeypatch):
    """mmpretrain raises an ImportError when it is built, without timm for example."""

    class NeedsAPackage(torch.nn.Module):
        def __init__(self):
            raise ImportError('NeedsAPackage requires it, please install it.')

    cfg = tiny_config(tmp_path)
    cfg.model.backbone = dict(type='NeedsAPackage')
    monkeypatch.setitem(MODELS.module_dict, 'NeedsAPackage', NeedsAPackage)
    told = r'model.backbone \(NeedsAPackage\): .*install'
    with pytest.raises(ConfigError, match=told):
        built(cfg, {})


@pytest.mark.parametrize('key', ['model.backbone.depth.x', 'train_pipeline.0x.y'])
def test_an_option_that_fits_nowhere(tmp_path, key):
    with pytest.raises(ConfigError, match=f'^--cfg-options {key}: '):
        merge_options(tiny_config(tmp_path), {key: 1})


def test_a_config_without_a_model():
    cfg = Config(dict(data=1))
    with pytest.raises(ConfigError, match="^the config has no setting 'model'"):
        with config_errors(cfg):
            print(cfg.model)


def test_other_errors_stay_what_they_are(tmp_path):
    cfg = tiny_config(tmp_path)
    for error in (RuntimeError('CUDA out of memory'), ZeroDivisionError(), TypeError()):
        with pytest.raises(type(error)) as raised, config_errors(cfg):
            raise error
        assert not isinstance(raised.value, ConfigError)


def test_verbose_shows_the_traceback(capsys):
    def main():
        with config_errors(Config(dict())):
            print(Config(dict()).model)

    for verbose in (False, True):
        with pytest.raises(SystemExit, match="has no setting 'model'"):
            run_training_tool(main, verbose)
        assert ('Traceback' in capsys.readouterr().err) == verbose


def test_a_package_that_a_library_asks_for():
    """As OpenMMLab does for tensorboard; a broken import keeps its traceback."""

    def main(error):
        raise error

    told = 'Please run "pip install future tensorboard"'
    with pytest.raises(SystemExit, match=told):
        run_training_tool(lambda: main(ImportError(told)))
    with pytest.raises(ImportError):
        run_training_tool(lambda: main(ImportError('undefined symbol')))


def test_errors_of_the_machine(tmp_path):
    """A path that cannot be used, and a GPU without memory, are not faults of mmfer."""

    def fails(error):
        def main():
            raise error

        with pytest.raises(SystemExit) as raised:
            run_training_tool(main)
        return str(raised.value)

    def no_folder():
        (tmp_path / 'file').write_text('')
        (tmp_path / 'file/folder').mkdir()

    with pytest.raises(SystemExit) as error:
        run_training_tool(no_folder)
    assert str(error.value).startswith(
        f'{tmp_path}/file/folder: Not a directory. Check'
    )
    error = PermissionError(13, 'Permission denied', '/srv/x y')
    assert fails(error).startswith('/srv/x y: Permission denied. Check')
    said = fails(torch.OutOfMemoryError('CUDA out of memory. Tried 2 GiB\nMore.'))
    assert 'train_dataloader.batch_size' in said and 'More' not in said
    with pytest.raises(RuntimeError, match='a fault'):
        run_training_tool(lambda: (_ for _ in ()).throw(RuntimeError('a fault')))


@pytest.mark.parametrize('text', ['foo', 'a=1 foo', '=', 'a=1 =2'])
def test_settings_that_are_none(monkeypatch, capsys, text):
    tool = load_tool('train.py')
    monkeypatch.setattr(
        'sys.argv', ['train.py', 'CONFIG', '--cfg-options', *text.split()]
    )
    with pytest.raises(SystemExit) as error:
        tool.parse_args()
    said = capsys.readouterr().err
    assert error.value.code == 2
    assert 'has the form key=value' in said and 'Traceback' not in said


def test_a_model_that_timm_does_not_know(tmp_path, monkeypatch):
    """timm raises a RuntimeError, as torch does for other reasons."""

    class Named(torch.nn.Module):
        def __init__(self, model_name):
            raise RuntimeError(f'Unknown model ({model_name})')

    monkeypatch.setitem(MODELS.module_dict, 'Named', Named)
    cfg = tiny_config(tmp_path)
    cfg.model.backbone = dict(type='Named', model_name='resnet10x')
    told = r'model.backbone \(Named\): Unknown model \(resnet10x\)'
    with pytest.raises(ConfigError, match=told):
        built(cfg, {})


def test_a_comma_behind_a_part():
    cfg = Config(dict(model=(dict(type='FERClassifier'),), names=('calm',)))
    with pytest.raises(ConfigError, match='model: .*Remove the comma'):
        refuse_stray_commas(cfg)
    cfg.model = cfg.model[0]
    # A tuple is as good as a list where several may stand.
    cfg.custom_hooks = (dict(type='EMAHook'),)
    cfg.train_pipeline = (dict(type='LoadFERImage'),)
    cfg.val_evaluator = (dict(type='Accuracy'),)
    refuse_stray_commas(cfg)


class NoFiles(torch.utils.data.Dataset):
    """Names a file that is not there."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return open('kein Bild ä.png')


def test_a_file_that_a_worker_does_not_find():
    loader = torch.utils.data.DataLoader(NoFiles(), num_workers=1)
    with pytest.raises(SystemExit) as raised:
        run_training_tool(lambda: next(iter(loader)))
    text = str(raised.value)
    assert text.startswith('FileNotFoundError: ') and '\n' not in text
    assert 'kein Bild ä.png' in text and 'data_root' in text


def test_any_default_hook_can_be_switched_off(tmp_path):
    config = f'{CONFIGS}/ce/ce_r18_synthfaces.py'
    options = ['default_hooks.sample_scores=None', 'default_hooks.logger=None']
    args = make_parser().parse_args(['train', config, '--cfg-options', *options])
    cfg = finish_config(load_training_config(config, args), args)
    # mmengine adds its own hooks again, unless it finds None.
    assert 'sample_scores' not in cfg.default_hooks
    assert cfg.default_hooks['logger'] is None and cfg.default_hooks['summary']
