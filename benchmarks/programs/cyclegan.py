"""CycleGAN in small, in the two orders in which it can be trained.

In `cyclegan`, as in ``examples/cyclegan.graph``, the judges learn from images of the translators that have just been
updated. In `cyclegan_at_once`, as in the public Chainer code, they learn from those that the translators' own losses
were computed of; this is a graph without steps.
"""
from __future__ import annotations

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state

from .program import EXAMPLES, Program

WEIGHT = 10.0  # of the cycle losses
POOL = 50
AT_ONCE = """
data images {
    train = digits(split="train")
}
data others {
    train = digits(split="train")
}
input x: float32[1, 8, 8] from images
input y: float32[1, 8, 8] from others

block conv(channels) = Convolution2D(channels, ksize=3, pad=1, nobias=true)
    -> BatchNormalization(channels) -> relu
block down(channels) = Convolution2D(channels, ksize=4, stride=2, pad=1) -> leaky_relu

model to_x = conv(16) -> conv(16) -> Convolution2D(1, ksize=3, pad=1) -> sigmoid
model to_y = conv(16) -> conv(16) -> Convolution2D(1, ksize=3, pad=1) -> sigmoid
model judge_x = down(16) -> down(32) -> Linear(1)
model judge_y = down(16) -> down(32) -> Linear(1)

x -> to_y -> fake_y
y -> to_x -> fake_x
fake_y -> to_x -> back_x
fake_x -> to_y -> back_y
loss fool_x = mean((judge_x(fake_x) - 1) ** 2)
loss fool_y = mean((judge_y(fake_y) - 1) ** 2)
loss cycle_x = mean_absolute_error(back_x, x)
loss cycle_y = mean_absolute_error(back_y, y)
old_x = history(fake_x, size=50)
old_y = history(fake_y, size=50)
loss judged_x = mean((judge_x(x) - 1) ** 2) + mean(judge_x(old_x) ** 2)
loss judged_y = mean((judge_y(y) - 1) ** 2) + mean(judge_y(old_y) ** 2)

optimizer translators = Adam(alpha=1e-3, beta1=0.5) owns to_x, to_y {
    minimizes fool_x, fool_y, 10.0 * cycle_x, 10.0 * cycle_y
}
optimizer judges = Adam(alpha=1e-3, beta1=0.5) owns judge_x, judge_y minimizes judged_x, judged_y
"""
STEPS = AT_ONCE + """
step translate { update translators }
step judge on the same batch { update judges }
"""


class Conv(chainer.Chain):

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, 3, pad=1, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        return F.relu(self.batchnormalization_1(self.convolution2d_1(x)))


class Translator(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv_1, self.conv_2 = Conv(1, 16), Conv(16, 16)
            self.convolution2d_1 = L.Convolution2D(16, 1, 3, pad=1)

    def forward(self, x):
        return F.sigmoid(self.convolution2d_1(self.conv_2(self.conv_1(x))))


class Down(chainer.Chain):

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, 4, 2, 1)

    def forward(self, x):
        return F.leaky_relu(self.convolution2d_1(x))


