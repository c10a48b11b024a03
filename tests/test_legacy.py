"""Codecs of fax machines and of the early nineties, with small encoders of our own where no library writes them."""

from __future__ import annotations

import io

import helper
import imagecodecs
import numpy as np
import pytest
import tifffile
from helper import Layout, assert_same, page, pixels, tiff
from PIL import Image

import lazytiff


def chunked(array, compression, encoder, layout=None, **tags):
    """Make a page whose chunks are what the encoder makes of (row, column, sample). tags: t262=..."""
    layout = layout or Layout()
    found = page(array, layout, tags={259: compression} | {int(name[1:]): value for name, value in tags.items()})
    found.chunks = [bytes(encoder(chunk)) for chunk in helper.cut(np.atleast_3d(array), layout)]
    return found


# ---- CCITT: libtiff's writer, through Pillow; tifffile has a decoder of its own

FAX = {  # Pillow's name, Compression, and tags: 292 is T4Options
    "rle": ("tiff_ccitt", 2, {}),
    "g3": ("group3", 3, {}),
    "g3-2d": ("group3", 3, {292: 1}),
    "g3-2d-aligned": ("group3", 3, {292: 5}),
    "g4": ("group4", 4, {}),
}
FAX_LAYOUTS = {
    "tiles": Layout(tile=(16, 32)),
    "strips": Layout(rows_per_strip=7),
    "planes of tiles": Layout(planar=2, tile=(32, 16)),
    "planes, fill order 2": Layout(planar=2, fill_order=2),
}


