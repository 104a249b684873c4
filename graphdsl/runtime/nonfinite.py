"""Says where a loss or gradient that is not finite comes from."""
from __future__ import annotations

import traceback
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional

import chainer
import numpy

from graphdsl.diagnostics import Diagnostic, GraphError, Place, Span
from graphdsl.runtime.arising import Call, Finder, Found, bad
from graphdsl.runtime.arrays import array
from graphdsl.runtime.causes import GROWN, cause
from graphdsl.runtime.draws import Draws
from graphdsl.runtime.finite import NonFinite, all_finite
from graphdsl.runtime.origin import Origin
from graphdsl.runtime.replay import replay
from graphdsl.runtime.shapes import kind_of
from graphdsl.runtime.values import named_values

# Dropout and the like may not give the same again at once.
_ATTEMPTS = 3


class _Symptom(NamedTuple):
    """What the check saw: a loss or the gradient of a parameter, and the place in the file."""

    text: str
    span: Optional[Span]


class _Case:
    """An iteration in which something was not finite."""

    def __init__(self, error: NonFinite, program: Any, draws: Draws, optimizers: Mapping[str, chainer.Optimizer],
                 iteration: int, epoch: int):
        self.program = program
        self.origin: Origin = program.origin
        self.draws = draws
        self.optimizers = optimizers
        self.iteration = iteration
        self.epoch = epoch
        self.losses = self._losses(error)
        self.symptom = self._symptom(error)

    def _losses(self, error: NonFinite) -> dict[str, float]:
        """Returns the losses of the step by name, as the generated function has them."""
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)
                  if frame.f_code.co_filename == self.origin.filename]
        values = named_values(frames[-1].f_locals) if frames else {}
        return {name: float(array(values[name])) for name in self.program.losses if name in values}

    def _symptom(self, error: NonFinite) -> _Symptom:
        for name, value in self.losses.items():
            if not numpy.isfinite(value):
                return _Symptom(f'the loss `{name}` is {value:.4g}', self.origin.values.get(name))
        checked = {id(p) for name in error.optimizers for p in self.optimizers[name].target.params()}
        for model, path, parameter in self._parameters():
            if id(parameter) in checked and not all_finite([parameter.grad]):
                return _Symptom(f'the gradient of `{model}{path.replace("/", ".")}` is not finite',
                                self.origin.models.get(model))
        return _Symptom('a loss is not finite', next(iter(self.origin.values.values()), None))

    def _parameters(self) -> Iterator[tuple[str, str, chainer.Parameter]]:
        """Yields all parameters, each with its model and path."""
        for name, model in self.program.models.items():
            for path, parameter in model.namedparams():
                yield name, path, parameter

    # Where it comes from

    def find(self) -> Optional[Call]:
        """Computes the iteration again, and returns the call that gave it first; None where none did."""
        for seed in range(_ATTEMPTS):
            finder = Finder(self.origin)
            try:
                with numpy.errstate(all='ignore'), finder:
                    replay(self.program, self.draws, self.optimizers, seed, finder.check)
            except Found as found:
                if found.call is not None and found.call.span is not None:
                    return found.call
            except Exception:       # models that cannot be copied, memory that is not there
                return None
        return None

    def explain(self) -> Diagnostic:
        call = self.find()
        if call is None or bad(call.inputs):
            found = self._in_what_arrives(call)
            if found is not None:
                return found
        if call is None:
            return self._unknown()
        reason, advice = cause(call)
        shapes = list(dict.fromkeys(kind_of(x) for x in call.inputs if x is not None))
        what = 'its gradient' if call.is_gradient else 'the result'
        notes = (f'{" and ".join(shapes)} {"arrive" if len(shapes) > 1 else "arrives"} here; '
                 f'{_count(bad(call.outputs)[0])} of {what} are not finite', *self._notes())
        return Diagnostic('G731' if call.is_gradient else 'G730', self.symptom.text, call.span, reason=reason,
                          places=self._places(call.span), notes=notes, help=advice)

    def _in_what_arrives(self, call: Optional[Call]) -> Optional[Diagnostic]:
        """Looks for values that were not finite before the iteration: in weights, and in the minibatch."""
        arriving = {id(x) for x in bad(call.inputs)} if call is not None else set()
        return self._in_data(lambda x: id(x) in arriving) or self._in_weights() or self._in_data(lambda x: True)

    def _in_data(self, is_meant: Callable[[Any], bool]) -> Optional[Diagnostic]:
        minibatches, _, _ = self.draws.latest
        for stream, values in minibatches.items():
            inputs = [i for i in self.program.inputs if i.stream == stream]
            for i, value in zip(inputs, map(array, values)):
                if getattr(getattr(value, 'dtype', None), 'kind', '') != 'f' or all_finite([value]):
                    continue
                if not is_meant(value):
                    continue
                rows = _rows(value)
                return Diagnostic(
                    'G521', f'the data of `{i.name}` is not finite', self.origin.values.get(i.name, Span(0, 0)),
                    reason=f'{_kind(value)} in example {rows[0] + 1} of this minibatch of {len(value)}',
                    notes=(f'{_count(value)} of `{i.name}`, {kind_of(value)}, are not finite', f'{self.symptom.text}',
                           *self._notes()),
                    help='leave such examples out, or fill in numbers, before training')
        return None

    def _in_weights(self) -> Optional[Diagnostic]:
        for name, path, parameter in self._parameters():
            if not all_finite([parameter.array]):
                moved = any(optimizer.t for optimizer in self.optimizers.values()
                            if any(parameter is p for p in optimizer.target.params()))
                return Diagnostic(
                    'G733', f'the weights of `{name}` are not finite', self.origin.models.get(name, Span(0, 0)),
                    reason=f'`{path.lstrip("/")}` holds {_kind(parameter.array)}',
                    notes=(self.symptom.text, *self._notes()),
                    help='the update before this iteration moved them there: try a lower rate, or '
                         '`hook GradientClipping(5)` in the optimizer' if moved else
                         'they were not before the first update either: do they come from a file?')
        return None

    def _unknown(self) -> Diagnostic:
        return Diagnostic('G734', self.symptom.text, self.symptom.span or Span(0, 0), reason='where it arises was not '
                          'found: computed again, all is finite', notes=tuple(self._notes()), help=GROWN)

    def _places(self, span: Span) -> tuple[Place, ...]:
        place = self.symptom.span
        is_apart = place is not None and not place.start <= span.start <= place.end
        return (Place(place, 'it shows here'),) if is_apart else ()

    def _notes(self) -> Iterator[str]:
        epochs = f'{self.epoch} epoch{"" if self.epoch == 1 else "s"}'
        yield f'this was iteration {self.iteration + 1}, after {epochs}; its update was not made'
        others = [f'`{name}` is {value:.4g}' for name, value in self.losses.items() if numpy.isfinite(value)]
        if others:
            yield 'finite losses of the step: ' + ', '.join(others[:6]) + (', ...' if len(others) > 6 else '')


def explain_non_finite(error: NonFinite, program: Any, draws: Draws, optimizers: Mapping[str, chainer.Optimizer],
                       iteration: int, epoch: int) -> GraphError:
    """Returns what to tell of a value that is not finite.

    Args:
        error: Raised by the check in the generated module.
        program (graphdsl.runtime.Program): The graph.
        draws: What the iteration drew.
        optimizers: By name.
        iteration (int): How many were completed before.
        epoch (int): Likewise.
    """
    case = _Case(error, program, draws, optimizers, iteration, epoch)
    return GraphError([case.explain()], program.origin.source)


def _kind(values: Any) -> str:
    """Returns what is not finite in an array: ``nan``, ``inf`` or ``-inf``."""
    if (values != values).any():
        return 'nan'
    return 'inf' if bool(values.max() == float('inf')) else '-inf'


def _count(values: Any) -> str:
    xp = chainer.backend.get_array_module(values)
    return f'{int((~xp.isfinite(values)).sum())} of {values.size} values'


def _rows(values: Any) -> list[int]:
    xp = chainer.backend.get_array_module(values)
    wrong = ~xp.isfinite(values.reshape(len(values), -1)).all(axis=1)
    return [int(i) for i in xp.nonzero(wrong)[0]]
