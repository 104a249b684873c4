"""Distillation as a careful Chainer user writes it: a teacher that nothing moves and that keeps no history."""
import chainer
import chainer.functions as F
import chainer.links as L
from chainer.training import StandardUpdater


class Teacher(chainer.Chain):

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.convolution2d_1 = L.Convolution2D(1, 16, ksize=3, pad=1)
            self.convolution2d_2 = L.Convolution2D(16, 32, ksize=3, pad=1)
            self.linear_1 = L.Linear(32 * 2 * 2, 64)
            self.linear_2 = L.Linear(64, 10)

    def forward(self, x):
        h = F.max_pooling_2d(F.relu(self.convolution2d_1(x)), 2)
        h = F.max_pooling_2d(F.relu(self.convolution2d_2(h)), 2)
        return self.linear_2(F.dropout(F.relu(self.linear_1(h)), 0.5))


class Student(chainer.Chain):

    def __init__(self, units):
        super().__init__()
        with self.init_scope():
            self.linear_1 = L.Linear(64, units)
            self.linear_2 = L.Linear(units, 10)

    def forward(self, x):
        return self.linear_2(F.relu(self.linear_1(x)))


class DistillUpdater(StandardUpdater):

    def __init__(self, iterator, units=32, temperature=4.0, share=0.5):
        self.teacher = Teacher()
        self.student = Student(units)
        self.models = {'teacher': self.teacher, 'student': self.student}
        self.temperature = temperature
        self.share = share
        super().__init__(iterator, chainer.optimizers.Adam(alpha=5e-3).setup(self.student))

    def update_core(self):
        x, t = self.converter(self.get_iterator('main').next(), self.device)
        with chainer.using_config('train', False), chainer.no_backprop_mode():
            advice = self.teacher(x)
            p = F.softmax(advice / self.temperature)
        y = self.student(x)
        cross_entropy = -F.sum(p * F.log_softmax(y / self.temperature)) / len(x)
        soft = self.share * self.temperature ** 2 * cross_entropy
        hard = (1 - self.share) * F.softmax_cross_entropy(y, t)
        self.student.cleargrads()
        (soft + hard).backward()
        self.get_optimizer('main').update()
        chainer.report({'soft': soft, 'hard': hard, 'accuracy': F.accuracy(y, t),
                        'teacher_accuracy': F.accuracy(advice, t)})
