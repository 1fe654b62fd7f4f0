"""The container: one ZIP for one set of files, and nothing else is a bundle."""

from __future__ import annotations

import io
import random
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_tests.vectors import lax_zip, sample
from edge_sdk.contract import bundle, codec
from edge_sdk.contract.record import open_plain
from edge_sdk.errors import FormatError

parts = st.text("abcXYZ019._-", min_size=1, max_size=8).filter(lambda part: part not in (".", ".."))
names = st.lists(parts, min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(names, st.binary(max_size=60), min_size=1, max_size=8)


def is_writable(files: dict[str, bytes]) -> bool:
    try:
        bundle.check_names(list(files))
    except FormatError:
        return False
    return True


good_trees = trees.filter(is_writable)


@given(good_trees)
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    found = bundle.read(bundle.write(files))
    assert {name: bytes(data) for name, data in found.items()} == files
    assert list(found) == sorted(files)


@given(good_trees)
def test_any_zip_reader_can_read_it(files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.write(files))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files


@given(good_trees, st.randoms(use_true_random=False))
def test_the_order_in_which_files_come_does_not_matter(
    files: dict[str, bytes], shuffler: random.Random
) -> None:
    items = list(files.items())
    shuffler.shuffle(items)
    assert bundle.write(dict(items)) == bundle.write(files)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "A", "b/c", "b", "../d", "e "]), st.binary(max_size=9)), max_size=4
    )
)
def test_a_lax_writer_gets_through_only_with_the_canonical_bytes(members: list[tuple[str, bytes]]) -> None:
    data = lax_zip.write([lax_zip.Member(name.encode(), content) for name, content in members])
    try:
        files = bundle.read(data)
    except FormatError:
        return
    assert bundle.write(files) == data


def test_every_flipped_bit_of_a_small_bundle_is_refused() -> None:
    data = bundle.write({"a/b.json": b'{"x":1}', "c": bytes(range(60)), "d": b""})
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(FormatError):
                bundle.read(damaged)


def test_every_shortened_bundle_is_refused() -> None:
    data = bundle.write({"a": b"12345", "b": b"678"})
    for length in range(len(data)):
        with pytest.raises(FormatError):
            bundle.read(data[:length])
        with pytest.raises(FormatError):
            bundle.read(data[length + 1 :])


@given(st.binary(max_size=300))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(FormatError):
        bundle.read(noise)


@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=12))
def test_overwritten_bytes_are_refused_or_the_same(start: int, patch: bytes) -> None:
    data = sample.plain()
    start %= len(data)
    damaged = (data[:start] + patch + data[start + len(patch) :])[: len(data)]
    if damaged != data:
        with pytest.raises(FormatError):
            open_plain(damaged)


def test_a_zip_of_the_standard_library_is_refused() -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", compression) as archive:
            archive.writestr("a", b"x" * 100)
        with pytest.raises(FormatError):
            bundle.read(buffer.getvalue())


def test_contents_are_views_of_the_bytes_at_hand() -> None:
    data = bytearray(bundle.write({"a": b"12345"}))
    content = bundle.read(data)["a"]
    assert content.obj is data


@pytest.mark.parametrize("count", [0, 65])
def test_the_writer_refuses_what_the_reader_would(count: int) -> None:
    with pytest.raises(FormatError, match="1 to 64 files"):
        bundle.write({f"f{n}": b"" for n in range(count)})


# --- the codec


@given(st.binary(min_size=1, max_size=400))
def test_the_codec_gives_back_what_went_in(plain: bytes) -> None:
    kind, packed = codec.compress(plain)
    assert bytes(codec.decompress(kind, packed, len(plain))) == plain


def test_deflate_is_used_where_it_pays() -> None:
    assert codec.compress(sample.noise("incompressible", 4_000))[0] == "none"
    kind, packed = codec.compress(sample.noise("half", 2_000) + bytes(2_000))
    assert kind == "deflate"
    assert len(packed) <= codec.WORTHWHILE * 4_000


