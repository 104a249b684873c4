"""Colours of optimizers: fill and line, light enough to be printed and told apart by colour-blind people.

The lines are the palette of Okabe and Ito, "Color Universal Design" (2008); the fills are the same at a quarter of
their strength.
"""
from __future__ import annotations

LINES = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7a6a00', '#5b3a8c')
#: Of text and losses, of details and the rims of data, of arrows.
TEXT, SMALL, ARROW = '#1a1a1a', '#5a5a5a', '#3a3a3a'
#: Of frozen models and data, of what leads to no loss, of what does not run.
FROZEN, DATA, GREY, PALE, WHITE = '#e4e4e4', '#f4f4f4', '#8a8a8a', '#c9c9c9', '#ffffff'


def line(place: int) -> str:
    """Returns the colour of an optimizer; after eight they repeat."""
    return LINES[place % len(LINES)]


def fill(place: int) -> str:
    """Returns the light colour of an optimizer."""
    channels = (int(line(place)[i:i + 2], 16) for i in (1, 3, 5))
    return '#' + ''.join(f'{(channel + 3 * 255) // 4:02x}' for channel in channels)
