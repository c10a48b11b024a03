"""No invented pixels: a chunk gives exactly what its bytes decode to, or DecodeError; whatever is wrong with them."""

from __future__ import annotations

import zlib

import helper
import imagecodecs
import numpy as np
import pytest
import streams
from helper import Layout, assert_same
from streams import DECODERS, EXACT, LOSSY

import lazytiff


def outcome(data):
    """Return a file's pixels; None for a DecodeError that names page 0, chunk 0."""
    try:
        return lazytiff.load(data)
    except (lazytiff.DecodeError, lazytiff.UnsupportedTiffError) as caught:
        error = caught
    assert "page 0, chunk 0" in str(error)
    if isinstance(error, lazytiff.DecodeError):
        assert (error.page, error.chunk) == (0, 0)
    else:  # what is left of a Group 3 stream may look so
        assert "no EOL codes" in str(error)
    return None


def with_stream(page, stream):
    """Build a file of the page with another stream in its only chunk."""
    page.chunks = [bytes(stream)]
    return helper.tiff(page)


def refuses(page, stream):
    """Say whether the stream is a DecodeError."""
    return outcome(with_stream(page, stream)) is None


# ---- every codec


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_streams_that_are_whole(name):
    """The streams of this file are right as long as nothing is done to them."""
    streams.needs(name)
    page = streams.page_of(name)
    found = outcome(helper.tiff(page))
    if name in EXACT and not name.startswith("ccitt"):
        samples = found.shape[2:] or (1,)
        assert_same(
            found,
            helper.pixels((streams.ROWS, streams.COLUMNS, *samples), found.dtype, streams.ROWS).reshape(found.shape),
        )
    elif name in EXACT:
        assert_same(found, streams.drawing(streams.ROWS, streams.COLUMNS) != (page.tags[262] == 0))
    else:
        assert np.ptp(found) > 50


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_cut_streams(name):
    """A stream that ends early is a DecodeError unless nothing of the pixels is missing."""
    streams.needs(name)
    page = streams.page_of(name)
    stream, whole = page.chunks[0], outcome(helper.tiff(page))
    accepted = []
    for length in streams.cuts(stream):
        found = outcome(with_stream(page, stream[:length]))
        if found is not None:
            assert_same(found, whole, length)
            accepted.append(length)
    # what may be missing is an end mark, or padding
    assert all(length >= len(stream) - 6 for length in accepted)
    if name in ("none", "deflate", "deflate-old", "lzma", "lerc", "jpeg", "jpeg-ycbcr"):
        assert accepted == []


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_streams_of_nothing(name):
    """No bytes, zeros, ones and noise are no pixels."""
    streams.needs(name)
    page = streams.page_of(name)
    rng = np.random.default_rng(1)
    for length in (1, 2, 3, 10, 200):
        for stream in (bytes(length), b"\xff" * length, b"\x80" * length):
            if name == "ccitt-g4" and length >= 3 and stream[0] == 0xFF:  # 24 codes for "as the row above": white
                assert not outcome(with_stream(page, stream)).any()
            else:
                assert refuses(page, stream), (length, stream[:1])
    if name not in (
        "none",
        "packbits",
        "ccitt-rle",
        "ccitt-g3",
        "ccitt-g4",
        "lzw",
        "lzw-old",
    ):  # nearly all streams mean something
        assert all(refuses(page, rng.bytes(length)) for length in range(1, 2000, 100))


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_streams_of_another_size(name):
    """A stream of a smaller picture is a DecodeError; one of a larger picture is too, or gives the first pixels."""
    streams.needs(name)
    page = streams.page_of(name)
    knows_its_size = name.removesuffix("-lossy").removesuffix("-ycbcr") in ("jpeg", "webp", "lerc")
    sizes = [(20, 40), (12, 20), (25, 40), (24, 41), (40, 24), (48, 80)]
    if name != "ccitt-g3":  # where lines of another length are usual, and filled up with white
        sizes += [(24, 39), (24, 20)]
    for rows, columns in sizes:
        stream = streams.page_of(name, rows, columns).chunks[0]
        found = outcome(with_stream(page, stream))
        if rows * columns < streams.ROWS * streams.COLUMNS or knows_its_size:
            tall_jpeg = name.startswith("jpeg") and columns == streams.COLUMNS and rows > streams.ROWS
            assert tall_jpeg or found is None, (rows, columns)
        elif found is not None and not name.startswith("ccitt"):
            first = helper.pixels((rows, columns), "u1", rows).ravel()[: found.size]
            assert_same(found, first.reshape(found.shape), (rows, columns))


