import chainer
import numpy
import pytest
from PIL import Image

from graphdsl.runtime import data


@pytest.fixture
def paint(tmp_path):
    def paint(name, color=(255, 0, 51), size=(3, 2), mode='RGB', **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, color).save(path, **options)
    return paint


# images

def test_a_folder_of_images(paint, tmp_path):
    paint('b.png'), paint('a.PNG', (0, 0, 0)), paint('c.bmp', (0, 255, 0)), paint('.hidden.png')
    (tmp_path / 'notes.txt').write_text('hello')
    dataset = data.images(tmp_path)
    assert dataset.columns is None and dataset.classes == {}
    image, = chainer.dataset.concat_examples(dataset[:])
    assert (image.shape, image.dtype) == ((3, 3, 2, 3), 'f')
    numpy.testing.assert_allclose(image[:, :, 0, 0], [[0, 0, 0], [1, 0, 0.2], [0, 1, 0]])


def test_subfolders_are_classes(paint, tmp_path):
    paint('dog/2.png', (2, 0, 0)), paint('dog/1.png', (1, 0, 0)), paint('cat/more/9.png', (9, 0, 0))
    paint('.cache/0.png')
    dataset = data.images(str(tmp_path))
    assert dataset.classes == {1: ('cat', 'dog')}
    image, label = chainer.dataset.concat_examples(dataset[:])
    assert (label.tolist(), label.dtype) == ([0, 1, 1], 'i')
    assert (image[:, 0, 0, 0] * 255).round().tolist() == [9, 1, 2]


def test_height_comes_before_width(paint, tmp_path):
    left = Image.new('L', (4, 2))
    left.paste(255, (0, 0, 2, 2))
    left.save(tmp_path / 'a.png')
    image, = data.images(tmp_path, gray=True)[0]
    assert image.tolist() == [[[1, 1, 0, 0], [1, 1, 0, 0]]]
    resized, = data.images(tmp_path, size=(6, 5))[0]
    assert resized.shape == (3, 6, 5)
    assert (resized[:, :, 0] == 1).all() and (resized[:, :, -1] == 0).all()


def test_gray_images_have_one_channel(paint, tmp_path):
    paint('a.png', (255, 255, 255)), paint('b.png', 51, mode='L')
    dataset = data.images(tmp_path, gray=True)
    assert [image.shape for image, in dataset] == [(1, 2, 3), (1, 2, 3)]
    numpy.testing.assert_allclose([image[0, 0, 0] for image, in dataset], [1, 0.2])


@pytest.mark.parametrize('mode, color, options', [
    ('RGBA', (255, 0, 51, 0), {}), ('P', 0, {'transparency': b'\x10\x20'}), ('L', 0, {}), ('LA', (0, 0), {}),
    ('1', 0, {}),
])
def test_every_image_gets_three_channels(paint, tmp_path, mode, color, options):
    paint('a.png', color, mode=mode, **options)
    assert data.images(tmp_path)[0][0].shape == (3, 2, 3)


