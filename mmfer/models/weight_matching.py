"""Find a network in a file of weights, and say what of it fits."""

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from torch import Tensor

Shape = Tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Shapes of tensors by name."""

# Counter of BatchNorm. Files of old torch versions lack it, and no result depends on
# its value.
OPTIONAL = 'num_batches_tracked'
# Number of tensors that a message names.
EXAMPLES = 3


class Match(NamedTuple):
    """Comparison of a part of a model with the tensors of a file.

    Attributes:
        prefix (str): Beginning of the names in the file, with its dot; may be empty.
        total (int): Number of tensors of the part, without counters of BatchNorm.
        missing (list[str]): Names that the file lacks.
        misfits (dict[str, tuple[Shape, Shape]]): Names whose shapes differ, with the
            shapes in the file and in the model.
    """

    prefix: str
    total: int
    missing: List[str]
    misfits: Dict[str, Tuple[Shape, Shape]]

    @property
    def fits(self) -> bool:
        """Whether all tensors of the part are in the file."""
        return self.total > 0 and not self.missing and not self.misfits

    @property
    def fitting(self) -> int:
        """int: Number of tensors that fit."""
        return self.total - len(self.missing) - len(self.misfits)

    @property
    def channels(self) -> Optional[Tuple[int, int]]:
        """Image channels in the file and in the model, if nothing else differs.

        The first convolution is the only tensor whose shape depends on the channels.
        """
        if self.missing or len(self.misfits) != 1:
            return None
        ((given, wanted),) = self.misfits.values()
        rest = given[:1] + given[2:], wanted[:1] + wanted[2:]
        if len(given) != 4 or rest[0] != rest[1]:
            return None
        return given[1], wanted[1]

    def describe(self) -> str:
        """Return what does not fit, as a clause."""
        parts = []
        if self.missing:
            parts.append(f'{len(self.missing)} are not in it {_listed(self.missing)}')
        if self.misfits:
            shapes = [
                f'{name}: {given} instead of {wanted}'
                for name, (given, wanted) in self.misfits.items()
            ]
            parts.append(f'{len(shapes)} have another shape {_listed(shapes)}')
        return ', and '.join(parts)


def shapes_of(state: Mapping[str, object]) -> Dict[str, Shape]:
    """Return the shapes of the tensors in a state dict; other entries are ignored."""
    return {
        str(name): tuple(value.shape)
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def match_part(given: Shapes, part: Shapes, prefix: str) -> Match:
    """Compare a part of a model with the tensors of a file under a prefix.

    Args:
        given (Mapping): Shapes in the file.
        part (Mapping): Shapes of the part, by their names in it.
        prefix (str): Beginning of the names in the file, with its dot.
    """
    missing: List[str] = []
    misfits: Dict[str, Tuple[Shape, Shape]] = {}
    names = [name for name in part if not name.endswith(OPTIONAL)]
    for name in names:
        shape = given.get(prefix + name)
        if shape is None:
            missing.append(name)
        elif tuple(shape) != tuple(part[name]):
            misfits[name] = (tuple(shape), tuple(part[name]))
    return Match(prefix, len(names), missing, misfits)


def find_backbone(given: Shapes, part: Shapes, preferred: Sequence[str] = ()) -> Match:
    """Find the backbone in a file that fits best.

    Args:
        given (Mapping): Shapes in the file.
        part (Mapping): Shapes of the backbone.
        preferred (Sequence[str]): Prefixes that win if they fit as well as others.

    Returns:
        Match: The best one; with no tensor in common, that without a prefix.
    """
    names = [name for name in part if not name.endswith(OPTIONAL)]
    # A file may lack some names, so that one name alone does not find all prefixes.
    probes = {names[0], names[len(names) // 2], names[-1]} if names else set()
    prefixes = {''} | {
        name[: -len(probe)]
        for name in given
        for probe in probes
        if name == probe or name.endswith(f'.{probe}')
    }
    order = {prefix: -i for i, prefix in enumerate(reversed(preferred), start=1)}
    return max(
        (match_part(given, part, prefix) for prefix in sorted(prefixes)),
        key=lambda match: (
            match.fitting,
            -len(match.missing),
            -order.get(match.prefix, 1),
            -len(match.prefix),
        ),
    )


def _listed(names: Sequence[str]) -> str:
    more = f' and {len(names) - EXAMPLES} more' if len(names) > EXAMPLES else ''
    return f'({", ".join(names[:EXAMPLES])}{more})'
