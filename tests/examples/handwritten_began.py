"""The BEGAN as a careful Chainer user writes it: both nets updated at once, then the balance."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state


class Draw(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(size, 128)
            self.linear_2 = L.Linear(128, 64)

    def forward(self, code):
        return F.reshape(F.sigmoid(self.linear_2(F.elu(self.linear_1(code)))), (-1, 1, 8, 8))


class Generator(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.draw_1 = Draw(size)

    def forward(self, z):
        return self.draw_1(z)


class Critic(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, 128)
            self.linear_2 = L.Linear(128, size)
            self.draw_1 = Draw(size)

    def forward(self, x):
        return self.draw_1(self.linear_2(F.elu(self.linear_1(x))))

    def error(self, x):
        return F.mean_absolute_error(x, self(x))


class BEGANUpdater(StandardUpdater):

    def __init__(self, iterator, size=8, gamma=0.9, rate=0.1, seed=0):
        self.size = size
        self.gamma = gamma
        self.rate = rate
        self.k = 0.0
        self.generator = Generator(size)
        self.critic = Critic(size)
        self.models = {'generator': self.generator, 'critic': self.critic}
        self.noise = random_state(seed, 'noise/z')
        super().__init__(iterator, {
            name: chainer.optimizers.Adam(alpha=5e-4, beta1=0.5).setup(model) for name, model in self.models.items()})

    def update_core(self):
        x, _ = self.converter(self.get_iterator('main').next(), self.device)
        x = chainer.Variable(x, requires_grad=False)
        z = self.noise.uniform(-1, 1, (len(x), self.size)).astype(x.dtype)

        fake = self.generator(z)
        fool = self.critic.error(fake)
        self.generator.cleargrads()
        fool.backward()

        real_error = self.critic.error(x)
        fake_error = self.critic.error(chainer.Variable(fake.array, requires_grad=False))
        balance = real_error - self.k * fake_error
        self.critic.cleargrads()        # also of what the generator's loss left in passing
        balance.backward()

        self.get_optimizer('generator').update()
        self.get_optimizer('critic').update()
        surplus = self.gamma * float(real_error.array) - float(fake_error.array)
        self.k = min(1.0, max(0.0, self.k + self.rate * surplus))
        chainer.report({'balance': balance, 'fake_error': fake_error, 'convergence': real_error.array + abs(surplus)})
