"""``mmfer models`` lists what is shipped."""

import pytest

from mmfer.apis import list_models
from mmfer_command.main import main
from mmfer_command.models import fits, list_rows, row_of
from mmfer_command.shipped import shipped_configs


def listed(capsys, *words):
    with pytest.raises(SystemExit) as error:
        main(['models', *words])
    assert error.value.code is None
    return capsys.readouterr().out.splitlines()


def test_models_with_weights(capsys):
    """They are those of ``list_models``, which reads the index with its own parser."""
    expected = list_models(weights=True)
    assert [row.name for row in list_rows() if row.weights] == expected
    head, *rows, last = listed(capsys)
    assert (
        head.split() == 'name method backbone data set noise, variant weights'.split()
    )
    assert [row.split()[0] for row in rows] == expected
    assert last == (
        f'{len(shipped_configs()) - len(expected)} configs to train with: add '
        '--configs to list them.'
    )


def test_all_configs(capsys):
    lines = listed(capsys, '--configs')
    assert [line.split()[0] for line in lines[1:]] == sorted(list_models())
    columns = {line.split('  ')[0].strip() for line in lines}
    assert len(columns) == len(lines)


@pytest.mark.parametrize(
    'pattern, name, expected',
    [
        (None, 'ce_r18_rafdb', True),
        ('rafdb', 'ce_r18_rafdb', True),
        ('RESUP', 'resup_r18_rafdb', True),
        ('resup*ferplus', 'resup_r18_ferplus_noise30', True),
        ('resup*ferplus', 'ce_r18_ferplus', False),
    ],
)
def test_patterns(pattern, name, expected):
    assert fits(name, pattern) == expected


@pytest.mark.parametrize(
    'name, expected',
    [
        ('ce_r18_rafdb', ('ce', 'ResNet-18', 'RAF-DB', '')),
        ('ce_r18imagenet_rafdb', ('ce', 'ResNet-18, ImageNet', 'RAF-DB', '')),
        (
            'ce_cnn7_cifar10_noise80',
            ('ce', 'CNN of 7 layers', 'CIFAR-10', 'symmetric 80 %'),
        ),
        (
            'gaave_resup_r50_cifar10lt50_pair10_small',
            (
                'gaave + resup',
                'ResNet-50',
                'CIFAR-10, long tail 1:50',
                'pair 10 %, small',
            ),
        ),
        ('new_vit_mine', ('new', 'vit', 'mine', '')),
    ],
)
def test_what_a_name_says(tmp_path, name, expected):
    row = row_of(tmp_path / f'{name}.py', False)
    assert (row.method, row.backbone, row.data, row.noise) == expected


def test_several_words(capsys):
    lines = listed(capsys, 'rafdb', 'ALUM', 'noise30', '--configs')
    assert [line.split()[0] for line in lines[1:]] == ['alum_r18_rafdb_noise30']
    with pytest.raises(SystemExit, match='^alum rafd30: there is no model') as error:
        main(['models', 'alum', 'rafd30'])
    assert 'alum_r18_rafdb' in str(error.value)


def test_nothing_fits(capsys):
    with pytest.raises(SystemExit) as error:
        main(['models', 'ce_r18_rafdbb'])
    assert str(error.value).startswith('ce_r18_rafdbb: there is no model or config')
    assert 'The nearest names are ce_r18_rafdb' in str(error.value)
