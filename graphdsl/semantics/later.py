"""What the language has and this version does not execute: refused by name, never ignored."""
from __future__ import annotations

from graphdsl.diagnostics import Mistake, Span, mistake
from graphdsl.syntax import nodes

BUILTINS = {'detach', 'grad', 'reverse_gradient', 'eval', 'quiet', 'history', 'ones_like', 'zeros_like', 'one_hot',
            'arange', 'shape'}
HOOKS = {'Clip'}
RUNNING_NUMBERS = {'batch_size', 'iteration', 'epoch', 'progress'}

STATEMENTS = {
    nodes.Noise: '`noise`', nodes.ModelLike: '`model ... like`', nodes.ModelFollows: '`model ... follows`',
    nodes.Frozen: '`frozen`', nodes.Weight: '`weight`', nodes.Step: '`step`', nodes.State: '`state`',
    nodes.Next: '`next`', nodes.Schedule: '`schedule`', nodes.SkipNonfinite: '`skip nonfinite`',
    nodes.StopWhen: '`stop when` with a condition',
}


def not_executed(what: str, span: Span) -> Mistake:
    """Makes the mistake for a construct of the language that this version cannot run yet."""
    return mistake('G901', f'{what} is part of the language, but this version does not execute it', span,
                   help='it comes with a later version; nothing of this file was run')
