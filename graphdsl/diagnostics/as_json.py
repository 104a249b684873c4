"""A diagnostic as JSON, for editors and other tools."""
from __future__ import annotations

import json
from typing import Any

from graphdsl.diagnostics.catalogue import TITLES
from graphdsl.diagnostics.diagnostic import Diagnostic
from graphdsl.diagnostics.source import Source, Span


def as_dict(diagnostic: Diagnostic, source: Source) -> dict[str, Any]:
    """Returns a diagnostic as plain data.

    Args:
        diagnostic: What to show.
        source: The text that it points into.

    Returns:
        Its file, range, code, title, severity, message, reason, places, notes, help and edits. Lines and columns
        count from 1, columns and offsets in characters; the end of a range is the character after its last.
    """
    return {
        'file': source.name,
        'range': _range(diagnostic.span, source),
        'code': diagnostic.code,
        'title': TITLES[diagnostic.code],
        'severity': diagnostic.severity,
        'message': diagnostic.message,
        'reason': diagnostic.reason,
        'places': [{'file': source.name, 'range': _range(place.span, source), 'text': place.text}
                   for place in diagnostic.places],
        'notes': list(diagnostic.notes),
        'help': diagnostic.help,
        'edits': [{'range': _range(edit.span, source), 'text': edit.text} for edit in diagnostic.edits],
    }


def render(diagnostic: Diagnostic, source: Source) -> str:
    """Returns a diagnostic as a JSON object on one line."""
    return json.dumps(as_dict(diagnostic, source))


def _range(span: Span, source: Source) -> dict[str, dict[str, int]]:
    return {name: dict(zip(('line', 'column'), source.position(offset)), offset=offset)
            for name, offset in (('start', span.start), ('end', span.end))}
