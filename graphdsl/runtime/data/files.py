"""Folders of images, and text."""
from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Optional, Sequence, Union

import numpy

from graphdsl.runtime.data.columns import Columns
from graphdsl.runtime.data.errors import DataError, check_choice, check_whole, listing, reading
from graphdsl.runtime.data.split import SPLITS, part

_Path = Union[str, os.PathLike]
_EXTENSIONS = frozenset('.bmp .gif .jpeg .jpg .pgm .png .ppm .tif .tiff .webp'.split())


def images(path: _Path, *, size: Optional[Sequence[int]] = None, gray: bool = False, split: str = 'all',
           like: Optional[_Path] = None) -> Columns:
    """Reads the images of a folder into memory.

    If the folder has subfolders, each is a class, and all images below it belong to the class: an example is
    ``(image, label)``. Without subfolders it is ``(image,)``. The columns have no names.

    * image: float32 of shape ``(3, height, width)``, or ``(1, height, width)`` for ``gray``, values in ``[0, 1]``;
    * label: int32 scalar, the place of the subfolder in sorted order. ``classes[1]`` of the dataset has their
      names.

    Images are ordered by class and path. Transparency is dropped, the orientation that a camera notes is applied.
    Files are images if they end in bmp, gif (the first frame), jpeg, jpg, pgm, png, ppm, tif, tiff or webp; other
    files, and all whose names begin with a dot, are left out.

    Args:
        path (str or path-like): The folder.
        size (tuple of ints): Height and width to which every image is resized, whatever its proportions. By
            default all must have one size already.
        gray (bool): If ``True``, images have one channel, otherwise the three of RGB.
        split (str): ``'all'``, or ``'train'`` or ``'test'`` for four fifths or one fifth of the images of each
            class, always the same; equal images are on one side only.
        like (str or path-like): Another folder, whose subfolders give the numbers of the classes: give the
            training folder for a test folder of its own, so that a number means the same class in both.

    Returns:
        :class:`Columns`.

    Raises:
        DataError: If there is no such folder, or no image in it or in one of its subfolders; if there are images
            both beside and in subfolders; for a broken image, one with more than 8 bits per channel, or one of
            another size where none is given; for a class that ``like`` hasn't.

    """
    check_choice('split', split, SPLITS)
    if size is not None and (not isinstance(size, (tuple, list)) or len(size) != 2):
        raise DataError(f'size is {size!r}', help='give height and width: size=(32, 32)')
    for length in size or ():
        check_whole('a side of size', length, least=1)
    subfolders = _subfolders(path)
    if subfolders and _image_files(Path(path), '*'):
        raise DataError(f'{path} has images both in subfolders and beside them',
                        help='move all into subfolders, one for each class, or have no subfolders')
    if like is not None and not subfolders:
        raise DataError(f'like numbers classes, but {path} has no subfolders', help='leave out like')

    folders = subfolders or [Path(path)]
    names = tuple(folder.name for folder in (folders if like is None else _subfolders(like)))
    files, labels = [], []
    for folder in folders:
        if folder.name not in names:
            raise DataError(f'{like} has no class {folder.name!r}, but {path} has',
                            help='it has ' + (listing(names) or 'none'))
        found = _image_files(folder, '**/*')
        if not found:
            raise DataError(f'there is no image in {folder}',
                            help='images end in ' + ', '.join(sorted(_EXTENSIONS)))
        files += found
        labels += [names.index(folder.name)] * len(found)

    pixels = _pixels(files, size, gray)
    labels = numpy.array(labels, dtype=numpy.int32)
    rows = part(split, [pixels], labels, shuffle=True)
    return Columns([pixels[rows], labels[rows]], classes={1: names}) if subfolders else Columns([pixels[rows]])


