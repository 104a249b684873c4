"""Links and functions between arrows: what they are called with, and the shapes that they give."""
from __future__ import annotations

from dataclasses import dataclass
from math import prod

from fuzz.writer import Scope

ACTIVATIONS = (
    'relu', 'tanh', 'sigmoid', 'softplus', 'leaky_relu', 'leaky_relu(slope=0.1)')
OTHER_ACTIVATIONS = (
    'elu', 'selu', 'hard_sigmoid', 'swish_', 'softmax(axis=1)', 'log_softmax', 'relu6', 'arctan', 'clip(-1.0, 1.0)',
    'normalize')
INITIALIZERS = (
    'HeNormal()', 'Normal(0.1)', 'Uniform(scale=0.2)', 'GlorotUniform()', 'Constant(0.1)', 'LeCunNormal(0.5)',
    'Orthogonal()', 'Zero()', 'One()', '0.25')


@dataclass(frozen=True)
class Stage:
    """What stands between two arrows.

    Attributes:
        text: As it is written.
        shape: Of one example of what it gives.
        is_link: Whether it has parameters.
        twice: Whether it can be differentiated twice.
        stateful: Whether it carries a state.
    """

    text: str
    shape: tuple
    is_link: bool = False
    twice: bool = True
    stateful: bool = False


def options(scope: Scope, *words: str) -> str:
    """Returns some keyword arguments, with the comma before them."""
    return ''.join(f', {word}' for word in words if scope.has('initializers'))


def initial(scope: Scope) -> str:
    return f'initialW={scope.chance.pick(INITIALIZERS)}'


def activation(scope: Scope, shape: tuple) -> Stage:
    if scope.has('random functions'):
        return Stage(scope.chance.pick(['dropout', 'dropout(0.2)', 'dropout(ratio=0.5)', 'rrelu']), shape, twice=False)
    if scope.has('blocks'):
        return function_block(scope, shape)
    if scope.chance.seldom() and shape:
        text = scope.chance.pick(OTHER_ACTIVATIONS)
        if text == 'normalize' and len(shape) > 1 or text == 'swish_':
            text = 'tanh'
        return Stage(text, shape, twice=text == 'tanh')
    return Stage(scope.chance.pick(ACTIVATIONS), shape)


def dense(scope: Scope, shape: tuple, size: int) -> Stage:
    """A link that makes a vector of anything."""
    kind = scope.chance.number(0, 9)
    if kind == 8:
        return Stage(f'Maxout({size}, pool_size=2)', (size,), True, False)
    if kind == 9 and len(shape) == 1:
        return Stage(f'Linear({shape[0]}, {size})', (size,), True)
    arguments = options(scope, initial(scope), 'nobias=true')
    return Stage(f'Linear({scope.integer(size)}{arguments})', (size,), True)


