"""Says in the language's words why arrays do not go where they are sent: a rule for each common case."""
from __future__ import annotations

import math
import re
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Union

import chainer

from graphdsl.shapes.types import ArrayType, shape_text

#: Functions and links that take labels, and which of their arguments these are.
_LABELS = {'softmax_cross_entropy': 1, 'accuracy': 1, 'select_item': 1, 'hinge': 1, 'precision': 1, 'recall': 1,
           'f1_score': 1, 'classification_summary': 1, 'sigmoid_cross_entropy': 1, 'binary_accuracy': 1,
           'contrastive': 2, 'EmbedID': 0, 'embed_id': 0}
_LIKE_SCORES = ('sigmoid_cross_entropy', 'binary_accuracy')
_JOINING = ('concat', 'hstack', 'vstack', 'dstack')
_OF_IMAGES = re.compile(r'(?:\w*convolution|(?:\w+_)?(?:pooling|unpooling|upsampling))_?(?:(\d)d|nd)', re.IGNORECASE)
_IMAGE_AXES = {1: 'channels, length', 2: 'channels, height, width', 3: 'channels, depth, height, width'}
_FEW_CHANNELS = (1, 3, 4)


class Arriving(NamedTuple):
    """An array that arrives: what the file calls it, and what it is."""

    label: str
    type: ArrayType
    is_input: bool

    @property
    def shape(self) -> tuple[Union[int, str], ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype


class Mismatch(NamedTuple):
    """What does not go together.

    Attributes:
        name: Of the function or link; an operator; ``'[]'``.
        arrays: What arrives.
        others: Other arguments by position.
        options: Arguments by keyword.
        link: What is called, if it is a link.
        error: What it ends in.
        names: How many names there are for the results, and how many results.
    """

    name: str
    arrays: tuple[Arriving, ...]
    others: Mapping[int, Any]
    options: Mapping[str, Any]
    link: Optional[chainer.Link]
    error: Exception
    names: Optional[tuple[int, int]] = None

    def option(self, name: str, position: int, default: Any = None) -> Any:
        return self.options.get(name, self.others.get(position, default))

    @property
    def types(self) -> str:
        return ' and '.join(str(array.type) for array in self.arrays)


class Explanation(NamedTuple):
    """A diagnostic without its place."""

    code: str
    message: str
    reason: str = ''
    help: str = ''


Rule = Callable[[Mismatch], Optional[Explanation]]


def explain(found: Mismatch) -> Explanation:
    """Returns the first explanation that fits, or what Chainer says."""
    for rule in _RULES:
        explanation = rule(found)
        if explanation is not None:
            return explanation
    return Explanation('G701', f'{_quoted(found.name)} fails with what arrives here', _tidy(found.error))


def _names(m: Mismatch) -> Optional[Explanation]:
    if m.names is None:
        return None
    names, results = m.names
    return Explanation('G717', f'this gives {results} results, and there are {names} names for it',
                       help='write a name for each; `_` takes what is not wanted')


def _label_dtype(m: Mismatch) -> Optional[Explanation]:
    place = _LABELS.get(m.name)
    if place is None or len(m.arrays) <= place:
        return None
    labels = m.arrays[place]
    if labels.dtype.startswith('int') or (m.name == 'softmax_cross_entropy' and labels.dtype.startswith('float')
                                          and len(labels.shape) == len(m.arrays[0].shape) > 1):
        return None
    what = 'integers' if place == 0 else 'labels that are integers'
    return Explanation('G709', f'`{m.name}` takes {what}, and {labels.label} is {labels.dtype}',
                       help=f'declare it as {_declared(labels, "int32")}' if labels.is_input else
                       f'make integers of it: `cast({_bare(labels)}, "int32")`')


def _label_shape(m: Mismatch) -> Optional[Explanation]:
    if _LABELS.get(m.name) != 1 or len(m.arrays) < 2:
        return None
    scores, labels = m.arrays[:2]
    wanted = scores.shape if m.name in _LIKE_SCORES or not labels.dtype.startswith('int') else \
        (*scores.shape[:1], *scores.shape[2:])
    if labels.shape == wanted:
        return None
    if labels.shape == (*wanted, 1):
        help = f'take the last axis away: `{_bare(labels)}[{":, " * len(wanted)}0]`'
    elif scores.shape == (*labels.shape, 1):
        help = f'take the last axis of {scores.label} away: `{_bare(scores)}[{":, " * len(labels.shape)}0]`'
    elif labels.shape == scores.shape:
        help = f'of vectors with a single one, `argmax({_bare(labels)}, axis=1)` makes labels'
    elif len(labels.shape) == len(wanted) + 1:
        help = f'take one of them, such as `{_bare(labels)}[:, 0]`'
    else:
        help = ''
    return Explanation('G710', f'the labels of `{m.name}` have another shape than its scores ask for',
                       f'{shape_text(labels.shape)} arrives, {shape_text(wanted)} is wanted', help)


def _differentiated(m: Mismatch) -> Optional[Explanation]:
    if m.name != 'grad' or len(m.arrays) < 2 or m.arrays[1].dtype.startswith('float'):
        return None
    at = m.arrays[1]
    return Explanation('G711', f'`grad` takes a gradient at floats only, and {at.label} is {at.dtype}',
                       help=f'declare it as {_declared(at, "float32")}' if at.is_input else
                       'take it at what is computed from this by a model')


def _dtypes(m: Mismatch) -> Optional[Explanation]:
    if 'dtype' not in str(m.error):
        return None
    name = _quoted(m.name)
    integers = next((array for array in m.arrays if not array.dtype.startswith('float')), None)
    if integers is not None and 'kind == f' in str(m.error):
        return Explanation('G711', f'{name} takes floats, and {integers.label} is {integers.dtype}',
                           help=f'make floats of it: `cast({_bare(integers)}, "float32")`')
    own = {p.dtype.name for p in m.link.params() if p.dtype is not None} if m.link is not None else set()
    for array in m.arrays:
        if own and array.dtype not in own:
            mine = min(own)
            return Explanation('G711', f'the parameters of {name} are {mine}, and {array.label} is {array.dtype}',
                               help=_as_dtype(array, mine))
    dtypes = list(dict.fromkeys(array.dtype for array in m.arrays))
    if len(dtypes) < 2:
        return None
    wanted = 'float32' if 'float32' in dtypes else dtypes[0]
    other = next(array for array in m.arrays if array.dtype != wanted)
    return Explanation('G711', f'{name} takes arrays of one dtype, and here {dtypes[0]} meets {dtypes[1]}',
                       help=_as_dtype(other, wanted))


def _as_dtype(array: Arriving, dtype: str) -> str:
    if array.is_input:
        return f'declare it as {_declared(array, dtype)}: data of another dtype is cast'
    return f'`cast({_bare(array)}, "{dtype}")` changes it'


def _axes_of_images(m: Mismatch) -> Optional[Explanation]:
    match = _OF_IMAGES.fullmatch(m.name)
    if match is None or not m.arrays:
        return None
    image = m.arrays[0]
    n = int(match[1]) if match[1] else getattr(m.link, 'ndim', None)
    if n not in _IMAGE_AXES or len(image.shape) == n + 2:
        return None
    if len(image.shape) == n + 1:
        help = f'give it an axis of one channel: `expand_dims({_bare(image)}, 1)`'
    elif len(image.shape) < n + 1:
        help = f'give it axes: `reshape({_bare(image)}, (-1, {_IMAGE_AXES[n]}))` with numbers for the names'
    else:
        help = f'bring it to {n + 2} axes with `reshape`'
    return Explanation('G707', f'`{m.name}` takes arrays with the axes (batch, {_IMAGE_AXES[n]})',
                       f'{len(image.shape)} axes arrive: {image.type}', help)


def _channels(m: Mismatch) -> Optional[Explanation]:
    wanted, what = _wanted_channels(m.link), 'channels'
    if wanted is None or not m.arrays or len(m.arrays[0].shape) < 2:
        return None
    image = m.arrays[0]
    if image.shape[1] == wanted:
        return None
    if len(image.shape) > 2 and image.shape[-1] == wanted and hasattr(m.link, 'in_channels'):
        return _channels_last(m, image)
    if len(image.shape) == 2:
        what = 'values per example'
    message = f'`{m.name}` is made for {wanted} {what}, and gets {image.shape[1]}'
    if getattr(m.link, 'in_channels', wanted) is None:
        return Explanation('G706', message, 'an earlier call has settled it',
                           'use a model of its own for this value, or bring both to one size')
    help = f'write {image.shape[1]} in place of {wanted}'
    if hasattr(m.link, 'in_channels'):
        help += ', or leave it away: what arrives decides'
    return Explanation('G706', message, f'{image.type} arrives', help)


def _wanted_channels(link: Optional[chainer.Link]) -> Optional[int]:
    """Returns the length of axis 1 that a convolution or batch normalization is made for, if it is settled."""
    if link is None:
        return None
    W = getattr(link, 'W', None)
    if hasattr(link, 'in_channels') or type(link).__name__.endswith(('Convolution2D', 'ConvolutionND')):
        if W is None or W.array is None or W.ndim < 3:
            return None
        return W.shape[0] if 'Deconv' in type(link).__name__ else W.shape[1] * getattr(link, 'groups', 1)
    mean = getattr(link, 'avg_mean', None)
    return mean.shape[0] if mean is not None and mean.ndim == 1 else None


def _channels_last(m: Mismatch, image: Arriving) -> Explanation:
    n = len(image.shape)
    order = ', '.join(map(str, (0, n - 1, *range(1, n - 1))))
    return Explanation('G708', f'`{m.name}` takes the channels before height and width',
                       f'{image.type} seems to have them last',
                       f'bring them to the front: `transpose({_bare(image)}, ({order}))`')


def _kernel(m: Mismatch) -> Optional[Explanation]:
    if 'should be positive' not in str(m.error) or not m.arrays:
        return None
    image = m.arrays[0]
    *lengths, last = image.shape[1:]
    if last in _FEW_CHANNELS and all(isinstance(n, int) and n > max(_FEW_CHANNELS) for n in lengths):
        return _channels_last(m, image)
    size = m.option('ksize', 1, getattr(m.link, 'ksize', None))
    kernel = '' if size is None else f' of {size if isinstance(size, int) else " x ".join(map(str, size))}'
    height = ' x '.join(map(str, image.shape[2:]))
    return Explanation('G714', f'the kernel{kernel} is larger than the image', f'an image of {height} arrives',
                       'take a smaller kernel, `pad` the image, or pool less before')


def _size(m: Mismatch) -> Optional[Explanation]:
    wanted = _wanted_size(m.link)
    if wanted is None or not m.arrays:
        return None
    array = m.arrays[0]
    axes = m.option('n_batch_axes', 1, 1)
    if len(array.shape) <= axes:
        return Explanation('G707', f'`{m.name}` takes some values per example', f'{array.type} has no axis for them',
                           f'give it one: `expand_dims({_bare(array)}, 1)`')
    rest = array.shape[axes:] if m.name == 'Linear' else array.shape[-1:]
    got = math.prod(rest) if all(isinstance(n, int) for n in rest) else None
    if got is None or wanted in (got, -1):
        return None
    message = f'`{m.name}` is made for {wanted} values per example, and gets {got}'
    product = f' = {" * ".join(map(str, rest))}' if len(rest) > 1 else ''
    if getattr(m.link, 'in_size', wanted) is None:
        return Explanation('G705', message, f'{got}{product} arrive; an earlier call has settled it',
                           'use a model of its own for this value, or bring both to one size')
    help = f'write {got} in place of {wanted}'
    if m.name == 'Linear':
        help += f', or leave it away: `Linear({m.link.out_size})` takes what arrives'
    return Explanation('G705', message, f'{got}{product} arrive', help)


def _wanted_size(link: Optional[chainer.Link]) -> Optional[int]:
    """Returns how many values per example a link is made for; -1 where the first call settles it."""
    if isinstance(link, chainer.links.Linear):
        return -1 if link.W.array is None else link.W.shape[1]
    for owner, name in ((link, 'in_size'), (link, 'state_size'), (getattr(link, 'upward', None), 'in_size')):
        size = getattr(owner, name, None)
        if isinstance(size, int) and name == 'in_size':
            return size
    linear = next((one for one in link.links() if isinstance(one, chainer.links.Linear)), None) if link else None
    return None if linear is None or linear.W.array is None else linear.W.shape[1]


def _reshape(m: Mismatch) -> Optional[Explanation]:
    shape = m.option('shape', 1)
    if m.name != 'reshape' or not isinstance(shape, (tuple, list)) or not m.arrays:
        return None
    array = m.arrays[0]
    example = [n for n in array.shape if isinstance(n, int)]
    count = ' * '.join(map(str, example)) or '1'
    values = f'{count} = {math.prod(example)}' if len(example) > 1 else count
    rest = [n for n in shape if n != -1]
    asked = f'{" * ".join(map(str, rest))} = {math.prod(rest)}' if len(rest) > 1 else ''.join(map(str, rest))
    help = 'the sizes beside -1 must multiply to the values of an example' if -1 in shape else \
        'write -1 for the batch axis, so that a minibatch of any size goes'
    return Explanation('G713', f'{array.label} cannot have the shape {shape_text(shape)}',
                       f'an example has {values} values, and the shape {asked}', help)


def _split(m: Mismatch) -> Optional[Explanation]:
    sections, axis = m.option('indices_or_sections', 1), m.option('axis', 2)
    if m.name != 'split_axis' or not m.arrays or not isinstance(axis, int):
        return None
    array = m.arrays[0]
    if not -len(array.shape) <= axis < len(array.shape):
        return None
    length = array.shape[axis]
    is_number = isinstance(sections, int)
    problem = f'which {sections} parts do not divide' if is_number else f'and is split at {max(sections)}'
    message = f'axis {axis} of {array.label} has {length} elements, {problem}'
    return Explanation('G715', message, f'{array.type} arrives',
                       'parts of unlike size are written by where they begin, such as `split_axis(v, [4, 7], axis=1)`')


def _subscript(m: Mismatch) -> Optional[Explanation]:
    if m.name != '[]' or not m.arrays:
        return None
    array = m.arrays[0]
    if 'too many indices' in str(m.error):
        return Explanation('G716', f'there are more indices than {array.label} has axes', f'{array.type} is indexed',
                           'the first axis is the batch')
    outside = re.search(r'index (-?\d+) is out of bounds for axis (\d+) with size (\d+)', str(m.error))
    if outside is None:
        return None
    length = array.shape[int(outside[2])]
    help = '' if isinstance(length, str) else f'they are counted from 0 to {length - 1}'
    return Explanation('G716', f'axis {outside[2]} of {array.label} has no element {outside[1]}',
                       f'{array.type} is indexed', help)


def _axis(m: Mismatch) -> Optional[Explanation]:
    axes = m.options.get('axis', next((v for v in m.others.values() if isinstance(v, (int, tuple))
                                       and not isinstance(v, bool)), None))
    axes = axes if isinstance(axes, tuple) else (axes,)
    for array in m.arrays:
        n = len(array.shape)
        wrong = next((a for a in axes if isinstance(a, int) and not -n <= a < n), None)
        if wrong is not None and re.search('ndim|axis|axes|Expr', str(m.error)):
            has = ('no axes', 'axis 0 alone', 'the axes 0 and 1', *(f'the axes 0 to {i}' for i in range(2, n)))[n]
            return Explanation('G718', f'{_quoted(m.name)} is asked for axis {wrong}, and {array.label} has {has}',
                               f'{array.type} arrives')
    return None


def _unlike(m: Mismatch) -> Optional[Explanation]:
    shapes = list(dict.fromkeys(array.shape for array in m.arrays))
    if m.link is not None or len(shapes) < 2 or m.name == '[]':
        return None
    name = _quoted(m.name)
    if m.name == 'matmul':
        return Explanation('G712', 'these matrices cannot be multiplied', f'{m.types} arrive',
                           'the last axis of the first must be as long as the last but one of the second')
    if m.name in _JOINING:
        axis = m.option('axis', len(m.arrays), 1)
        return Explanation('G712', f'{name} joins along axis {axis}, and these differ in others', f'{m.types} arrive',
                           f'all axes but {axis} must be equally long')
    help = ''
    for long, short in ((a, b) for a in m.arrays for b in m.arrays):
        if long.shape == (*short.shape, 1):
            help = f'take the last axis of {long.label} away: `{_bare(long)}[{":, " * len(short.shape)}0]`'
    return Explanation('G712', f'the shapes {" and ".join(map(shape_text, shapes[:2]))} do not go together in {name}',
                       help=help)


def _broadcast(m: Mismatch) -> Optional[Explanation]:
    shape = m.option('shape', 1)
    if m.name != 'broadcast_to' or not m.arrays or not isinstance(shape, (tuple, list)):
        return None
    return Explanation('G712', f'{m.arrays[0].label} cannot be repeated to the shape {shape_text(shape)}',
                       f'{m.arrays[0].type} arrives', 'only axes of length 1 are repeated')


_RULES: Sequence[Rule] = (_names, _differentiated, _label_dtype, _label_shape, _axes_of_images, _channels, _kernel,
                          _size, _dtypes, _reshape, _broadcast, _split, _subscript, _axis, _unlike)


def _tidy(error: Exception) -> str:
    """Returns an exception's message on one line, without the names of Chainer's classes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith('Invalid operation is performed in'):
        lines = lines[1:]
    text = '; '.join(lines).replace('Expect: ', 'expected ').replace('Actual: ', 'got ')
    return text or type(error).__name__


def _quoted(name: str) -> str:
    return f'`{name}`'


def _bare(array: Arriving) -> str:
    """Returns what to write for an array in an example: its name, if it has one."""
    match = re.fullmatch(r'`([\w\[\], ]+)`', array.label)
    return match[1] if match else 'v'


def _declared(array: Arriving, dtype: str) -> str:
    return f'`{_bare(array)}: {ArrayType(dtype, array.shape[1:])}`'