def drawing(rows, columns, seed=0):
    """Make black lines of all lengths, some of which go on in the next row, and rows without any."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([1, 2, 3, 7, 20, 63, 64, 65, 200, 2561], rows * columns)
    flat = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)[: rows * columns].reshape(rows, columns)
    flat[rows // 3 : rows // 3 + 2] = flat[rows // 3] | np.roll(flat[rows // 3], 1)
    flat[rows // 2] = True
    flat[rows // 2 + 1 :: 9] = False
    return flat


def fax(name, fill_order=1):
    """Return an encoder."""

    def encode(chunk):
        file = io.BytesIO()
        method, _, tags = FAX[name]
        info = tags | {266: fill_order, 278: chunk.shape[0]}
        Image.fromarray(chunk[..., 0]).save(file, "TIFF", compression=method, tiffinfo=info)
        with tifffile.TiffFile(io.BytesIO(file.getvalue())) as found:
            offset, count = found.pages[0].dataoffsets[0], found.pages[0].databytecounts[0]
        return file.getvalue()[offset : offset + count]

    return encode


@pytest.mark.parametrize("shape", [(1, 1), (45, 37), (30, 2600)], ids=str)
@pytest.mark.parametrize("fill_order", [1, 2])
@pytest.mark.parametrize("name", FAX)
def test_fax_by_libtiff(name, fill_order, shape):
    """Strips as libtiff writes them, in either fill order, from one pixel to lines longer than any code."""
    helper.needs("ccitt-rle", "ccitt-g3", "ccitt-g4")
    array, file = drawing(*shape), io.BytesIO()
    method, compression, tags = FAX[name]
    Image.fromarray(array).save(file, "TIFF", compression=method, tiffinfo=tags | {266: fill_order, 278: 8})
    with lazytiff.open(file.getvalue()) as img:
        assert img.tags["Compression"] == compression
        assert img.tags["FillOrder"] == fill_order
        assert_same(img.copy(), array)
        assert_same(img[::-3, shape[1] // 2 :], array[::-3, shape[1] // 2 :])


def fax_page(array, name, layout):
    """Make a page of strips or tiles."""
    _, compression, tags = FAX[name]
    return chunked(array, compression, fax(name, layout.fill_order), layout, t292=tags.get(292, 0))


@pytest.mark.parametrize("layout", FAX_LAYOUTS.values(), ids=FAX_LAYOUTS)
@pytest.mark.parametrize("name", FAX)
def test_fax_layouts(name, layout):
    """Tiles that overhang, and two planes apart."""
    array = drawing(45, 70)
    if layout.planar == 2:
        array = np.stack([array, drawing(45, 70, seed=1)], axis=-1)
    data = tiff(fax_page(array, name, layout))
    assert_same(lazytiff.load(data), array)
    if layout.planar == 1:
        assert_same(tifffile.imread(io.BytesIO(data)).astype(bool), array)


def test_fax_in_words_is_refused():
    """Rows that begin at words are misread by libtiff, often without an error: better no pixels than these."""
    file = io.BytesIO()
    Image.fromarray(drawing(45, 37)).save(file, "TIFF", compression="tiff_raw_16")
    with lazytiff.TiffFile(file.getvalue()) as found:
        assert found.pages[0].tags["Compression"] == 32771
        with pytest.raises(lazytiff.UnsupportedTiffError, match="16-bit words"):
            found.pages[0].copy()


# ---- JBIG

# (row * row + 3 * column) % 7 < 3 for 16 x 21 pixels, by libtiff 4.5.0: TIFFWriteEncodedStrip, COMPRESSION_JBIG
JBIG = bytes.fromhex(
    "00008000000000a800000008000000401000c0381b51c97eff40e824a820ff40"
    "bb5285ff40a760c705ff40ee253bff40c605ff40db6a02ff409405ff40"
)


def test_jbig():
    """A strip that libtiff wrote with jbigkit."""
    helper.needs("jbig")
    rows, columns = np.mgrid[:16, :21]
    array = (rows * rows + 3 * columns) % 7 < 3
    data = tiff(chunked(array, 34661, lambda _: JBIG))
    assert_same(lazytiff.load(data), array)
    assert_same(lazytiff.load(tiff(chunked(array, 34661, lambda _: imagecodecs.bitorder_encode(JBIG), t266=2))), array)
    assert_same(lazytiff.open(data)[3:9, ::2], array[3:9, ::2])


# ---- LZW with codes in the old bit order


def old_lzw(data):
    """Compress as the first LZW writers did: from a byte's lowest bit on, codes growing later than in TIFF 6.0."""
    bits, filled, table, emitted = 0, 0, {}, 0

    def emit(code):
        nonlocal bits, filled, emitted
        width = next(width for width in range(9, 13) if 257 + emitted < 1 << width)
        bits |= code << filled
        filled += width
        emitted += 1

    emit(256)
    emitted, prefix = 0, b""
    for byte in data:
        if prefix + bytes([byte]) in table or not prefix:
            prefix += bytes([byte])
            continue
        emit(table.get(prefix, prefix[0]))
        table[prefix + bytes([byte])] = 258 + len(table)
        prefix = bytes([byte])
        if emitted == 3800:
            emit(256)
            table, emitted = {}, 0
    emit(table.get(prefix, prefix[0]))
    emit(257)
    return bits.to_bytes((filled + 7) // 8, "little")


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_old_lzw(dtype, predictor):
    """Codes of 9 to 12 bits and cleared tables; a page whose strips are old and new in turns, read in any order."""
    array = pixels((96, 80), dtype)
    layout = Layout("lzw", predictor, rows_per_strip=48)

    def encode(chunk):
        return old_lzw(helper.stored_rows(chunk, predictor, 8 * chunk.itemsize, "<").tobytes())

    old = page(array, layout)
    old.chunks = [encode(chunk) for chunk in helper.cut(array[..., None], layout)]
    assert old.chunks[0][0] == 0
    assert_same(lazytiff.load(tiff(old)), array)
    assert_same(tifffile.imread(io.BytesIO(tiff(old))), array)
    mixed = page(array, Layout("lzw", predictor, rows_per_strip=8))
    mixed.chunks[::2] = [encode(chunk) for chunk in helper.cut(array[..., None], Layout(rows_per_strip=8))][::2]
    with lazytiff.open(tiff(mixed), cache_bytes=0, workers=1) as img:
        for row in (90, 3, 1, 20, 12, 9, 95, 40):
            assert_same(img[row, 5:], array[row, 5:])
        assert_same(img.copy(), array)


# ---- what is read only when asked for


def assert_only_when_asked(data, name, expected):
    """Check the pixels, and that the codec has to be asked for by name."""
    helper.needs(name)
    with pytest.raises(lazytiff.UnsupportedTiffError, match="Compression"):
        lazytiff.load(data)
    assert_same(lazytiff.load(data, codecs=name), expected)
    with lazytiff.open(data, codecs="all") as img:
        assert_same(img[1::2, ::-3], expected[1::2, ::-3])


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_pixarlog(tile, samples, dtype):
    """8 and 16 bits and floats come back as nearly as 11 bits on a logarithmic scale can hold them."""
    array = pixels((45, 37, samples), dtype)
    array = np.abs(array) % 20 if dtype == "f4" else array
    layout = Layout(tile=tile, rows_per_strip=None if tile else 8)
    found = chunked(array, 32909, lambda chunk: imagecodecs.pixarlog_encode(np.ascontiguousarray(chunk)), layout)
    parts = [
        imagecodecs.pixarlog_decode(stream, shape=chunk.shape, dtype=dtype)
        for stream, chunk in zip(found.chunks, helper.cut(array, layout), strict=True)
    ]
    expected = helper.assemble(parts, array.shape, layout)
    assert_only_when_asked(tiff(found), "pixarlog", expected)
    assert np.allclose(expected, array, rtol=0.01, atol={"u1": 0, "u2": 30, "f4": 0.01}[dtype])


@pytest.mark.parametrize("samples", [1, 2])
def test_pixarlog_that_libtiff_cannot_read(samples):
    """Of 1 or 2 samples a pixel, libtiff 4.5 adds up the wrong differences: better no pixels than these."""
    helper.needs("pixarlog")
    array = pixels((12, 10, samples), "u1")
    data = tiff(chunked(array, 32909, lambda chunk: imagecodecs.pixarlog_encode(np.ascontiguousarray(chunk))))
    with pytest.raises(lazytiff.UnsupportedTiffError, match="PixarLog"):
        lazytiff.load(data, codecs="all")


@pytest.mark.parametrize("end", [[], [2], [3], [0xC0 | 4]], ids=str)
def test_thunderscan(end):
    """Pixels of 4 bits: whole, repeated, and as two or three differences in a byte."""
    raw, run, two, three = 0xC0, 0x00, 0x80, 0x40
    # 7, five times more, then (+1 +2), (-1 0), and three in a byte: (+1 0 -1); the second row mirrors the first.
    # libtiff 4.5 by itself leaves a run at the end of a row out.
    row = [raw | 7, run | 5, two | 1 << 3 | 2, two | 7 << 3 | 0, three | 1 << 4 | 0 << 2 | 3]
    expected = [7] * 6 + [8, 10, 9, 9, 10, 10, 9]
    expected += {0: [], 2: [9] * 2, 3: [9] * 3, 0xC4: [4]}[sum(end)]
    inverse = [raw | 15 - 7, run | 5, two | 7 << 3 | 6, two | 1 << 3 | 0, three | 3 << 4 | 0 << 2 | 1]
    mirrored = [raw | 15 - 4] if end == [raw | 4] else end
    array = np.array([expected, [15 - pixel for pixel in expected]] * 2, np.uint8)
    found = page(array, bits=4, tags={259: 32809})
    found.chunks = [bytes((row + end + inverse + mirrored) * 2)]
    assert_only_when_asked(tiff(found), "thunderscan", array)


def test_next():
    """Pixels of 2 bits: a row as it is, a part of a white row, and runs."""
    array = np.array([[0, 1, 2, 3, 0, 1, 2, 3, 3], [3, 3, 3, 3, 1, 2, 1, 0, 3], [2, 2, 2, 2, 2, 0, 0, 1, 1]], np.uint8)
    rows = [
        b"\x00" + helper.pack_bits(array[:1], 2).tobytes(),
        b"\x40" + (1).to_bytes(2) + (1).to_bytes(2) + helper.pack_bits(array[1:2], 2).tobytes()[1:2],
        bytes([2 << 6 | 5, 0 << 6 | 2, 1 << 6 | 2]),
    ]
    found = page(array, bits=2, tags={259: 32766})
    found.chunks = [b"".join(rows)]
    assert_only_when_asked(tiff(found), "next", array)


def sgilog(chunk, dtype):
    """Run-length encode the rows of a chunk of integers, the highest bytes of a row first (libtiff, tif_luv.c)."""
    stream = b""
    for row in chunk.astype(dtype):
        for plane in np.frombuffer(row.tobytes(), np.uint8).reshape(-1, row.itemsize).T:
            data = plane.tobytes()
            while data:
                same = len(data) - len(data.lstrip(data[:1]))
                if same > 2:
                    stream += bytes([128 - 2 + min(same, 129), data[0]])
                    data = data[min(same, 129) :]
                else:
                    stream += bytes([1, data[0]])
                    data = data[1:]
    return stream


def test_sgilog_luminance():
    """The logarithms of luminance as they are stored: 16 bits with a sign."""
    array = pixels((20, 33), "i2")
    array[5:9] = 1234
    found = chunked(array, 34676, lambda chunk: sgilog(chunk[..., 0], ">i2"), Layout(rows_per_strip=8), t262=32844)
    assert_only_when_asked(tiff(found), "sgilog", array)


def test_sgilog_colour():
    """Luminance as it is stored, and u' and v' times 2^15: a code of 8 bits is the middle of 1/410."""
    luminance, codes = pixels((20, 33), "i2"), pixels((20, 33, 2), "u1")
    codes[3:5] = 7
    colours = ((codes + 0.5) / 410 * 2**15).astype(np.int16)
    array = np.concatenate([luminance[..., None], colours], axis=-1)
    stored = luminance.astype(np.uint16).astype(np.uint32) << 16 | codes[..., 0].astype(np.uint32) << 8 | codes[..., 1]
    found = page(array, rows_per_strip=8, tags={259: 34676, 262: 32845})
    found.chunks = [sgilog(stored[row : row + 8], ">u4") for row in range(0, 20, 8)]
    assert_only_when_asked(tiff(found), "sgilog", array)


def test_sgilog_of_24_bits():
    """A step of luminance is four of 16 bits, and a colour outside of the gamut gray: u' = 4 / 19, v' = 9 / 19."""
    helper.needs("sgilog")
    luminance = np.arange(64, 64 + 20 * 33).reshape(20, 33)
    found = page(np.zeros((20, 33, 3), "i2"), tags={259: 34677, 262: 32845})
    found.chunks = [b"".join((int(code) << 14 | 0x3FFF).to_bytes(3) for code in luminance.ravel())]
    array = lazytiff.load(tiff(found), codecs="all")
    assert_same(np.ascontiguousarray(array[..., 0]), (luminance * 4 + 13315).astype(np.int16))
    assert set(map(tuple, array[..., 1:].reshape(-1, 2).tolist())) == {(4 * 2**15 // 19, 9 * 2**15 // 19)}
