"""CycleGAN as a careful Chainer user writes it: translators first, then the judges with their pools."""
import chainer
import chainer.functions as F
import chainer.links as L
import numpy
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state


class Conv(chainer.Chain):

    def __init__(self, inputs, channels):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, ksize=3, pad=1, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(channels)

    def forward(self, x):
        return F.relu(self.batchnormalization_1(self.convolution2d_1(x)))


class Translator(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.conv_1 = Conv(1, 16)
            self.conv_2 = Conv(16, 16)
            self.convolution2d_1 = L.Convolution2D(16, 1, ksize=3, pad=1)

    def forward(self, x):
        return F.sigmoid(self.convolution2d_1(self.conv_2(self.conv_1(x))))


class Down(chainer.Chain):

    def __init__(self, inputs, channels):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(inputs, channels, ksize=4, stride=2, pad=1)

    def forward(self, x):
        return F.leaky_relu(self.convolution2d_1(x))


class Judge(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.down_1 = Down(1, 16)
            self.down_2 = Down(16, 32)
            self.linear_1 = L.Linear(32 * 2 * 2, 1)

    def forward(self, x):
        return self.linear_1(self.down_2(self.down_1(x)))


class ImagePool:
    """Gives back the image that it was asked with, or one of long ago in its place."""

    def __init__(self, size, random):
        self.size = size
        self.random = random
        self.images = []

    def query(self, images):
        answer = []
        for image in images:
            if len(self.images) < self.size:
                self.images.append(image)
            elif self.random.random_sample() < 0.5:
                place = self.random.randint(self.size)
                image, self.images[place] = self.images[place], image
            answer.append(image)
        return numpy.stack(answer)


class CycleGANUpdater(StandardUpdater):
    """Trains for a number of iterations that is known from the start: the learning rates fall to 0 by then."""

    def __init__(self, images, negatives, iterations, weight=10.0, rate=1e-3, size=50, seed=0):
        self.to_x, self.to_y = Translator(), Translator()
        self.judge_x, self.judge_y = Judge(), Judge()
        self.models = {'to_x': chainer.Chain(translator_1=self.to_x), 'to_y': chainer.Chain(translator_1=self.to_y),
                       'judge_x': chainer.Chain(judge_1=self.judge_x), 'judge_y': chainer.Chain(judge_1=self.judge_y)}
        self.translators = chainer.ChainList(self.to_x, self.to_y)
        self.judges = chainer.ChainList(self.judge_x, self.judge_y)
        self.pool_x = ImagePool(size, random_state(seed, 'history/old_x'))
        self.pool_y = ImagePool(size, random_state(seed, 'history/old_y'))
        self.iterations = iterations
        self.weight = weight
        self.rate = rate
        super().__init__({'main': images, 'negatives': negatives}, {
            'translators': chainer.optimizers.Adam(alpha=rate, beta1=0.5).setup(self.translators),
            'judges': chainer.optimizers.Adam(alpha=rate, beta1=0.5).setup(self.judges)})

    def update_core(self):
        for optimizer in self.get_all_optimizers().values():
            optimizer.alpha = self.rate * min(1.0, 2 - 2 * self.iteration / self.iterations)
        x, _ = self.converter(self.get_iterator('main').next(), self.device)
        negative, _ = self.converter(self.get_iterator('negatives').next(), self.device)
        y = 1 - negative
        self.update_translators(x, y)
        self.update_judges(x, y)

    def update_translators(self, x, y):
        fake_y, fake_x = self.to_y(x), self.to_x(y)
        back_x, back_y = self.to_x(fake_y), self.to_y(fake_x)
        fool_x = F.mean((self.judge_x(fake_x) - 1) ** 2)
        fool_y = F.mean((self.judge_y(fake_y) - 1) ** 2)
        cycle_x = F.mean_absolute_error(back_x, x)
        cycle_y = F.mean_absolute_error(back_y, y)
        self.translators.cleargrads()
        (fool_x + fool_y + self.weight * cycle_x + self.weight * cycle_y).backward()
        self.get_optimizer('translators').update()
        chainer.report({'fool_x': fool_x, 'fool_y': fool_y, 'cycle_x': cycle_x, 'cycle_y': cycle_y})

    def update_judges(self, x, y):
        # The translators have moved: their new images. Their running averages stay, as this is not their step.
        with chainer.no_backprop_mode(), chainer.using_config('in_recomputing', True):
            fake_y, fake_x = self.to_y(x), self.to_x(y)
        old_x, old_y = self.pool_x.query(fake_x.array), self.pool_y.query(fake_y.array)
        judged_x = F.mean((self.judge_x(x) - 1) ** 2) + F.mean(self.judge_x(old_x) ** 2)
        judged_y = F.mean((self.judge_y(y) - 1) ** 2) + F.mean(self.judge_y(old_y) ** 2)
        self.judges.cleargrads()        # also of what the translators' losses left in passing
        (judged_x + judged_y).backward()
        self.get_optimizer('judges').update()
        chainer.report({'judged_x': judged_x, 'judged_y': judged_y,
                        'off_x': F.mean_absolute_error(fake_x, 1 - y), 'off_y': F.mean_absolute_error(fake_y, 1 - x)})
