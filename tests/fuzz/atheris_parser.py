"""Coverage-guided fuzzing of the parser and the formatter, with Atheris. Pytest does not collect it.

Atheris is no dependency of the project. To fuzz for 20 minutes, in a folder that keeps what was found::

    uv run --python 3.11 --with atheris python tests/fuzz/atheris_parser.py CORPUS -max_total_time=1200

What ends in an exception is written to a file ``crash-*``; what takes longer than 20 seconds, to ``timeout-*``. To see
one again, give the file in place of the folder. The other options are those of libFuzzer.
"""
import re
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=['graphdsl']):
    from graphdsl.diagnostics import GraphError, Source, render
    from graphdsl.syntax.format import format_source
    from graphdsl.syntax.parse import parse

ROOT = Path(__file__).parents[2]


def check(data: bytes) -> None:
    """Checks that a text is parsed or diagnosed, and that the formatter keeps what it means."""
    try:
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError:
        return
    source = Source(text)
    try:
        tree = parse(source)
    except GraphError as error:
        assert error.diagnostics
        for one in error.diagnostics:
            assert one.message and 0 <= one.span.start <= one.span.end <= len(text), one
            assert render(one, source)
        return
    formatted = format_source(source)
    assert parse(Source(formatted)) == tree
    assert format_source(Source(formatted)) == formatted


def fill(folder: Path) -> Path:
    """Writes all programs of the repository into a folder, and the words of the grammar into a dictionary."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(sorted(ROOT.rglob('*.graph'))):
        (folder / f'seed-{number}').write_bytes(path.read_bytes())
    words = set(re.findall(r'"([^"\n]+)"', (ROOT / 'grammar' / 'graph.lark').read_text(encoding='utf-8')))
    words |= {'\n', '\r\n', '# a\n', "'", '"', '\\', '1e5', '..', '_', '**', '//', '<=', '!=', ';', '\t'}
    dictionary = folder.parent / f'{folder.name}.dict'
    dictionary.write_text('\n'.join('"' + ''.join(f'\\x{byte:02x}' for byte in word.encode()) + '"'
                                    for word in sorted(words)), encoding='utf-8')
    return dictionary


if __name__ == '__main__':
    folder = Path(next(word for word in sys.argv[1:] if not word.startswith('-')))
    options = [] if folder.is_file() else [f'-dict={fill(folder)}', '-timeout=20', '-max_len=2000']
    atheris.Setup([*sys.argv, *options], check)
    atheris.Fuzz()
