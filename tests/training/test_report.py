"""The report of a run, as a parser and a browser of others see it."""
import base64
import html.parser
import json
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

import graphdsl
from graphdsl.cli import main
from graphdsl.training.record import Record

GRAPH = """# <script>document.title = 'broken into'</script> & "quotes"
param rate = 0.01
data flowers {
    train = iris(split="train")
    test = iris(split="test")
}
input x: float32[4], t: int32 from flowers
for i in 0..2 {
    model head[i] = Linear(3)
    x -> head[i] -> y[i]
    loss kl[i] = softmax_cross_entropy(y[i], t)
    metric accuracy[i] = accuracy(y[i], t)
    optimizer Adam(alpha=rate) owns head[i]
}
train { epochs 3 }
"""
BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
OPTIONS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
           '--disable-background-networking', '--disable-component-update', '--disable-sync', '--enable-logging=stderr']


class Page(html.parser.HTMLParser):
    """What a page consists of."""

    VOID = {'meta', 'link', 'img', 'br', 'hr'}

    def __init__(self, path):
        super().__init__()
        self.tags, self.images, self.rows, self.text, self.references = [], [], [], '', []
        self._open = []
        self.feed(path.read_text(encoding='utf-8'))
        assert not self._open, 'a tag is left open'

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.references += [attributes[name] for name in ('src', 'href') if name in attributes]
        if tag == 'img':
            self.images.append(attributes['alt'])
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self._open and self._open[-1] in ('td', 'th'):
            self.rows[-1][-1] += data


def run(folder, *options, text=GRAPH, status=0):
    path = folder / 'nets.graph'
    path.write_text(text)
    result = CliRunner().invoke(main, ['compile', '--run', str(path), '--out', str(folder / 'o'), *map(str, options)])
    assert result.exit_code == status, result.output
    return folder / 'o' / 'report.html'


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    return run(tmp_path_factory.mktemp('report'), '--seed', 7, '--set', 'rate=0.02')


def test_what_stands_in_it(report):
    page = Page(report)
    rows = {row[0]: row[1:] for row in page.rows}
    log = json.loads((report.parent / 'log').read_text())
    means = [sum(entry[f'validation/accuracy[{i}]'] for i in range(2)) / 2 for entry in log]
    assert float(rows['validation/accuracy[*]'][0]) == pytest.approx(means[-1], rel=1e-4)
    assert float(rows['validation/accuracy[*]'][1]) == pytest.approx(min(means), rel=1e-4)
    assert float(rows['validation/accuracy[*]'][3]) == pytest.approx(max(means), rel=1e-4)
    assert float(rows['kl[1]'][0]) == pytest.approx(log[-1]['kl[1]'], rel=1e-4)
    assert rows['head[*] (2)'][0] == 'Adam' and 'alpha=0.02' in rows['head[*] (2)'][-1]
    assert ['head[*] (2)', '15', 'head[*]'] in page.rows
    record = Record.of_json((report.parent / 'run.json').read_text())
    for text in ('Finished after 3 epochs.', record.started, *record.versions.values(), 'param rate', GRAPH):
        assert text in page.text, text
    assert re.search(r'seed\s*7\s', page.text) and re.search(r'param rate\s*0\.02\s', page.text)
    assert {'Losses over the iterations', 'Metrics over the iterations'} <= set(page.images)


def test_it_stands_alone_and_runs_nothing(report):
    """Text of the file is text of the page; no script, nothing from elsewhere."""
    page = Page(report)
    assert not {'script', 'iframe', 'object', 'form'} & set(page.tags)
    assert page.references and all(reference.startswith('data:') for reference in page.references)
    assert 'url(' not in report.read_text() and "default-src 'none'" in report.read_text()


@pytest.mark.parametrize('train, text', [
    ('stop when iteration >= 2', 'Stopped early: the condition of `stop when` came true.'),
    ('stop when accuracy[0] stalls for 2 evaluations',
     'Stopped early: accuracy[0] had not improved for 2 evaluations.'),
])
def test_an_early_end(train, text, tmp_path):
    loose = GRAPH.replace('rate = 0.01', 'rate = 0.0').replace('epochs 3', f'epochs 30\n    {train}\n')
    assert text in Page(run(tmp_path, text=loose)).text


