"""A Wasserstein GAN with gradient penalty: five updates of the critic for one of the generator."""
from __future__ import annotations

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state

from .dcgan import Up
from .program import EXAMPLES, Program

SIZE = 64  # of the noise
REPEAT = 5
GRAPH = """
input x: float32[3, 16, 16]
noise z: float32[64] ~ normal(0, 1)
noise eps: float32[1, 1, 1] ~ uniform(0, 1)

block up(channels) = Deconvolution2D(channels, ksize=4, stride=2, pad=1, nobias=true)
    -> BatchNormalization(channels) -> relu

model generator = Linear(32 * 4 * 4, nobias=true) -> reshape((-1, 32, 4, 4)) -> BatchNormalization(32) -> relu
    -> up(16) -> up(8) -> Convolution2D(3, ksize=3, pad=1) -> sigmoid
model critic = Convolution2D(8, ksize=3, pad=1) -> leaky_relu
    -> Convolution2D(16, ksize=4, stride=2, pad=1) -> leaky_relu
    -> Convolution2D(32, ksize=4, stride=2, pad=1) -> leaky_relu -> Linear(1, nobias=true)

z -> generator -> fake
x -> critic -> p
fake -> critic -> q
between = eps * x + (1 - eps) * fake
between -> critic -> r
slope = sqrt(sum(grad(r, between) ** 2, axis=(1, 2, 3)))
loss distance = mean(p) - mean(q)
loss penalty = 10 * mean((slope - 1) ** 2)
loss fool = -mean(q)

optimizer critic = Adam(alpha=1e-4, beta1=0.0, beta2=0.9) owns critic minimizes -1 * distance, penalty
optimizer generator = Adam(alpha=1e-4, beta1=0.0, beta2=0.9) owns generator minimizes fool
step critic repeat 5 { update critic }
step generator { update generator }
"""


class Generator(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(SIZE, 32 * 4 * 4, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(32)
            self.up_1, self.up_2 = Up(32, 16), Up(16, 8)
            self.convolution2d_1 = L.Convolution2D(8, 3, 3, pad=1)

    def forward(self, z):
        h = F.reshape(self.linear_1(z), (-1, 32, 4, 4))
        h = F.relu(self.batchnormalization_1(h))
        return F.sigmoid(self.convolution2d_1(self.up_2(self.up_1(h))))


class Critic(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(3, 8, 3, pad=1)
            self.convolution2d_2 = L.Convolution2D(8, 16, 4, 2, 1)
            self.convolution2d_3 = L.Convolution2D(16, 32, 4, 2, 1)
            self.linear_1 = L.Linear(32 * 4 * 4, 1, nobias=True)

    def forward(self, x):
        for convolution in (self.convolution2d_1, self.convolution2d_2, self.convolution2d_3):
            x = F.leaky_relu(convolution(x))
        return self.linear_1(x)


class WGANUpdater(StandardUpdater):

    def __init__(self, iterators, models):
        self.generator, self.critic = models['generator'], models['critic']
        self.noise_z = random_state(0, 'noise/z')
        self.noise_eps = random_state(0, 'noise/eps')
        super().__init__(iterators, {name: chainer.optimizers.Adam(alpha=1e-4, beta1=0.0, beta2=0.9).setup(model)
                                     for name, model in models.items()})

    def draw_z(self, rows, dtype):
        return self.noise_z.normal(0, 1, (rows, SIZE)).astype(dtype)

    def draw_eps(self, rows, dtype):
        return self.noise_eps.uniform(0, 1, (rows, 1, 1, 1)).astype(dtype)


class Usual(WGANUpdater):
    """As in public Chainer code: all inputs are variables, every step keeps the history of both nets, and `backward`
    computes gradients of whatever it passes. The results are the graph's, but for running averages of the generator,
    which the critic's steps move, too.
    """

    def update_core(self):
        for _ in range(REPEAT):
            x_real = chainer.Variable(self.converter(self.get_iterator('main').next(), self.device))
            y_real = self.critic(x_real)
            x_fake = self.generator(chainer.Variable(self.draw_z(len(x_real), x_real.dtype)))
            y_fake = self.critic(x_fake)
            eps = self.draw_eps(len(x_real), x_real.dtype)
            x_mid = eps * x_real + (1.0 - eps) * x_fake
            y_mid = self.critic(x_mid)
            grad, = chainer.grad([y_mid], [x_mid], enable_double_backprop=True)
            grad = F.sqrt(F.batch_l2_norm_squared(grad))
            penalty = 10 * F.mean_squared_error(grad, self.critic.xp.ones_like(grad.array))
            distance = F.mean(y_real) - F.mean(y_fake)
            loss = -distance + penalty
            self.critic.cleargrads()
            loss.backward()
            self.get_optimizer('critic').update()
            chainer.report({'distance': distance, 'penalty': penalty})
        fool = -F.mean(self.critic(self.generator(chainer.Variable(self.draw_z(len(x_real), x_real.dtype)))))
        self.generator.cleargrads()
        fool.backward()
        self.get_optimizer('generator').update()
        chainer.report({'fool': fool})


class Best(WGANUpdater):
    """No history of the generator in the critic's steps, no gradients of the critic's weights in the generator's."""

    def __init__(self, iterators, models):
        super().__init__(iterators, models)
        self.generator_parameters = list(self.generator.params())
        self.critic_parameters = list(self.critic.params())

    def update_core(self):
        distances, penalties = 0, 0
        self.generator.cleargrads()
        for _ in range(REPEAT):
            x = self.converter(self.get_iterator('main').next(), self.device)
            distance, penalty = self.update_critic(x)
            distances, penalties = distances + distance, penalties + penalty
        z = chainer.Variable(self.draw_z(len(x), x.dtype), requires_grad=False)
        fool = -F.mean(self.critic(self.generator(z)))
        chainer.grad([fool], self.generator_parameters, set_grad=True)
        self.get_optimizer('generator').update()
        chainer.report({'distance': distances / REPEAT, 'penalty': penalties / REPEAT, 'fool': fool})

    def update_critic(self, x):
        self.critic.cleargrads()
        # The running averages of the generator stay: this is the critic's step.
        with chainer.no_backprop_mode(), chainer.using_config('in_recomputing', True):
            fake = self.generator(self.draw_z(len(x), x.dtype)).array
        eps = self.draw_eps(len(x), x.dtype)
        between = chainer.Variable(eps * x + (1 - eps) * fake)
        p = self.critic(chainer.Variable(x, requires_grad=False))
        q = self.critic(chainer.Variable(fake, requires_grad=False))
        slope, = chainer.grad([self.critic(between)], [between], enable_double_backprop=True)
        slope = F.sqrt(F.sum(slope ** 2, axis=(1, 2, 3)))
        distance = F.mean(p) - F.mean(q)
        penalty = 10 * F.mean((slope - 1) ** 2)
        minus = chainer.Variable(numpy.full_like(distance.array, -1), requires_grad=False)
        chainer.grad([distance, penalty], self.critic_parameters, grad_outputs=[minus, None], set_grad=True)
        self.get_optimizer('critic').update()
        return distance.array, penalty.array


def models() -> dict[str, chainer.Chain]:
    return {'generator': Generator(), 'critic': Critic()}


def datasets(dtype: str) -> dict[str, numpy.ndarray]:
    return {'main': numpy.random.RandomState(0).rand(EXAMPLES, 3, 16, 16).astype(dtype)}


PROGRAMS = (Program('wgan_gp', GRAPH, models, Usual, Best, datasets),)
