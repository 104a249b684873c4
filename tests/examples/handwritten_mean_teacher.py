"""The mean teacher as a careful Chainer user writes it."""
import copy

import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater

from graphdsl.runtime.seeds import random_state


class Dense(chainer.Chain):

    def __init__(self, inputs, width):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(inputs, width, nobias=True)
            self.batchnormalization_1 = L.BatchNormalization(width)

    def forward(self, x):
        return F.relu(self.batchnormalization_1(self.linear_1(x)))


class Student(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.dense_1 = Dense(64, 128)
            self.dense_2 = Dense(128, 128)
            self.linear_1 = L.Linear(128, 10)

    def forward(self, x):
        return self.linear_1(F.dropout(self.dense_2(self.dense_1(x)), 0.5))


class MeanTeacherUpdater(StandardUpdater):
    """Trains for a number of iterations that is known from the start: the consistency grows over 3/10 of them."""

    def __init__(self, unlabelled, labelled, iterations, weight=2.0, alpha=3e-3, decay=0.99, seed=0):
        self.student = Student()
        self.teacher = copy.deepcopy(self.student)
        self.models = {'student': self.student, 'teacher': self.teacher}
        self.noise = random_state(seed, 'noise/n')
        self.iterations = iterations
        self.weight = weight
        self.decay = decay
        super().__init__({'main': unlabelled, 'labelled': labelled},
                         chainer.optimizers.Adam(alpha=alpha).setup(self.student))

    def update_core(self):
        ramp = min(1.0, self.iteration / self.iterations / 0.3)
        u, _ = self.converter(self.get_iterator('main').next(), self.device)
        x, t = self.converter(self.get_iterator('labelled').next(), self.device)
        n = self.noise.normal(0, 0.5, u.shape).astype(u.dtype)

        y = self.student(x)
        label = F.softmax_cross_entropy(y, t)
        guess = self.student(u + n)
        # The teacher learns by following: no gradient, and no running averages of its own.
        with chainer.no_backprop_mode(), chainer.using_config('in_recomputing', True):
            belief = F.softmax(2 * self.teacher(u))
        disagreement = -F.mean(F.sum(belief * F.log_softmax(guess), axis=1))
        consistency = self.weight * ramp * disagreement

        self.student.cleargrads()
        (label + consistency).backward()
        self.get_optimizer('main').update()
        self.follow()
        chainer.report({'label': label, 'consistency': consistency, 'accuracy': F.accuracy(y, t)})

    def follow(self):
        for follower, leader in zip(self.teacher.params(), self.student.params()):
            follower.array[...] = self.decay * follower.array + (1 - self.decay) * leader.array
        for follower, leader in zip(self.teacher.links(), self.student.links()):
            if isinstance(leader, L.BatchNormalization):
                follower.avg_mean[...] = leader.avg_mean
                follower.avg_var[...] = leader.avg_var
                follower.N = leader.N
