"""The Wasserstein GAN with gradient penalty as a careful Chainer user writes it."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state


class Generator(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(size, 128)
            self.linear_2 = L.Linear(128, 128)
            self.linear_3 = L.Linear(128, 64)

    def forward(self, z):
        h = F.relu(self.linear_2(F.relu(self.linear_1(z))))
        return F.reshape(F.sigmoid(self.linear_3(h)), (-1, 1, 8, 8))


class Critic(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, 128)
            self.linear_2 = L.Linear(128, 128)
            self.linear_3 = L.Linear(128, 1, nobias=True)

    def forward(self, x):
        return self.linear_3(F.leaky_relu(self.linear_2(F.leaky_relu(self.linear_1(x)))))


def slope_penalty(critic, x, fake, eps):
    """Ten times the mean square of how far the slope of the critic is from 1, at points between two batches."""
    between = chainer.Variable(eps * x + (1 - eps) * fake)
    slopes, = chainer.grad([F.sum(critic(between))], [between], enable_double_backprop=True)
    return 10 * F.mean((F.sqrt(F.sum(slopes ** 2, axis=(1, 2, 3))) - 1) ** 2)


class WGANUpdater(StandardUpdater):

    def __init__(self, iterator, size=16, n_critic=5, seed=0):
        self.size = size
        self.n_critic = n_critic
        self.generator = Generator(size)
        self.critic = Critic()
        self.models = {'generator': self.generator, 'critic': self.critic}
        self.noise_z = random_state(seed, 'noise/z')
        self.noise_eps = random_state(seed, 'noise/eps')
        super().__init__(iterator, {
            name: chainer.optimizers.Adam(alpha=5e-4, beta1=0.0, beta2=0.9).setup(model)
            for name, model in self.models.items()})

    def draw_z(self, dtype):
        rows = self.get_iterator('main').batch_size
        return self.noise_z.normal(0, 1, (rows, self.size)).astype(dtype)

    def update_core(self):
        distances, penalties = [], []
        for _ in range(self.n_critic):
            x, _ = self.converter(self.get_iterator('main').next(), self.device)
            z = self.draw_z(x.dtype)
            eps = self.noise_eps.uniform(0, 1, (len(x), 1, 1, 1)).astype(x.dtype)
            with chainer.no_backprop_mode():
                fake = self.generator(z).array
            distances.append(F.mean(self.critic(x)) - F.mean(self.critic(fake)))
            penalties.append(slope_penalty(self.critic, x, fake, eps))
            self.critic.cleargrads()
            (penalties[-1] - distances[-1]).backward()
            self.get_optimizer('critic').update()

        fool = -F.mean(self.critic(self.generator(self.draw_z(x.dtype))))
        self.generator.cleargrads()
        fool.backward()
        self.get_optimizer('generator').update()
        chainer.report({'distance': sum(d.array for d in distances) / self.n_critic,
                        'penalty': sum(p.array for p in penalties) / self.n_critic, 'fool': fool})
