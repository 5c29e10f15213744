import pytest
from made_cifar import NOISY
from made_data import make_cifar10


@pytest.fixture(params=['batches', 'list'])
def root(request, tmp_path):
    return str(make_cifar10(tmp_path / 'cifar', layout=request.param))


@pytest.fixture
def batches(tmp_path):
    return make_cifar10(tmp_path / 'cifar')


@pytest.fixture
def listed(tmp_path):
    return make_cifar10(tmp_path / 'cifar', layout='list')


@pytest.fixture
def write_list(tmp_path):

    def write_list(text, name='noisy.txt'):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write_list


@pytest.fixture
def noisy_list(write_list):
    return write_list(''.join(f'{label}\n' for label in NOISY))
