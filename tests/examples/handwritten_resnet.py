"""A residual network as a Chainer user writes it."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater


class Conv(chainer.Chain):

    def __init__(self, inputs, channels, stride=1):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, ksize=3, stride=stride, pad=1, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        return self.batchnormalization_1(self.convolution2d_1(x))


class Residual(chainer.Chain):

    def __init__(self, channels):
        super().__init__()
        with self.init_scope():
            self.conv_1 = Conv(channels, channels)
            self.conv_2 = Conv(channels, channels)

    def forward(self, x):
        return F.relu(x + self.conv_2(F.relu(self.conv_1(x))))


class Halved(chainer.Chain):

    def __init__(self, inputs, channels):
        super().__init__()
        with self.init_scope():
            self.conv_1 = Conv(inputs, channels, stride=2)
            self.conv_2 = Conv(channels, channels)
            self.convolution2d_1 = L.Convolution2D(inputs, channels, ksize=1, stride=2, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        r = self.conv_2(F.relu(self.conv_1(x)))
        return F.relu(self.batchnormalization_1(self.convolution2d_1(x)) + r)


class Net(chainer.Chain):

    def __init__(self, depth, width):
        super().__init__()
        with self.init_scope():
            self.conv_1 = Conv(1, width)
            for i in range(depth):
                setattr(self, f'residual_{i + 1}', Residual(width))
            self.halved_1 = Halved(width, 2 * width)
            setattr(self, f'residual_{depth + 1}', Residual(2 * width))
            self.linear_1 = L.Linear(2 * width, 10)
        self.depth = depth

    def forward(self, x):
        h = F.relu(self.conv_1(x))
        for i in range(self.depth):
            h = self[f'residual_{i + 1}'](h)
        h = self[f'residual_{self.depth + 1}'](self.halved_1(h))
        return self.linear_1(F.average(h, axis=(2, 3)))


class ResNetUpdater(StandardUpdater):

    def __init__(self, iterator, depth=3, width=16):
        self.net = Net(depth, width)
        self.models = {'net': self.net}
        optimizer = chainer.optimizers.MomentumSGD(lr=0.1).setup(self.net)
        optimizer.add_hook(chainer.optimizer_hooks.WeightDecay(1e-4))
        super().__init__(iterator, optimizer)

    def update_core(self):
        optimizer = self.get_optimizer('main')
        optimizer.lr = 0.1 * 0.5 ** (self.epoch // 4)
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        y = self.net(x)
        kl = F.softmax_cross_entropy(y, t)
        self.net.cleargrads()
        kl.backward()
        optimizer.update()
        chainer.report({'kl': kl, 'accuracy': F.accuracy(y, t)})