def test_a_run_that_fails(tmp_path):
    """The diagnostic stands in the report as on the terminal."""
    text = GRAPH.replace('softmax_cross_entropy(y[i], t)', 'mean(log(y[i] - 1e9))')
    page = Page(run(tmp_path, text=text, status=1))
    assert 'Failed in iteration 1.' in page.text and 'error[G7' in page.text and 'log(y[i] - 1e9)' in page.text


@pytest.mark.parametrize('error, kind', [(KeyboardInterrupt(), 'Interrupted in iteration 3.'),
                                         (ValueError('a <b>'), 'Failed in iteration 3.')])
def test_what_ends_a_run_from_outside(error, kind, tmp_path):
    """In Python too, where the report is asked for."""
    trainer = graphdsl.compile(GRAPH).trainer(tmp_path, progress=False, report=True)

    def end(trainer):
        raise error

    trainer.extend(end, name='end', trigger=lambda trainer: trainer.updater.iteration == 2)
    with pytest.raises(type(error)):
        trainer.run(show_loop_exception_msg=False)
    page = Page(tmp_path / 'report.html')
    assert kind in page.text and (str(error) in page.text)


def test_before_the_end(tmp_path, monkeypatch):
    """It is written now and then, so that a run that is killed leaves one."""
    now = [0.0]
    monkeypatch.setattr('graphdsl.training.report.time', SimpleNamespace(monotonic=lambda: now[0]))
    trainer = graphdsl.compile(GRAPH).trainer(tmp_path, progress=False, report=True)
    texts = []

    def look(trainer):
        now[0] += 20
        texts.append((tmp_path / 'report.html').exists() and Page(tmp_path / 'report.html').text)

    trainer.extend(look, priority=-1000, trigger=(1, 'iteration'))
    trainer.run()
    written = [bool(text) for text in texts]
    assert written == [False] * 3 + [True] * (len(texts) - 3)
    assert 'The run had not ended when this was written.' in texts[3]
    assert 'Finished' in Page(tmp_path / 'report.html').text


def test_a_run_that_logs_nothing(tmp_path):
    """It fails before the first entry: there are no curves, and there is a report."""
    trainer = graphdsl.compile(GRAPH).trainer(tmp_path, progress=False, report=True)
    trainer.updater.update_core = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.run(show_loop_exception_msg=False)
    page = Page(tmp_path / 'report.html')
    assert 'ZeroDivisionError' in page.text and not [image for image in page.images if 'iterations' in image]


def test_the_picture_of_the_graph(tmp_path):
    """It is an image, which runs nothing; it is drawn once, and may be missing."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>'
    drawn = []

    def draw():
        drawn.append(svg)
        return SimpleNamespace(svg=svg)

    graph = graphdsl.compile(GRAPH)
    graph.draw = draw
    trainer = graph.trainer(tmp_path, progress=False, report=True)
    trainer.run()
    page = Page(tmp_path / 'report.html')
    picture, = [reference for reference in page.references if reference.endswith(
        base64.b64encode(svg.encode()).decode())]
    assert picture.startswith('data:image/svg+xml;base64,') and 'script' not in page.tags and len(drawn) == 1


def test_a_graph_that_is_too_large_for_a_picture(tmp_path):
    graph = graphdsl.compile(GRAPH)
    graph.draw = lambda: exec('raise RuntimeError("too many boxes")')
    graph.trainer(tmp_path, progress=False, report=True).run()
    assert 'Finished' in Page(tmp_path / 'report.html').text


# A browser

def opened(path, folder, *options):
    """Opens a page, and returns what the console says and the document that comes of it."""
    command = [BROWSER, *OPTIONS, f'--user-data-dir={folder / "profile"}', *options, '--dump-dom', f'file://{path}']
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [line for line in result.stderr.splitlines() if 'CONSOLE' in line], result.stdout


@pytest.mark.skipif(BROWSER is None, reason='there is no Chromium')
def test_a_browser_opens_it(report, tmp_path):
    console, document = opened(report, tmp_path)
    assert console == []
    assert '<title>nets: finished</title>' in document and 'broken into' in document


@pytest.mark.skipif(BROWSER is None, reason='there is no Chromium')
def test_the_browser_would_tell(report, tmp_path):
    """The test above can fail: what the page forbids, and what is broken, is told."""
    path = tmp_path / 'wrong.html'
    path.write_text(report.read_text().replace('</body>', '<script>1</script></body>'))
    console, _ = opened(path, tmp_path)
    assert len(console) == 1 and 'Content Security Policy' in console[0]
