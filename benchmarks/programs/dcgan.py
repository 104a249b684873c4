"""A DCGAN of the shape of Chainer's example, for images of 16 x 16 and with an eighth of its channels."""
from __future__ import annotations

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state

from .program import EXAMPLES, Program

SIZE = 100  # of the noise
GRAPH = """
input x: float32[3, 16, 16]
noise z: float32[100] ~ normal(0, 1)

block up(channels) = Deconvolution2D(channels, ksize=4, stride=2, pad=1, nobias=true)
    -> BatchNormalization(channels) -> relu
block down(channels) = Convolution2D(channels, ksize=4, stride=2, pad=1, nobias=true)
    -> BatchNormalization(channels) -> leaky_relu

model generator = Linear(64 * 4 * 4, nobias=true) -> reshape((-1, 64, 4, 4)) -> BatchNormalization(64) -> relu
    -> up(32) -> up(16) -> Convolution2D(3, ksize=3, pad=1) -> sigmoid
model critic = Convolution2D(16, ksize=3, pad=1) -> leaky_relu -> down(32) -> down(64) -> Linear(1)

z -> generator -> fake
x -> critic -> p
fake -> critic -> q
loss judgement = mean(softplus(-p)) + mean(softplus(q))
loss fool = mean(softplus(-q))

optimizer critic = Adam(alpha=2e-4, beta1=0.5) owns critic minimizes judgement
optimizer generator = Adam(alpha=2e-4, beta1=0.5) owns generator minimizes fool
step critic { update critic }
step generator on the same batch { update generator }
"""


class Up(chainer.Chain):

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        with self.init_scope():
            self.deconvolution2d_1 = L.Deconvolution2D(inputs, channels, 4, 2, 1, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        return F.relu(self.batchnormalization_1(self.deconvolution2d_1(x)))


class Down(chainer.Chain):

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, 4, 2, 1, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        return F.leaky_relu(self.batchnormalization_1(self.convolution2d_1(x)))


class Generator(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(SIZE, 64 * 4 * 4, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(64)
            self.up_1, self.up_2 = Up(64, 32), Up(32, 16)
            self.convolution2d_1 = L.Convolution2D(16, 3, 3, pad=1)

    def forward(self, z):
        h = F.reshape(self.linear_1(z), (-1, 64, 4, 4))
        h = F.relu(self.batchnormalization_1(h))
        return F.sigmoid(self.convolution2d_1(self.up_2(self.up_1(h))))


class Critic(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(3, 16, 3, pad=1)
            self.down_1, self.down_2 = Down(16, 32), Down(32, 64)
            self.linear_1 = L.Linear(64 * 4 * 4, 1)

    def forward(self, x):
        h = F.leaky_relu(self.convolution2d_1(x))
        return self.linear_1(self.down_2(self.down_1(h)))


class DCGANUpdater(StandardUpdater):

    def __init__(self, iterators, models):
        self.generator, self.critic = models['generator'], models['critic']
        self.noise = random_state(0, 'noise/z')
        super().__init__(iterators, {name: chainer.optimizers.Adam(alpha=2e-4, beta1=0.5).setup(model)
                                     for name, model in models.items()})

    def draw_z(self, rows, dtype):
        return self.noise.normal(0, 1, (rows, SIZE)).astype(dtype)


class Usual(DCGANUpdater):
    """The order and the calls of ``examples/dcgan/updater.py`` of Chainer.

    It computes something else than the graph: the generator's gradient goes through a critic that has been updated
    since its forward pass, with its old activations and its new weights. It needs one forward pass of the critic
    less for that.
    """

    def loss_critic(self, critic, y_fake, y_real):
        batch_size = len(y_fake)
        loss = F.sum(F.softplus(-y_real)) / batch_size + F.sum(F.softplus(y_fake)) / batch_size
        chainer.report({'judgement': loss})
        return loss

    def loss_generator(self, generator, y_fake):
        loss = F.sum(F.softplus(-y_fake)) / len(y_fake)
        chainer.report({'fool': loss})
        return loss

    def update_core(self):
        x_real = chainer.Variable(self.converter(self.get_iterator('main').next(), self.device))
        y_real = self.critic(x_real)
        x_fake = self.generator(chainer.Variable(self.draw_z(len(x_real), x_real.dtype)))
        y_fake = self.critic(x_fake)
        self.get_optimizer('critic').update(self.loss_critic, self.critic, y_fake, y_real)
        self.get_optimizer('generator').update(self.loss_generator, self.generator, y_fake)


class Best(DCGANUpdater):
    """Images are drawn once, with the history that only the second step needs; each step differentiates its own net.

    The critic does not move the generator, so its images are the same in both steps. They pass through the generator
    once, which moves its running averages once, as the graph's own step of the generator does.
    """

    def __init__(self, iterators, models):
        super().__init__(iterators, models)
        self.generator_parameters = list(self.generator.params())
        self.critic_parameters = list(self.critic.params())

    def update_core(self):
        x = self.converter(self.get_iterator('main').next(), self.device)
        self.critic.cleargrads()
        self.generator.cleargrads()
        fake = self.generator(chainer.Variable(self.draw_z(len(x), x.dtype), requires_grad=False))
        judgement = self.update_critic(x, fake.array)
        # The running averages of the critic stay: this is the generator's step.
        with chainer.using_config('in_recomputing', True):
            q = self.critic(fake)
        fool = F.mean(F.softplus(-q))
        chainer.grad([fool], self.generator_parameters, set_grad=True)
        self.get_optimizer('generator').update()
        chainer.report({'judgement': judgement, 'fool': fool})

    def update_critic(self, x, fake):
        p = self.critic(chainer.Variable(x, requires_grad=False))
        q = self.critic(chainer.Variable(fake, requires_grad=False))
        judgement = F.mean(F.softplus(-p)) + F.mean(F.softplus(q))
        chainer.grad([judgement], self.critic_parameters, set_grad=True)
        self.get_optimizer('critic').update()
        return judgement.array


def models() -> dict[str, chainer.Chain]:
    return {'generator': Generator(), 'critic': Critic()}


def datasets(dtype: str) -> dict[str, numpy.ndarray]:
    return {'main': numpy.random.RandomState(0).rand(EXAMPLES, 3, 16, 16).astype(dtype)}


PROGRAMS = (Program('dcgan', GRAPH, models, Usual, Best, datasets, same=False),)