def test_the_orientation_that_a_camera_notes(paint, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    paint('a.jpg', exif=exif)
    assert data.images(tmp_path)[0][0].shape == (3, 3, 2)


def test_images_are_equal_or_resized_in_size(paint, tmp_path):
    paint('a.png'), paint('b.png', size=(5, 4))
    with pytest.raises(data.DataError, match='b.png is 4 pixels high and 5 wide, but .*a.png is 2 '):
        data.images(tmp_path)
    assert data.images(tmp_path, size=(7, 8)).arrays[0].shape == (2, 3, 7, 8)


def test_a_split_of_images_takes_the_same_share_of_each_class(paint, tmp_path):
    for i in range(15):
        paint(f'{"ab"[i < 5]}/{i:02}.png', (i, 0, 0))
    paint('a/copy.png', (14, 0, 0))
    train, test = (data.images(tmp_path, split=split) for split in ('train', 'test'))
    assert numpy.bincount(test.arrays[1]).tolist()[1] == 1
    assert len(train) + len(test) == 16
    assert not set(map(bytes, train.arrays[0])) & set(map(bytes, test.arrays[0]))


def test_a_test_folder_is_numbered_like_its_training_folder(paint, tmp_path):
    paint('train/cat/1.png'), paint('train/dog/1.png'), paint('test/dog/2.png'), paint('loose/1.png')
    assert data.images(tmp_path / 'test')[0][1] == 0
    dataset = data.images(tmp_path / 'test', like=tmp_path / 'train')
    assert dataset[0][1] == 1 and dataset.classes == {1: ('cat', 'dog')}
    with pytest.raises(data.DataError, match="test has no class 'cat', but .*train has; it has 'dog'"):
        data.images(tmp_path / 'train', like=tmp_path / 'test')
    with pytest.raises(data.DataError, match='like numbers classes, but .*loose has no subfolders'):
        data.images(tmp_path / 'loose', like=tmp_path / 'train')


def test_folders_that_make_no_dataset(paint, tmp_path):
    with pytest.raises(data.DataError, match='there is no image in .*; images end in .bmp'):
        data.images(tmp_path)
    with pytest.raises(data.DataError, match='there is no .*none'):
        data.images(tmp_path / 'none')
    paint('a.png')
    with pytest.raises(data.DataError, match='a.png cannot be read: Not a directory'):
        data.images(tmp_path / 'a.png')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(data.DataError, match='has images both in subfolders and beside them'):
        data.images(tmp_path)
    (tmp_path / 'a.png').unlink()
    with pytest.raises(data.DataError, match='there is no image in .*empty'):
        data.images(tmp_path)


def test_a_broken_image(paint, tmp_path):
    paint('a.png')
    (tmp_path / 'b.png').write_bytes(b'hello')
    with pytest.raises(data.DataError, match='b.png is not a readable image'):
        data.images(tmp_path)
    paint('b.png', size=(90, 90))
    (tmp_path / 'b.png').write_bytes((tmp_path / 'b.png').read_bytes()[:80])
    with pytest.raises(data.DataError, match='b.png is not a readable image'):
        data.images(tmp_path)


def test_an_image_of_16_bits_is_not_cut_to_8(paint, tmp_path):
    paint('a.png', 40000, mode='I;16')
    with pytest.raises(data.DataError, match='a.png has more than 8 bits per channel'):
        data.images(tmp_path)


@pytest.mark.parametrize('arguments, message', [
    ({'size': 8}, r'size is 8; give height and width: size=\(32, 32\)'),
    ({'size': (8, 8, 3)}, r'size is \(8, 8, 3\)'),
    ({'size': (8, 0)}, 'a side of size is 0'),
    ({'size': (8, 1.5)}, 'a side of size is 1.5'),
    ({'split': 'half'}, "split is 'half'"),
])
def test_arguments_of_images_that_mean_nothing(paint, tmp_path, arguments, message):
    paint('a.png')
    with pytest.raises(data.DataError, match=message):
        data.images(tmp_path, **arguments)


# text

def test_a_text_is_one_column_of_numbers(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes('bäd 😀\r\nab'.encode('utf-8'))
    dataset = data.text(path)
    assert dataset.columns is None and len(dataset) == 8
    assert dataset.classes == {0: ('\n', ' ', 'a', 'b', 'd', 'ä', '😀')}
    numbers, = dataset.arrays
    assert numbers.dtype == 'i' and numbers.tolist() == [3, 5, 4, 1, 6, 0, 2, 3]
    assert ''.join(dataset.classes[0][i] for i in numbers) == 'bäd 😀\nab'
    assert chainer.dataset.concat_examples(dataset[:2])[0].tolist() == [3, 5]


def test_a_split_of_a_text_keeps_its_order_and_its_numbers(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('jihgfedcba')
    train, test = data.text(path, split='train'), data.text(path, split='test')
    assert train.arrays[0].tolist() == [9, 8, 7, 6, 5, 4, 3, 2] and test.arrays[0].tolist() == [1, 0]
    assert train.classes == test.classes == {0: tuple('abcdefghij')}


def test_a_test_text_is_numbered_like_its_training_text(tmp_path):
    train, test = tmp_path / 'train.txt', tmp_path / 'test.txt'
    train.write_text('abc\nd'), test.write_text('ca')
    dataset = data.text(test, like=train)
    assert dataset.arrays[0].tolist() == [3, 1] and dataset.classes == data.text(train).classes
    for text, message in (('a\nez', "test.txt, line 2: 'e' does not occur in .*train.txt"), ('B', "line 1: 'B'")):
        test.write_text(text)
        with pytest.raises(data.DataError, match=message):
            data.text(test, like=train)


def spelled(dataset):
    return [''.join(dataset.classes[0][i] for i in line) for line, in dataset]


def test_a_text_line_by_line(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes('\n\nbäd\r\n\na \nb'.encode('utf-8'))
    dataset = data.text(path, unit='line')
    assert spelled(dataset) == ['bäd', 'a ', 'b']
    assert [line.dtype for line, in dataset] == ['i', 'i', 'i']
    assert dataset.columns is None and dataset.classes == data.text(path).classes
    with pytest.raises(ValueError, match='read-only'):
        dataset[0][0][0] = 1


def test_lines_of_one_length_are_arrays_too(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('ab\nba\n')
    dataset = data.text(path, unit='line')
    assert [line.tolist() for line, in dataset] == [[1, 2], [2, 1]] and len(dataset) == 2


def test_a_split_of_lines_keeps_equal_ones_on_one_side(tmp_path):
    path = tmp_path / 'a.txt'
    lines = [f'line {i % 40}' for i in range(80)]
    path.write_text('\n'.join(lines))
    train, test = (spelled(data.text(path, unit='line', split=split)) for split in ('train', 'test'))
    assert sorted(train + test) == sorted(lines) and len(test) == 16
    assert not set(train) & set(test)


def test_lines_of_a_test_text_are_numbered_like_its_training_text(tmp_path):
    train, test = tmp_path / 'train.txt', tmp_path / 'test.txt'
    train.write_text('abc\nd'), test.write_text('ca\n')
    assert data.text(test, unit='line', like=train)[0][0].tolist() == [3, 1]


def test_texts_that_make_no_dataset(tmp_path):
    path = tmp_path / 'a.txt'
    with pytest.raises(data.DataError, match='there is no .*a.txt'):
        data.text(path)
    path.write_text('')
    with pytest.raises(data.DataError, match='a.txt is empty'):
        data.text(path)
    path.write_bytes(b'\xff')
    with pytest.raises(data.DataError, match='a.txt is not text in UTF-8'):
        data.text(path)
    with pytest.raises(data.DataError, match="split is 'half'"):
        data.text(path, split='half')
    with pytest.raises(data.DataError, match="unit is 'word'; it is one of 'character', 'line'"):
        data.text(path, unit='word')
    path.write_text('\n\n')
    with pytest.raises(data.DataError, match='a.txt has only empty lines'):
        data.text(path, unit='line')