def text(path: _Path, *, unit: str = 'character', split: str = 'all', like: Optional[_Path] = None) -> Columns:
    """Reads a text, as one long column of characters or line by line. A character is an int32 number.

    The column has no name. Characters are numbered from 0 in the order of their code points; ``classes[0]`` of the
    dataset has them: ``''.join(data.classes[0][i] for i in data.arrays[0])`` is the text. Ends of lines are
    ``'\\n'``. A line as an example is without its end, and empty lines don't count.

    Args:
        path (str or path-like): The file, in UTF-8.
        unit (str): What an example is. ``'character'``: int32 scalar, in the order of the text, as
            :func:`sequence` wants it. ``'line'``: int32 array, as long as the line, for an input with an axis of
            any length.
        split (str): ``'all'``, or ``'train'`` or ``'test'``. Of characters, these are the first four fifths or the
            last fifth of the text; of lines, four fifths or one fifth in a random choice that is always the same,
            where equal lines are on one side. Both number the characters of the whole text.
        like (str or path-like): Another text, whose characters are numbered: give the training text for a test
            text of its own, so that a number means the same character in both.

    Returns:
        :class:`Columns`.

    Raises:
        DataError: If the file is missing, empty or not in UTF-8; for a character that ``like`` hasn't; for another
            ``unit`` or ``split``.

    """
    check_choice('unit', unit, ('character', 'line'))
    check_choice('split', split, SPLITS)
    codes = _codes(path)
    vocabulary = numpy.unique(codes if like is None else _codes(like))
    numbers = numpy.searchsorted(vocabulary, codes).astype(numpy.int32)
    foreign = numpy.flatnonzero(vocabulary.take(numbers, mode='clip') != codes)
    if len(foreign):
        line = numpy.count_nonzero(codes[:foreign[0]] == ord('\n')) + 1
        raise DataError(f'{path}, line {line}: {chr(codes[foreign[0]])!r} does not occur in {like}',
                        help='leave it out, or number the characters of both: one file, with split')
    if unit == 'line':
        lines = _lines(path, numbers, codes == ord('\n'))
        column = lines[part(split, [lines], shuffle=True)]
    else:
        border = len(numbers) * 4 // 5
        column = {'train': numbers[:border], 'test': numbers[border:], 'all': numbers}[split]
    return Columns([column], classes={0: tuple(chr(code) for code in vocabulary)})


def _subfolders(path: _Path) -> list[Path]:
    with reading(path):
        return sorted(entry for entry in Path(path).iterdir() if entry.is_dir() and entry.name[0] != '.')


def _image_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(file for file in folder.glob(pattern) if file.suffix.lower() in _EXTENSIONS and file.is_file()
                  and not any(name[0] == '.' for name in file.relative_to(folder).parts))


def _pixels(files: list[Path], size: Optional[Sequence[int]], gray: bool) -> numpy.ndarray:
    first = _image(files[0], size, gray)
    pixels = numpy.empty((len(files),) + first.shape, dtype=numpy.float32)
    for i, file in enumerate(files):
        image = _image(file, size, gray)
        if image.shape != first.shape:
            raise DataError(f'{file} is {_extent(image)}, but {files[0]} is {_extent(first)}',
                            help='resize them all: images("...", size=(32, 32))')
        pixels[i] = image
    return pixels


def _image(file: Path, size: Optional[Sequence[int]], gray: bool) -> numpy.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(file) as image:
            if image.mode[0] in 'IF':
                raise DataError(f'{file} has more than 8 bits per channel', help='convert it, or use an npz file')
            image = ImageOps.exif_transpose(image)
            # Pillow warns where it drops the transparency of a palette, but not that of RGBA.
            image = image.convert('RGBA' if image.mode == 'P' else image.mode).convert('L' if gray else 'RGB')
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise DataError(f'{file} is not a readable image: {error}', help='repair it or take it out') from error
    if size is not None:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    pixels = numpy.asarray(image, dtype=numpy.float32) / 255
    return pixels[None] if gray else pixels.transpose(2, 0, 1)


def _extent(image: numpy.ndarray) -> str:
    return '%d pixels high and %d wide' % image.shape[1:]


def _codes(path: _Path) -> numpy.ndarray:
    with reading(path), open(path, encoding='utf-8-sig') as file:
        codes = numpy.frombuffer(file.read().encode('utf-32-le'), dtype='<u4')
    if not len(codes):
        raise DataError(f'{path} is empty')
    return codes


def _lines(path: _Path, numbers: numpy.ndarray, ends: numpy.ndarray) -> numpy.ndarray:
    """Cuts a text at the ends of its lines. It gives an array of arrays, as lines differ in length."""
    numbers.flags.writeable = False
    places = numpy.flatnonzero(ends)
    starts, stops = [0, *places + 1], [*places, len(numbers)]
    found = [numbers[start:stop] for start, stop in zip(starts, stops) if stop > start]
    if not found:
        raise DataError(f'{path} has only empty lines')
    lines = numpy.empty(len(found), dtype=object)
    lines[:] = found
    return lines
