"""What a run prints."""
import io
from pathlib import Path
from types import SimpleNamespace

from graphdsl.training.names import folded
from graphdsl.training.progress import PrintProgress, final_report


def printed(*logs):
    """Returns the lines that the extension prints while the log grows."""
    out = io.StringIO()
    extension = PrintProgress(out)
    for log in logs:
        extension(SimpleNamespace(get_extension=lambda name: SimpleNamespace(log=log)))
    return out.getvalue().splitlines()


def test_families_are_folded_to_their_mean():
    assert folded({'digit[0]': 1.0, 'digit[1]': 3.0, 'kl': 5.0}) == {'digit[*]': 2.0, 'kl': 5.0}


def test_a_line_per_entry_and_one_header():
    first = {'epoch': 1, 'iteration': 10, 'loss': 0.5}
    second = {'epoch': 2, 'iteration': 20, 'loss': 0.25}
    header, one, two = printed([first], [first, second])
    assert header.split() == ['epoch', 'iteration', 'loss']
    assert one.split() == ['1', '10', '0.5']
    assert two.split() == ['2', '20', '0.25']


def test_a_new_column_gets_a_new_header_and_keeps_it():
    first = {'epoch': 0, 'iteration': 10, 'loss': 0.5}
    second = {'epoch': 1, 'iteration': 20, 'loss': 0.25, 'validation/loss': 0.75}
    lines = printed([first, second, first])
    assert [line.split()[-1] for line in lines] == ['loss', '0.5', 'validation/loss', '0.75', '0.5']


def test_the_closing_lines_have_the_last_evaluation():
    text = final_report([{'validation/kl': 2.0}, {'kl': 1.0, 'validation/kl': 1.5}], Path('result'))
    assert 'validation/kl = 1.5' in text
    assert 'result/' in text