class Judge(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.down_1, self.down_2 = Down(1, 16), Down(16, 32)
            self.linear_1 = L.Linear(32 * 2 * 2, 1)

    def forward(self, x):
        return self.linear_1(self.down_2(self.down_1(x)))


class ImagePool:
    """Gives back the images that it was asked with, or some of long ago in their place."""

    def __init__(self, size: int, random: numpy.random.RandomState):
        self.size, self.random = size, random
        self.images: list[numpy.ndarray] = []

    def query(self, images):
        answer = images.copy()
        for i, image in enumerate(images):
            if len(self.images) < self.size:
                self.images.append(image.copy())
            elif self.random.random_sample() < 0.5:
                stored = self.images[self.random.randint(self.size)]
                answer[i] = stored
                stored[...] = image
        return answer


class CycleGANUpdater(StandardUpdater):

    def __init__(self, iterators, models):
        self.to_x, self.to_y = models['to_x'], models['to_y']
        self.judge_x, self.judge_y = models['judge_x'], models['judge_y']
        self.translators = chainer.ChainList(self.to_x, self.to_y)
        self.judges = chainer.ChainList(self.judge_x, self.judge_y)
        self.pool_x = ImagePool(POOL, random_state(0, 'history/old_x'))
        self.pool_y = ImagePool(POOL, random_state(0, 'history/old_y'))
        super().__init__({'main': iterators['images'], 'others': iterators['others']}, {
            'translators': chainer.optimizers.Adam(alpha=1e-3, beta1=0.5).setup(self.translators),
            'judges': chainer.optimizers.Adam(alpha=1e-3, beta1=0.5).setup(self.judges)})

    def draw(self):
        return [chainer.Variable(self.converter(self.get_iterator(stream).next(), self.device), requires_grad=False)
                for stream in ('main', 'others')]

    def generator_losses(self, x, y):
        fake_y, fake_x = self.to_y(x), self.to_x(y)
        back_x, back_y = self.to_x(fake_y), self.to_y(fake_x)
        fool_x = F.mean((self.judge_x(fake_x) - 1) ** 2)
        fool_y = F.mean((self.judge_y(fake_y) - 1) ** 2)
        cycle_x, cycle_y = F.mean_absolute_error(back_x, x), F.mean_absolute_error(back_y, y)
        chainer.report({'fool_x': fool_x, 'fool_y': fool_y, 'cycle_x': cycle_x, 'cycle_y': cycle_y})
        return (fool_x, fool_y, cycle_x, cycle_y), fake_x, fake_y

    def judge_losses(self, x, y, old_x, old_y):
        judged_x = F.mean((self.judge_x(x) - 1) ** 2) + F.mean(self.judge_x(old_x) ** 2)
        judged_y = F.mean((self.judge_y(y) - 1) ** 2) + F.mean(self.judge_y(old_y) ** 2)
        chainer.report({'judged_x': judged_x, 'judged_y': judged_y})
        return judged_x, judged_y


class UsualAtOnce(CycleGANUpdater):
    """As in public Chainer code: images are variables, and `backward` computes gradients of whatever it passes."""

    def draw(self):
        return [chainer.Variable(self.converter(self.get_iterator(stream).next(), self.device))
                for stream in ('main', 'others')]

    def update_core(self):
        x, y = self.draw()
        fake_x, fake_y = self.update_translators(x, y)
        self.update_judges(x, y, fake_x, fake_y)

    def update_translators(self, x, y):
        (fool_x, fool_y, cycle_x, cycle_y), fake_x, fake_y = self.generator_losses(x, y)
        loss = fool_x + fool_y + WEIGHT * cycle_x + WEIGHT * cycle_y
        self.translators.cleargrads()
        loss.backward()
        self.get_optimizer('translators').update()
        return fake_x, fake_y

    def update_judges(self, x, y, fake_x, fake_y):
        old_x = chainer.Variable(self.pool_x.query(fake_x.array))
        old_y = chainer.Variable(self.pool_y.query(fake_y.array))
        losses = self.judge_losses(x, y, old_x, old_y)
        self.judges.cleargrads()
        for loss in losses:
            loss.backward()
        self.get_optimizer('judges').update()


class UsualSteps(UsualAtOnce):
    """Likewise, with images drawn again for the judges. The results are the graph's, but for running averages of the
    translators, which the judges' step moves, too.
    """

    def update_judges(self, x, y, fake_x, fake_y):
        super().update_judges(x, y, self.to_x(y), self.to_y(x))


class Best(CycleGANUpdater):
    """Each optimizer's losses are differentiated in one pass with respect to its own weights, and nothing else is."""

    def __init__(self, iterators, models):
        super().__init__(iterators, models)
        self.translator_parameters = list(self.translators.params())
        self.judge_parameters = list(self.judges.params())

    def differentiate_translators(self, losses):
        fool_x, fool_y, cycle_x, cycle_y = losses
        weight_x, weight_y = (chainer.Variable(numpy.full_like(loss.array, WEIGHT), requires_grad=False)
                              for loss in (cycle_x, cycle_y))
        chainer.grad([fool_x, fool_y, cycle_x, cycle_y], self.translator_parameters,
                     grad_outputs=[None, None, weight_x, weight_y], set_grad=True)

    def pooled(self, fake_x, fake_y):
        return [chainer.Variable(pool.query(fake.array), requires_grad=False)
                for pool, fake in [(self.pool_x, fake_x), (self.pool_y, fake_y)]]


class BestAtOnce(Best):

    def update_core(self):
        x, y = self.draw()
        self.translators.cleargrads()
        self.judges.cleargrads()
        losses, fake_x, fake_y = self.generator_losses(x, y)
        judged = self.judge_losses(x, y, *self.pooled(fake_x, fake_y))
        chainer.grad(judged, self.judge_parameters, set_grad=True)
        self.differentiate_translators(losses)
        self.get_optimizer('translators').update()
        self.get_optimizer('judges').update()


class BestSteps(Best):
    """The translators have moved when the judges' step draws their images: nothing can be used again."""

    def update_core(self):
        x, y = self.draw()
        self.translators.cleargrads()
        self.judges.cleargrads()
        self.update_translators(x, y)
        # The running averages of the translators stay: this is the judges' step.
        with chainer.no_backprop_mode(), chainer.using_config('in_recomputing', True):
            fake_y, fake_x = self.to_y(x), self.to_x(y)
        chainer.grad(self.judge_losses(x, y, *self.pooled(fake_x, fake_y)), self.judge_parameters, set_grad=True)
        self.get_optimizer('judges').update()

    def update_translators(self, x, y):
        losses, _, _ = self.generator_losses(x, y)
        self.differentiate_translators(losses)
        self.get_optimizer('translators').update()


def models() -> dict[str, chainer.Chain]:
    return {'to_x': Translator(), 'to_y': Translator(), 'judge_x': Judge(), 'judge_y': Judge()}


def datasets(dtype: str) -> dict[str, numpy.ndarray]:
    random = numpy.random.RandomState(0)
    return {stream: random.rand(EXAMPLES, 1, 8, 8).astype(dtype) for stream in ('images', 'others')}


PROGRAMS = (Program('cyclegan', STEPS, models, UsualSteps, BestSteps, datasets),
            Program('cyclegan_at_once', AT_ONCE, models, UsualAtOnce, BestAtOnce, datasets))
