"""Compare the test domains of data sets with several domains."""

from typing import Dict, Optional


def compare_domains(stated: Dict[str, str]) -> Optional[str]:
    """Return a message if data sets do not leave out the same domain.

    Args:
        stated (dict[str, str]): ``test_domain`` of each data set that has one, by the
            name of its loader.
    """
    if len(set(stated.values())) < 2:
        return None
    options = ' '.join(f'{name}.dataset.test_domain=DOMAIN' for name in stated)
    return (
        'the data sets have different values of test_domain ('
        + ', '.join(f'{domain} in {name}' for name, domain in stated.items())
        + '), so images of the training set would be tested on. Set the same one '
        f'everywhere: --cfg-options {options}'
    )
