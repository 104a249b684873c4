"""The parts of a body: links, chains and arrays, and what they are called."""
from __future__ import annotations

import keyword
from typing import Union

from graphdsl.semantics import catalog
from graphdsl.semantics.computation import ChainType, Construct, Key, Part, Weight

Content = Union[Construct, ChainType, Weight]


class Parts:
    """The links, chains and arrays of a body, in order of declaration.

    Attributes:
        declared: Attribute names of the layers and weights that the body declares, by their names in the file.
        layers: What these layers are made of, by attribute name; they are in order only once they are added.
    """

    def __init__(self) -> None:
        self.declared: dict[Key, str] = {}
        self.layers: dict[str, Content] = {}
        self._contents: dict[str, Content] = {}
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def all(self) -> tuple[Part, ...]:
        return tuple(Part(name, content) for name, content in self._contents.items())

    def content(self, name: str) -> Union[Content, None]:
        """Returns what a part is made of, None if that is wrong."""
        return self._contents.get(name, self.layers.get(name))

    def declare(self, key: Key) -> None:
        """Gives a layer the name that it has as an attribute of its chain."""
        name = '_'.join([key.base, *map(str, key.index)])
        if name in self._taken or name in catalog.chain_attributes() or keyword.iskeyword(name):
            name = self._numbered(name)
        self._taken.add(name)
        self.declared[key] = name

    def add_layer(self, name: str) -> None:
        """Adds a layer after the parts that are there."""
        if name in self.layers:
            self._contents[name] = self.layers[name]

    def add(self, stem: str, content: Content) -> str:
        """Adds a part without a name of its own; returns the name it gets from its class and order."""
        name = self._numbered(stem)
        self._taken.add(name)
        self._contents[name] = content
        return name

    def _numbered(self, stem: str) -> str:
        number = self._counts.get(stem, 0) + 1
        while f'{stem}_{number}' in self._taken:
            number += 1
        self._counts[stem] = number
        return f'{stem}_{number}'