@pytest.mark.parametrize("name", ["lzw", "packbits", "lzma"])
def test_flipped_bits(name):
    """Damaged streams give what a decoder that believes nothing reads from the same bytes, or DecodeError."""
    streams.needs(name)
    page = streams.page_of(name)
    stream, count = page.chunks[0], streams.ROWS * streams.COLUMNS
    same = refused = 0
    for damaged in streams.flips(stream, 300):
        found = outcome(with_stream(page, damaged))
        if found is None:
            refused += 1
            continue
        try:
            expected = DECODERS[name](damaged, count)
        except ValueError as error:
            raise AssertionError(f"accepted, although {error}: {damaged.hex()}") from None
        assert found.tobytes() == expected
        same += 1
    assert refused > 0
    assert same > 0 or name == "lzma"  # which has a checksum


@pytest.mark.parametrize("name", [*EXACT, *LOSSY])
def test_damage_is_seen_alike_each_time(name):
    """A damaged stream gives the same pixels whatever was read before it: none come from memory that held others."""
    streams.needs(name)
    damaged_page, noise = streams.page_of(name), streams.page_of(name)
    stream = damaged_page.chunks[0]
    for damaged in streams.flips(stream, 60, seed=2):
        damaged_page.chunks = [damaged]
        with lazytiff.TiffFile(helper.tiff(damaged_page, noise), cache_bytes=0) as tif:
            found = []
            for _ in range(2):
                try:
                    found.append(tif.pages[0].copy().tobytes())
                except lazytiff.DecodeError:
                    found.append(None)
                tif.pages[1].copy()
            assert found[0] == found[1]
        assert (outcome(helper.tiff(damaged_page)) is None) == (found[0] is None)


# ---- Deflate, whose checksum comes last


@pytest.mark.parametrize("beyond", [0, 1, 64, 5000], ids=["exact", "one more", "a row more", "much more"])
@pytest.mark.parametrize("predictor", [1, 2, 3])
@pytest.mark.parametrize("tile", [None, (16, 16)], ids=["strip", "tile"])
def test_flipped_deflate(tile, predictor, beyond):
    """Whatever bits are flipped, wherever the stream ends: what zlib reads from these bytes, or DecodeError."""
    layout = Layout("deflate", predictor, tile)
    dtype = "f4" if predictor == 3 else "u2"
    array = helper.pixels((16, 16), dtype, 7)
    page = helper.page(array, layout)
    plain = helper.stored_rows(array[..., None], layout.predictor, 8 * array.itemsize, "<").tobytes()
    refused = 0
    for level in (0, 1, 9):
        stream = zlib.compress(plain + helper.pixels((beyond,), "u1", 8).tobytes(), level)
        assert_same(outcome(with_stream(page, stream)), array)
        for damaged in streams.flips(stream, 150, seed=level):
            found = outcome(with_stream(page, damaged))
            if found is None:
                refused += 1
                continue
            back = helper.stored_rows(found[..., None], layout.predictor, 8 * array.itemsize, "<").tobytes()
            decoded, whole = streams.zlib_decode_as_far_as_possible(damaged)
            assert back == decoded[: len(plain)]
            assert whole or zlib.adler32(back) == int.from_bytes(damaged[-4:], "big")
    assert refused > 300


@pytest.mark.parametrize("missing", range(1, 7))
@pytest.mark.parametrize("beyond", [0, 100])
def test_cut_adler(missing, beyond):
    """A stream without its whole checksum is a DecodeError even where all pixels are there."""
    page = streams.page_of("deflate")
    array = outcome(helper.tiff(page))
    stream = zlib.compress(array.tobytes() + bytes(beyond))
    assert_same(outcome(with_stream(page, stream)), array)
    assert refuses(page, stream[:-missing])


def test_adler_of_others():
    """A stream with the checksum of other bytes, also of as many zeros or of the chunk alone, is a DecodeError."""
    page = streams.page_of("deflate")
    array = outcome(helper.tiff(page)).tobytes()
    stream, longer = zlib.compress(array), zlib.compress(array + b"more")
    for other in (b"", bytes(len(array)), array[:-1], array + b"more", array[::-1]):
        adler = zlib.adler32(other).to_bytes(4, "big")
        assert refuses(page, stream[:-4] + adler)
    for other in (b"", array + b"mor"):
        assert refuses(page, longer[:-4] + zlib.adler32(other).to_bytes(4, "big"))


def test_deflate_of_other_kinds():
    """Neither gzip's streams nor raw ones nor those with a preset dictionary are what Compression 8 means."""
    page = streams.page_of("deflate")
    array = outcome(helper.tiff(page)).tobytes()
    for bits in (-15, 31):
        packer = zlib.compressobj(wbits=bits)
        assert refuses(page, packer.compress(array) + packer.flush())
    packer = zlib.compressobj(zdict=array[:100])
    assert refuses(page, packer.compress(array) + packer.flush())


