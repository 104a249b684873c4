"""Export to ONNX: functions that compute outputs are run, and what they called is written as an ONNX graph."""
from graphdsl.export.exporting import Exported, ExportError, export

__all__ = ['ExportError', 'Exported', 'export']
