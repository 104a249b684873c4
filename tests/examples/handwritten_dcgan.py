"""The DCGAN as a careful Chainer user writes it: two steps on the same noise, the critic first."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state


class Up(chainer.Chain):

    def __init__(self, inputs, channels):
        super().__init__()
        with self.init_scope():
            self.deconvolution2d_1 = L.Deconvolution2D(inputs, channels, ksize=4, stride=2, pad=1, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        return F.relu(self.batchnormalization_1(self.deconvolution2d_1(x)))


class Down(chainer.Chain):

    def __init__(self, inputs, channels):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, ksize=4, stride=2, pad=1, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        return F.leaky_relu(self.batchnormalization_1(self.convolution2d_1(x)))


class Generator(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(size, 64 * 2 * 2, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(64)
            self.up_1 = Up(64, 32)
            self.deconvolution2d_1 = L.Deconvolution2D(32, 1, ksize=4, stride=2, pad=1)

    def forward(self, z):
        h = F.reshape(self.linear_1(z), (-1, 64, 2, 2))
        h = self.up_1(F.relu(self.batchnormalization_1(h)))
        return F.sigmoid(self.deconvolution2d_1(h))


class Critic(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(1, 16, ksize=3, pad=1)
            self.down_1 = Down(16, 32)
            self.down_2 = Down(32, 64)
            self.linear_1 = L.Linear(64 * 2 * 2, 1)

    def forward(self, x):
        h = F.leaky_relu(self.convolution2d_1(x))
        return self.linear_1(self.down_2(self.down_1(h)))


def energy_distance(a, b):
    """Of two samples, without the pairs of an image and itself."""
    def apart(a, b):
        return numpy.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=(2, 3, 4)))

    n = len(a)
    return 2 * apart(a, b).mean() - (apart(a, a).sum() + apart(b, b).sum()) / (n * (n - 1))


class DCGANUpdater(StandardUpdater):

    def __init__(self, iterator, size=32, seed=0):
        self.size = size
        self.generator = Generator(size)
        self.critic = Critic()
        self.models = {'generator': self.generator, 'critic': self.critic}
        self.noise = random_state(seed, 'noise/z')
        super().__init__(iterator, {
            name: chainer.optimizers.Adam(alpha=5e-4, beta1=0.5).setup(model) for name, model in self.models.items()})

    def update_core(self):
        batch = self.get_iterator('main').next()
        x, _ = self.converter(batch, self.device)
        z = self.noise.normal(0, 1, (len(x), self.size)).astype(x.dtype)

        # The running statistics of the generator stay: this is the critic's step.
        with chainer.no_backprop_mode(), chainer.using_config('in_recomputing', True):
            fake = self.generator(z)
        judgement = F.mean(F.softplus(-self.critic(x))) + F.mean(F.softplus(self.critic(fake)))
        self.critic.cleargrads()
        judgement.backward()
        self.get_optimizer('critic').update()

        fake = self.generator(z)
        with chainer.using_config('in_recomputing', True):
            fool = F.mean(F.softplus(-self.critic(fake)))
        self.generator.cleargrads()
        fool.backward()
        self.get_optimizer('generator').update()
        chainer.report({'judgement': judgement, 'fool': fool,
                        'energy': energy_distance(x, fake.array)})