def test_bytes_behind_a_deflate_stream():
    """Bytes behind the end of a stream do not count: padding is usual."""
    page = streams.page_of("deflate")
    array = outcome(helper.tiff(page))
    for behind in (b"\0", bytes(3), bytes(100), b"behind"):
        assert_same(outcome(with_stream(page, zlib.compress(array.tobytes()) + behind)), array)


# ---- JPEG, WebP and LERC say what they hold


@pytest.mark.parametrize("name", ["jpeg", "jpeg-ycbcr"])
@pytest.mark.parametrize(
    ("what", "value"),
    [("bits", 12), *(("rows", rows) for rows in (23, 8, 0)), *(("columns", columns) for columns in (39, 41, 0, 65535))],
)
def test_jpeg_frame_header_that_contradicts(name, what, value):
    """A JPEG stream whose frame header differs from the chunk is a DecodeError."""
    page = streams.page_of(name)
    stream = bytearray(page.chunks[0])
    at = streams.jpeg_frame_at(stream) + {"bits": 0, "rows": 1, "columns": 3}[what]
    size = 1 if what == "bits" else 2
    stream[at : at + size] = value.to_bytes(size, "big")
    assert refuses(page, stream)


def test_jpeg_components():
    """A gray stream in a colour page, or the other way round, is a DecodeError."""
    gray, colour = streams.page_of("jpeg"), streams.page_of("jpeg-ycbcr")
    gray.chunks, colour.chunks = colour.chunks, gray.chunks
    assert outcome(helper.tiff(gray)) is None
    assert outcome(helper.tiff(colour)) is None
    stream = bytearray(gray.chunks[0])
    stream[streams.jpeg_frame_at(stream) + 5] = 1
    assert refuses(gray, stream)


def test_jpeg_height_of_strips():
    """Only the last strip of a page may be taller than what the page has left of it."""
    array = streams.photo(40, 32)
    page = helper.page(array, rows_per_strip=16, tags={259: 7})
    parts = [array[:16], array[16:32], np.concatenate([array[32:], array[:8]])]
    page.chunks = [streams.jpeg_encode(part) for part in parts]
    img = lazytiff.open(helper.tiff(page))
    assert abs(img[32:].astype(int) - array[32:]).mean() < 8
    page.chunks = [page.chunks[0], streams.jpeg_encode(np.concatenate([array[16:32], array[:8]])), page.chunks[2]]
    tall = lazytiff.open(helper.tiff(page))
    np.testing.assert_array_equal(tall[32:], img[32:])
    with pytest.raises(lazytiff.DecodeError, match="24 x 32") as caught:
        tall.copy()
    assert (caught.value.page, caught.value.chunk) == (0, 1)
    img.close()
    tall.close()


def test_jpeg_without_tables():
    """A stream that has no tables, on a page that has none, is a DecodeError; also after one that has."""
    whole = streams.page_of("jpeg")
    page = streams.page_of("jpeg")
    _, page.chunks[0] = streams.jpeg_tables(page.chunks[0])
    assert outcome(helper.tiff(page)) is None
    with lazytiff.TiffFile(helper.tiff(whole, page, whole)) as tif:
        for number in (0, 2):
            tif.pages[number].copy()
            with pytest.raises(lazytiff.DecodeError) as caught:
                tif.pages[1].copy()
            assert caught.value.page == 1


@pytest.mark.parametrize("compatible", [True, False])
def test_lerc_of_another_type(compatible):
    """A LERC blob of as many bytes, but of other numbers, is a DecodeError."""
    streams.needs("lerc")
    page = streams.page_of("lerc")
    other = np.zeros((streams.ROWS, streams.COLUMNS), "i4" if compatible else "u1")
    assert refuses(page, imagecodecs.lerc_encode(other))


# ---- where chunks lie


@pytest.mark.parametrize("codec", ["none", "packbits", "lzw", "deflate", "zstd"])
@pytest.mark.parametrize("short", [1, 2, 100])
def test_strip_that_is_short(codec, short):
    """A strip that is said to be a byte shorter than it is ends early, although the byte is there."""
    streams.needs(codec)
    page = streams.page_of(codec)
    page.tags[279] = helper.Typed(helper.LONG, (len(page.chunks[0]) - short,))
    found = outcome(helper.tiff(page))
    if codec in ("none", "deflate") or short == 100:
        assert found is None
    else:
        page.tags.pop(279)
        assert found is None or found.tobytes() == outcome(helper.tiff(page)).tobytes()


