"""What generated modules need and Chainer lacks."""
from graphdsl.runtime.program import Program, parameters, weight
from graphdsl.runtime.settings import Input, Train
from graphdsl.runtime.training import main

__all__ = ['Input', 'Program', 'Train', 'main', 'parameters', 'weight']
