"""What the writing of a step asks of the graph, found once for all steps."""
from __future__ import annotations

from graphdsl.semantics.computation import Key
from graphdsl.semantics.graph import Graph, Input
from graphdsl.semantics.runs import may_be_stateful
from graphdsl.emit.chains import begins_with_linear


class Surroundings:
    """What the writing of a step asks of the graph as a whole.

    Attributes:
        graph: The graph.
        chains: What each model is made of.
        frozen: Models that do not train.
        stateful: Models that may carry a state, each with its place in the file.
        linear: Models that begin with a linear layer.
        images: Inputs that it flattens.
        losses: By key.
        inputs: Of each stream.
        noises: By name.
        optimizers: By name.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.chains = {model.key: model.chain for model in graph.models}
        self.frozen = {model.key for model in graph.models if model.is_frozen}
        self.stateful = {model.key: i for i, model in enumerate(graph.models) if may_be_stateful(model.chain)}
        self.linear = {model.key for model in graph.models if begins_with_linear(model.chain)}
        self.images = {Key(i.name) for i in graph.inputs if len(i.shape) > 1 and (i.dtype or '').startswith('float')}
        self.losses = {loss.key for loss in graph.losses}
        self.inputs: dict[str, list[Input]] = {}
        for i in graph.inputs:
            self.inputs.setdefault(i.stream, []).append(i)
        self.noises = {str(noise.key): noise for noise in graph.noises}
        self.optimizers = {optimizer.name: optimizer for optimizer in graph.optimizers}
