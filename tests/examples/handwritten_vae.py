"""The variational autoencoder as a Chainer user writes it."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater


class Encoder(chainer.Chain):

    def __init__(self, size):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(None, 256)
            self.linear_2 = L.Linear(256, size)
            self.linear_3 = L.Linear(256, size)

    def forward(self, x):
        h = F.relu(self.linear_1(x))
        return self.linear_2(h), self.linear_3(h)


class Decoder(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(None, 256)
            self.linear_2 = L.Linear(256, 64)

    def forward(self, code):
        return F.reshape(self.linear_2(F.relu(self.linear_1(code))), (-1, 1, 8, 8))


class VAEUpdater(StandardUpdater):

    def __init__(self, iterator, size=16):
        self.encoder = Encoder(size)
        self.decoder = Decoder()
        self.models = {'encoder': self.encoder, 'decoder': self.decoder}
        both = chainer.ChainList(self.encoder, self.decoder)
        super().__init__(iterator, chainer.optimizers.Adam(alpha=1e-3).setup(both))

    def update_core(self):
        beta = min(1.0, self.epoch / 10)
        batch = self.get_iterator('main').next()
        x, _ = self.converter(batch, self.device)

        mu, ln_var = self.encoder(x)
        y = self.decoder(F.gaussian(mu, ln_var))
        divergence = F.gaussian_kl_divergence(mu, ln_var) / len(batch)
        reconstruction = F.bernoulli_nll(chainer.Variable(x, requires_grad=False), y) / len(batch)
        kl = beta * divergence

        optimizer = self.get_optimizer('main')
        optimizer.target.cleargrads()
        (reconstruction + kl).backward()
        optimizer.update()
        chainer.report({'reconstruction': reconstruction, 'kl': kl, 'bound': reconstruction + divergence})
