"""Feature matching as a careful Chainer user writes it: four models, three losses, all updates at the end."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state


class Trunk(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, 128)
            self.linear_2 = L.Linear(128, 64)

    def forward(self, x):
        return F.leaky_relu(self.linear_2(F.leaky_relu(self.linear_1(x))))


class Draw(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(size, 128)
            self.linear_2 = L.Linear(128, 64)

    def forward(self, code):
        return F.reshape(F.sigmoid(self.linear_2(F.relu(self.linear_1(code)))), (-1, 1, 8, 8))


class Picture(chainer.Chain):
    """The decoder and the generator."""

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.draw_1 = Draw(size)

    def forward(self, code):
        return self.draw_1(code)


class Critic(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, 64)
            self.linear_2 = L.Linear(64, 1)

    def forward(self, h):
        return self.linear_2(F.leaky_relu(self.linear_1(h)))


class FeatureMatchingUpdater(StandardUpdater):

    def __init__(self, iterator, size=16, seed=0):
        self.size = size
        self.trunk = Trunk()
        self.decoder = Picture(64)
        self.critic = Critic()
        self.generator = Picture(size)
        self.models = {'trunk': self.trunk, 'decoder': self.decoder, 'critic': self.critic,
                       'generator': self.generator}
        self.noise = random_state(seed, 'noise/z')
        super().__init__(iterator, {
            name: chainer.optimizers.Adam(alpha=1e-3).setup(model) for name, model in self.models.items()})

    def update_core(self):
        x, _ = self.converter(self.get_iterator('main').next(), self.device)
        x = chainer.Variable(x, requires_grad=False)
        z = self.noise.normal(0, 1, (len(x), self.size)).astype(x.dtype)

        # The generator's loss first: what it leaves in the trunk is cleared below.
        fake = self.generator(z)
        matching = F.mean_squared_error(F.mean(self.trunk(fake), axis=0), F.mean(self.trunk(x), axis=0))
        self.generator.cleargrads()
        matching.backward()

        # The critic's takes the images as they are, and its own gradient before the trunk takes a tenth.
        h = self.trunk(x)
        g = self.trunk(fake.array)
        reconstruction = F.mean_squared_error(self.decoder(h), x)
        features = chainer.Variable(h.array), chainer.Variable(g.array)
        judgement = F.mean(F.softplus(-self.critic(features[0]))) + F.mean(F.softplus(self.critic(features[1])))
        self.critic.cleargrads()
        judgement.backward()

        self.trunk.cleargrads()
        self.decoder.cleargrads()
        (reconstruction + 0.1 * (F.sum(h * features[0].grad) + F.sum(g * features[1].grad))).backward()

        for optimizer in self.get_all_optimizers().values():
            optimizer.update()
        chainer.report({'reconstruction': reconstruction, 'judgement': judgement, 'matching': matching})
