"""Python names for the names of a graph."""
from __future__ import annotations

import keyword
import re
from typing import Iterable

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Unit

MODULE_NAMES = ('COPIES', 'F', 'INPUTS', 'L', 'LOSSES', 'NAME', 'NOISES', 'POOLS', 'REPORTS', 'STATES', 'TRAIN',
                'chainer', 'data', 'load_weights', 'make_datasets', 'make_evaluations', 'make_models',
                'make_optimizers', 'make_predictions', 'make_update_core', 'math', 'runtime', 'stop')
FUNCTION_NAMES = ('abs', 'batch', 'batch_size', 'changes', 'check_finite', 'draw', 'epoch', 'float', 'gradients', 'i',
                  'int', 'iteration', 'kept', 'len', 'losses', 'max', 'min', 'models', 'numbers', 'optimizer',
                  'optimizers', 'parameters', 'progress', 'range', 'reported', 'reports', 'self', 'sum', 'super',
                  'update_core', 'weights')


class Identifiers:
    """Gives each name of one Python scope an identifier that nothing else in the scope has.

    Args:
        reserved: Identifiers that the scope uses for itself.
    """

    def __init__(self, reserved: Iterable[str] = ()):
        self._taken = {*MODULE_NAMES, *FUNCTION_NAMES, *reserved}
        self._known: dict[tuple[str, str], str] = {}

    def get(self, kind: str, name: str, stem: str = '') -> str:
        """Returns the identifier of a name; a model and a value may share a name and never an identifier.

        Args:
            kind (str): What the name belongs to.
            name (str): The name, which need not be an identifier where a stem is given.
            stem (str): What the identifier is made of, if not the name itself.
        """
        if (kind, name) not in self._known:
            identifier = stem or name
            while identifier in self._taken or keyword.iskeyword(identifier):
                identifier += '_'
            self._taken.add(identifier)
            self._known[kind, name] = identifier
        return self._known[kind, name]

    def value(self, key: Key) -> str:
        """Returns the Python expression for a value: a variable, or a member of a dictionary."""
        return member(self.get('value', key.base), key)

    def model(self, key: Key) -> str:
        return member(self.get('model', key.base), key)


def member(identifier: str, key: Key) -> str:
    return f'{identifier}[{", ".join(map(str, key.index))}]' if key.index else identifier


def index_text(key: Key) -> str:
    """Returns the key of a member in the dictionary of its family, as Python."""
    return str(key.index[0]) if len(key.index) == 1 else str(key.index)


def identifier(name: str) -> str:
    """Turns ``head[0, 1]`` or ``trunk.conv`` into a word, ``head_0_1`` or ``trunk_conv``."""
    return '_'.join(re.findall(r'\w+', name, re.ASCII))


def unit_text(unit: Unit) -> str:
    """Returns the Python expression for a model or a part of one."""
    return '.'.join([f'models[{str(unit.model)!r}]', *unit.path])


def class_name(name: str) -> str:
    """Turns ``residual_block`` into ``ResidualBlock``."""
    return ''.join(word[:1].upper() + word[1:] for word in name.split('_'))


def imported_name(name: str) -> str:
    """Returns what a module calls an object that the graph imports: its name, if that is free."""
    return name + '_' if name in MODULE_NAMES or name in FUNCTION_NAMES else name
