"""Classes that a user names on a command line."""

from typing import List, Sequence


def class_numbers(wanted: Sequence[str], classes: Sequence[str]) -> List[int]:
    """Return the numbers of classes, which are given by name or number.

    Args:
        wanted (Sequence[str]): Names or numbers of some classes. A name wins over a
            number.
        classes (Sequence[str]): Names of all classes.

    Raises:
        ValueError: There is no such class.
    """
    numbers = {str(number): number for number in range(len(classes))}
    numbers |= {name: number for number, name in enumerate(classes)}
    for text in wanted:
        if text not in numbers:
            raise ValueError(
                f'there is no class {text!r}. Give a name or a number: '
                + ', '.join(f'{i} {name}' for i, name in enumerate(classes))
                + '.'
            )
    return [numbers[text] for text in wanted]