def square(scope: Scope, shape: tuple) -> Stage:
    """A stage that makes an image of an image."""
    chance = scope.chance
    channels, height, width = shape
    wide = chance.number(1, 4)
    kinds = ['Convolution2D', 'pad', 'pool', 'ConvolutionND', 'Depthwise', 'PReLU']
    if 'statistics' in scope.features:
        kinds += ['norm', 'norm axis']
    if height > 2 and width > 2:
        kinds += ['stride', 'ksize']
    kinds += ['Deconvolution2D', 'MLP', 'Group', 'local']
    kind = chance.pick(kinds)
    if kind == 'Convolution2D':
        return Stage(f'Convolution2D({wide}, ksize=1{options(scope, initial(scope))})', (wide, height, width), True)
    if kind == 'pad':
        arguments = options(scope, 'nobias=true', 'initial_bias=Constant(0.1)')
        return Stage(f'Convolution2D({scope.integer(wide)}, ksize=3, pad=1{arguments})', (wide, height, width), True)
    if kind == 'stride':
        return Stage(f'Convolution2D({wide}, 3, stride=2, pad=1)', (wide, (height + 1) // 2, (width + 1) // 2), True)
    if kind == 'ksize':
        return Stage(f'Convolution2D({wide}, ksize=(3, 2))', (wide, height - 2, width - 1), True)
    if kind == 'pool':
        name = chance.pick(['max_pooling_2d', 'average_pooling_2d'])
        # Chainer rounds the first up, and the second down.
        if name == 'max_pooling_2d':
            return Stage(f'{name}(2)', (channels, (height + 1) // 2, (width + 1) // 2), twice=False)
        if height < 2 or width < 2:
            return Stage('relu', shape)
        return Stage(f'{name}(2)', (channels, height // 2, width // 2), twice=False)
    if kind == 'ConvolutionND':
        return Stage(f'ConvolutionND(2, out_channels={wide}, ksize=1)', (wide, height, width), True, False)
    if kind == 'Depthwise':
        return Stage('DepthwiseConvolution2D(2, ksize=(1, 1))', (2 * channels, height, width), True, False)
    if kind == 'PReLU':
        return Stage('PReLU()', shape, True, False)
    if kind == 'norm':
        return Stage(f'BatchNormalization({channels})', shape, True, False)
    if kind == 'norm axis':
        return Stage('BatchNormalization(axis=(0, 2, 3))', shape, True, False)
    if kind == 'Deconvolution2D':
        if height * width > 40:
            return Stage('tanh', shape)
        return Stage(f'Deconvolution2D({wide}, ksize=2, stride=2)', (wide, 2 * height, 2 * width), True, False)
    if kind == 'MLP':
        return Stage(f'MLPConvolution2D([2, {wide}], ksize=1)', (wide, height, width), True, False)
    if kind == 'Group':
        return Stage(f'GroupNormalization({chance.pick([1, channels])})', shape, True, False)
    return Stage('local_response_normalization()' if chance.half() else 'sigmoid', shape, twice=False)


def stage(scope: Scope, shape: tuple, dtype: str = 'float') -> Stage:
    """Some stage for an array of this shape; nothing recurrent."""
    chance = scope.chance
    if dtype == 'float' and not shape:
        return activation(scope, shape) if chance.half() else Stage('expand_dims(axis=1)', (1,))
    if dtype == 'float' and scope.has('blocks'):
        return block(scope, shape)
    if dtype != 'float':
        size = chance.number(2, 4)
        return Stage(f'EmbedID(10, {size}{options(scope, initial(scope))})', (*shape, size), True)
    if len(shape) == 3 and chance.often():
        return square(scope, shape)
    kind = chance.number(0, 5)
    if kind == 0:
        return dense(scope, shape, chance.number(2, 5))
    if kind <= 2:
        return activation(scope, shape)
    if kind == 3 and 'statistics' in scope.features and len(shape) == 1:
        return chance.pick([
            Stage(f'BatchNormalization({shape[0]})', shape, True, False),
            Stage('BatchNormalization(axis=0)', shape, True, False),
            Stage('LayerNormalization()', shape, True, False)])
    if kind == 4 and len(shape) == 1:
        return chance.pick([
            Stage(f'Highway({shape[0]})', shape, True, False), Stage(f'Bias(shape=({shape[0]},))', shape, True),
            Stage(f'Scale(W_shape=({shape[0]},))', shape, True), Stage('PReLU()', shape, True, False)])
    if kind == 5 and shape:
        return reshaped(scope, shape)
    return dense(scope, shape, chance.number(2, 5))


#: Blocks by name. What they use stands above them.
BLOCKS = {
    'swish': 'block swish(x) -> y { y = x * sigmoid(x) }',
    'act': 'block act = tanh -> swish',
    'centred': 'block centred(by=0.5, times=2) (x) -> y {\n    y = times * (x - by)\n}',
    'fc': 'block fc(n, bias=true) = Linear(n, nobias=not bias) -> relu',
    'deep': 'block deep(n) = fc(n) -> fc(n, bias=false) -> act',
    'residual': 'block residual(n) (x) -> y {\n    layer inner = fc(n)\n    x -> inner -> Linear(n) -> r\n'
                '    y = act(x + r)\n}',
    'gated': 'block gated(n) (x) -> y {\n    x -> Linear(2 * n) -> halves -> a, b\n    y = a * sigmoid(b)\n}',
    'halves': 'block halves(x) -> low, high {\n    x -> split_axis(2, axis=1) -> low, high\n}',
    'tower': 'block tower(n, levels=2) (x) -> y {\n    h[0] = x\n    for i in 0..levels {\n'
             '        layer l[i] = residual(n)\n        h[i] -> l[i] -> h[i + 1]\n    }\n    y = h[levels]\n}',
    'conv': 'block conv(channels, ksize=3) = Convolution2D(channels, ksize=ksize, pad=ksize // 2) -> relu',
    'pair': 'block pair(channels, last="relu") (x) -> y {\n    x -> conv(channels) -> conv(channels, ksize=1) -> r\n'
            '    if last == "relu" { r -> relu -> y } else { y = r }\n}',
}
USES = {'act': ('swish',), 'deep': ('fc', 'act'), 'residual': ('fc', 'act'), 'gated': ('halves',),
        'tower': ('residual',), 'pair': ('conv',)}


def block(scope: Scope, shape: tuple) -> Stage:
    """A block with links, as far as one goes with the shape."""
    size = scope.chance.number(2, 4)
    stages = [function_block(scope, shape), Stage(f'fc({size})', (size,), True),
              Stage(f'deep(n={scope.integer(size)})', (size,), True),
              Stage(f'fc({size}, bias=false)', (size,), True), Stage(f'gated({size})', (size,), True, False)]
    if len(shape) == 1:
        stages += [Stage(f'residual({shape[0]})', shape, True),
                   Stage(f'tower({shape[0]}{options(scope, "levels=1")})', shape, True)]
    if len(shape) == 3:
        stages += [Stage(text, (size, *shape[1:]), True) for text in (
            f'conv({size})', f'conv({size}, ksize=1)', f'pair({size}, last="none")')]
    return declared(scope, scope.chance.pick(stages))


def function_block(scope: Scope, shape: tuple) -> Stage:
    """A block without links."""
    texts = ['swish', 'act', 'centred', 'centred()', 'centred(times=0.5)', 'centred(2 ** -1)', 'centred(by=-1)']
    return declared(scope, Stage(scope.chance.pick(texts), shape))


def declared(scope: Scope, stage: Stage) -> Stage:
    """Sees to it that the file has the block of a stage."""
    pending = [stage.text.partition('(')[0]]
    for name in pending:
        scope.file.blocks[name] = BLOCKS[name]
        pending.extend(USES.get(name, ()))
    return stage


def reshaped(scope: Scope, shape: tuple) -> Stage:
    """A function that moves elements and changes none."""
    chance = scope.chance
    size = prod(shape)
    found = [Stage(f'reshape((-1, {size}))', (size,))]
    if size % 4 == 0:
        found.append(Stage(f'reshape((-1, {size // 4}, 2, 2))', (size // 4, 2, 2)))
    if size % 2 == 0:
        found.append(Stage(f'reshape(shape=(-1, 2, {size // 2}))', (2, size // 2)))
    if len(shape) == 2:
        found.append(Stage('transpose((0, 2, 1))', shape[::-1]))
        found.append(Stage('swapaxes(1, 2)', shape[::-1]))
        found.append(Stage('sum(axis=2)', shape[:1]))
    if len(shape) == 3:
        found.append(Stage('mean(axis=(2, 3))', shape[:1]))
    if len(shape) == 1:
        found.append(Stage('expand_dims(axis=1)', (1, *shape)))
        found.append(Stage('flip(1)', shape, twice=False))
    return chance.pick(found)
