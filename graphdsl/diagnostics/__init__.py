"""What is wrong with a graph file: as data, as text, and as JSON."""
from graphdsl.diagnostics import as_json, catalogue
from graphdsl.diagnostics.diagnostic import Diagnostic, Edit, Mistake, Place, in_order, mistake
from graphdsl.diagnostics.error import GraphError
from graphdsl.diagnostics.source import Source, Span
from graphdsl.diagnostics.text import render

__all__ = ['Diagnostic', 'Edit', 'GraphError', 'Mistake', 'Place', 'Source', 'Span', 'as_json', 'catalogue', 'in_order',
           'mistake', 'render']
