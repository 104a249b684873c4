"""The programs that are measured."""
from __future__ import annotations

from . import cyclegan, dcgan, frozen_trunk, strips, wgan_gp
from .program import Program

PROGRAMS: tuple[Program, ...] = (*strips.PROGRAMS, *frozen_trunk.PROGRAMS, *dcgan.PROGRAMS, *wgan_gp.PROGRAMS,
                                 *cyclegan.PROGRAMS)