def at_the_end(page, byteorder="<"):
    """Build a file of the page whose last chunk is the file's end; say how long that is."""
    data = helper.tiff(page, byteorder=byteorder)
    with lazytiff.open(data) as img:
        offsets = img.tags["StripOffsets"]
    page.tags[273] = helper.Typed(helper.LONG, (*offsets[:-1], len(data)))
    return helper.tiff(page, byteorder=byteorder) + page.chunks[-1], len(page.chunks[-1])


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("codec", ["none", "deflate", "zstd"])
def test_file_that_ends_early(codec, byteorder):
    """A file that lacks its last bytes lacks the end of a strip: DecodeError of that strip; all others are read."""
    streams.needs(codec)
    array = helper.pixels((40, 50), "u2")
    data, length = at_the_end(helper.page(array, codec=codec, rows_per_strip=8, byteorder=byteorder), byteorder)
    assert_same(lazytiff.load(data), array)
    for missing in (1, 2, length - 1, length):
        with lazytiff.open(data[:-missing]) as img:
            assert_same(img[:32], array[:32])
            for read in (lambda img: img[32:], lambda img: img[39, 3:], lambda img: img.copy()):
                with pytest.raises(lazytiff.DecodeError) as caught:
                    read(img)
                assert (caught.value.page, caught.value.chunk) == (0, 4)


@pytest.mark.parametrize("big", [False, True], ids=["classic", "big"])
@pytest.mark.parametrize("codec", ["none", "packbits", "deflate"])
def test_offsets_that_lead_nowhere(codec, big):
    """A chunk that is said to be in the header or behind the end is a DecodeError, and no other chunk's."""
    array = helper.pixels((40, 50), "u1")
    page = helper.page(array, codec=codec, rows_per_strip=10)
    with lazytiff.open(helper.tiff(page, big=big)) as img:
        good = img.tags["StripOffsets"]
        size = len(helper.tiff(page, big=big))
    for bad in (1, 7, size, size + 1, 2**32 - 1, *((2**63 - 1, 2**63, 2**64 - 1) if big else ())):
        page.tags[273] = helper.Typed(helper.LONG8 if big else helper.LONG, (*good[:2], bad, good[3]))
        with lazytiff.open(helper.tiff(page, big=big)) as img:
            assert_same(img[:20], array[:20])
            assert_same(img[30:], array[30:])
            for key in (..., 25, (slice(None), 3)):
                with pytest.raises(lazytiff.DecodeError) as caught:
                    img[key]
                assert (caught.value.page, caught.value.chunk) == (0, 2)


@pytest.mark.parametrize("codec", ["none", "packbits", "deflate", "zstd", "lzma"])
def test_lengths_that_lie(codec):
    """Lengths beyond the end of the file are cut there, however large: right pixels or DecodeError, at once."""
    streams.needs(codec)
    array = helper.pixels((40, 50), "u1")
    page = helper.page(array, codec=codec, rows_per_strip=10)
    for length in (2**31, 2**40, 2**63, 2**64 - 1):
        page.tags[279] = helper.Typed(helper.LONG8, (length,) * 4)
        data = helper.tiff(page, big=True)
        try:
            found = lazytiff.load(data)
        except lazytiff.DecodeError:
            found = None
        if codec == "none" or found is not None:
            assert_same(found, array)


@pytest.mark.parametrize("codec", ["none", "lzw", "deflate", "zstd"])
@pytest.mark.parametrize("workers", [1, 4])
def test_which_chunk_is_damaged(codec, workers):
    """DecodeError names the first damaged chunk in the order of the pixels, whatever the number of threads."""
    streams.needs(codec)
    stack = helper.pixels((6, 96, 96), "u2")
    pages = [helper.page(array, codec=codec, tile=(16, 16)) for array in stack]
    for number, chunk in ((2, 30), (2, 31), (4, 0)):
        pages[number].chunks[chunk] = pages[number].chunks[chunk][:20]
    with lazytiff.open(helper.tiff(*pages), workers=workers, cache_bytes=0) as img:
        for _ in range(10):
            with pytest.raises(lazytiff.DecodeError) as caught:
                img.copy()
            assert (caught.value.page, caught.value.chunk) == (2, 30)
        with pytest.raises(lazytiff.DecodeError) as caught:
            img[3:]
        assert (caught.value.page, caught.value.chunk) == (4, 0)
        assert_same(img[:2], stack[:2])
        assert_same(img[2, :80], stack[2, :80])
        assert_same(img[::5, ::3, 1::2], stack[::5, ::3, 1::2])
    with (
        lazytiff.open(helper.tiff(*pages), pages=[5, 4], workers=workers) as img,
        pytest.raises(lazytiff.DecodeError) as caught,
    ):
        img.copy()
    assert caught.value.page == 4