def test_what_would_look_like_a_bomb_is_left_alone() -> None:
    assert codec.compress(bytes(1_000_000))[0] == "none"


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    packed = compressor.compress(bytes(10_000_000)) + compressor.flush()
    with pytest.raises(FormatError, match="100 times"):
        codec.decompress("deflate", packed, 10_000_000)
    with pytest.raises(FormatError, match="does not end exactly"):
        codec.decompress("deflate", packed, 100 * len(packed))


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_flipped_bit_in_a_deflate_stream_never_changes_the_length(position: int, bit: int) -> None:
    plain = b"the same words again and again " * 20
    compressor = zlib.compressobj(9, wbits=-15)
    packed = bytearray(compressor.compress(plain) + compressor.flush())
    packed[position % len(packed)] ^= 1 << bit
    try:
        result = codec.decompress("deflate", packed, len(plain))
    except FormatError:
        return
    assert len(result) == len(plain)  # other content is the digest's business


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), min_size=1), st.integers(1, 500))
def test_a_stream_in_pieces_of_any_size_gives_the_same(plain: bytes, cuts: list[int], piece: int) -> None:
    plain = plain * 7  # matches that reach over the ends of pieces
    compressor = zlib.compressobj(9, wbits=-15)
    packed = compressor.compress(plain) + compressor.flush()
    rest, pieces = packed, []
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    pieces.append(rest)
    made = list(codec.inflate(pieces, len(plain), piece))
    assert b"".join(made) == plain
    assert max(map(len, made)) <= piece
    for wrong in (len(plain) - 1, len(plain) + 1):
        if wrong >= 0:
            with pytest.raises(FormatError, match="does not end exactly"):
                list(codec.inflate(pieces, wrong, piece))
    for damaged in ([*pieces, b"\0"], [packed[:-1]]):
        with pytest.raises(FormatError):
            list(codec.inflate(damaged, len(plain), piece))


# --- a bundle in three places


FILES = {"a.json": b"{}", "b": b"", "model": bytes(range(200))}


def in_parts(data: bytes) -> tuple[memoryview, memoryview, memoryview]:
    bounds = bundle.payload_bounds(data, "model")
    assert bounds is not None
    low, length = bounds
    view = memoryview(data)
    return view[:low], view[low : low + length], view[low + length :]


@pytest.mark.parametrize("believed", [True, False])
def test_in_three_places_it_is_the_same_bundle(believed: bool) -> None:
    head, payload, tail = in_parts(bundle.write(FILES))
    found = bundle.read_parts(head, payload, tail, believed=believed)
    assert {name: bytes(data) for name, data in found.items()} == FILES
    assert found["model"] is payload


def test_what_is_believed_is_the_checksum_of_the_payload_and_nothing_else() -> None:
    data = bundle.write(FILES)
    head, payload, _ = in_parts(data)
    at = len(head)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1
        parts = (damaged[:at], damaged[at : at + len(payload)], damaged[at + len(payload) :])
        views = [memoryview(part) for part in parts]
        with pytest.raises(FormatError):
            bundle.read_parts(views[0], views[1], views[2])
        if at <= position < at + len(payload):
            assert bundle.read_parts(views[0], views[1], views[2], believed=True)["model"] == parts[1]
        else:
            with pytest.raises(FormatError):
                bundle.read_parts(views[0], views[1], views[2], believed=True)


@pytest.mark.parametrize("shift", [-1, 1])
def test_parts_that_were_cut_elsewhere_are_refused(shift: int) -> None:
    data = memoryview(bundle.write(FILES))
    head, payload, _ = in_parts(bytes(data))
    low, high = len(head), len(head) + len(payload)
    for first, second in ((low + shift, high), (low, high + shift), (low + shift, high + shift)):
        with pytest.raises(FormatError):
            bundle.read_parts(data[:first], data[first:second], data[second:])


def test_the_payload_is_found_in_a_beginning_that_reaches_to_it() -> None:
    data = bundle.write(FILES)
    head, payload, _ = in_parts(data)
    assert bundle.payload_bounds(head, "model") == (len(head), len(payload))
    for length in range(len(head)):
        assert bundle.payload_bounds(head[:length], "model") is None
    assert bundle.payload_bounds(data, "other") is None


@given(st.binary(max_size=100))
def test_noise_has_no_payload(noise: bytes) -> None:
    bounds = bundle.payload_bounds(noise, "model")
    assert bounds is None or bounds[0] <= len(noise)
