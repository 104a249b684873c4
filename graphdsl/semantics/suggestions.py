"""What somebody may have meant who wrote a name that nothing has."""
from __future__ import annotations

import difflib
import operator
import os
from typing import Any, Iterable, Mapping, Union

from graphdsl.diagnostics import Edit, Place, Span
from graphdsl.semantics.elsewhere import NAMES
from graphdsl.semantics.wording import listing

#: A large file may have as many mistakes as names; among more than this nothing close is looked for.
MANY = 1000
_CLOSEST = 0.75
_NO_DIGITS = str.maketrans('', '', '0123456789')

Known = Union[Iterable[str], Mapping[str, Any]]


def unknown(name: str, span: Span, known: Known, otherwise: str = '', advice: Mapping[str, str] = {},
            done: str = 'bound') -> dict[str, Any]:
    """Returns the details of a diagnostic about a name that nothing has.

    Args:
        name (str): The name.
        span: Where it stands, and nothing else.
        known: What may stand there. A mapping says by spans where each is bound; what is bound outside of the file
            has no span.
        otherwise (str): The next step where nothing of the known is meant.
        advice: What to do instead, by names that mean nothing of the known.
        done (str): What is done where a known one is bound.

    Returns:
        ``help``; where one is meant, ``places`` that show where it is bound, and ``edits`` if that is certain.
    """
    known = known if isinstance(known, Mapping) else list(known)
    found = meant(name, known) if name not in advice else ''
    if not found:
        return {'help': advice.get(name, otherwise)}
    details: dict[str, Any] = {'help': f'did you mean `{found}`?'}
    if is_certain(name, found, known):
        details['edits'] = (Edit(span, found),)
    bound = known[found] if isinstance(known, Mapping) else None
    if isinstance(bound, Span):
        details['places'] = (Place(bound, f'`{found}` is {done} here'),)
    return details


def meant(name: str, known: Iterable[str], names: Mapping[str, tuple[str, ...]] = NAMES) -> str:
    """Returns the known name that is meant by another, an empty string if none is close.

    Args:
        name (str): The name.
        known: What may stand there.
        names: What other libraries call it.
    """
    known = list(known)
    if len(known) > MANY:
        return ''
    return _same(name, known, names) or _close(name, known)


def is_certain(name: str, found: str, known: Iterable[str]) -> bool:
    """Says whether nothing else can be meant: the same word written otherwise, or one slip from a single name."""
    if found in NAMES.get(name, ()) or _letters(name) == _letters(found):
        return True
    near = [k for k in known if _is_one_slip(name, k)]
    return near == [found] and _is_long_enough(name, found) and _without_digits(name) != _without_digits(found)


def _same(name: str, known: list[str], names: Mapping[str, tuple[str, ...]]) -> str:
    """Returns a name that is written otherwise here: in other letters, or as another word."""
    same = [k for k in known if _letters(k) == _letters(name)]
    same.sort(key=lambda k: k[:1].isupper() != name[:1].isupper())
    return next((k for k in (*same, *names.get(name, ())) if k in known), '')


def _close(name: str, known: list[str]) -> str:
    slips = [k for k in known if _is_one_slip(name, k) and _is_long_enough(name, k)]
    return slips[0] if slips else _similar(name, known)


def _similar(name: str, known: list[str]) -> str:
    """Returns the most similar name; of those that differ in digits alone, one is compared."""
    stems: dict[str, list[str]] = {}
    for k in known:
        stems.setdefault(_without_digits(k), []).append(k)
    for stem in difflib.get_close_matches(_without_digits(name), stems, n=1, cutoff=_CLOSEST):
        if difflib.SequenceMatcher(None, stems[stem][0], name).ratio() >= _CLOSEST:
            return stems[stem][0]
    return ''


def _is_long_enough(name: str, other: str) -> bool:
    """Says whether a slip between two names is one: of two short names any letter makes another."""
    return len(name) > 3 or (len(name) == 3 and sorted(name) == sorted(other))


def _letters(name: str) -> str:
    return name.replace('_', '').lower()


def _without_digits(name: str) -> str:
    return name.translate(_NO_DIGITS)


def _is_one_slip(name: str, other: str) -> bool:
    """Says whether a letter too many, too few or wrong, or two in the wrong order, are all that differs."""
    if len(name) == len(other):
        count = sum(map(operator.ne, name, other))
        if count != 2:
            return count == 1
        i = len(os.path.commonprefix([name, other]))
        return name[i:i + 2] == other[i:i + 2][::-1]
    short, long = sorted((name, other), key=len)
    if len(long) - len(short) > 1:
        return False
    i = len(os.path.commonprefix([short, long]))
    return short[i:] == long[i + 1:]


def listed(names: Iterable[object], otherwise: str, what: str = '', most: int = 12) -> str:
    """Returns a help that lists what there is, of many the first ones and the last.

    Args:
        names: What there is.
        otherwise (str): The help where there is nothing.
        what (str): What one of them is called, if that is to be said.
        most (int): How many are listed.
    """
    shown = [f'`{name}`' for name in names]
    if not shown:
        return otherwise
    start = f'there {"is" if len(shown) == 1 else "are"}' if not what else \
        f'the only {what} is' if len(shown) == 1 else f'the {what}s are'
    return f'{start} {listing(shown, most=most)}'
