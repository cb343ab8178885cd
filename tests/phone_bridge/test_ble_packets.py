"""Omi's notifications, taken apart: what was sent comes out whole, or not at all."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phone_bridge.ble_adapters import PhotoLost
from phone_bridge.ble_omi_packets import MAX_PHOTO, FrameAssembler, Lost, Photo, PhotoAssembler, Verdict

Packets = list[bytes]


def frame(number: int, size: int) -> bytes:
    """A frame that says in every two bytes which frame it is of."""
    return struct.pack("<H", number) * (-(-size // 2))


def fragments(frames: list[bytes], piece: int, first: int = 0, *, shared: bool = False) -> Packets:
    """The notifications of frames, as firmware counts them (an id each), or as the documents do (an id a frame)."""
    packets, number = [], first
    for whole in frames:
        for index, at in enumerate(range(0, len(whole), piece)):
            packets.append(struct.pack("<HB", number & 0xFFFF, index) + whole[at : at + piece])
            number += not shared
        number += shared
    return packets


def received(packets: Packets, full: int | None) -> tuple[list[bytes], FrameAssembler]:
    assembler = FrameAssembler(full=full)
    out = [item for packet in packets for item in assembler.put(packet)] + assembler.finish()
    return [item for item in out if isinstance(item, bytes)], assembler


sizes = st.lists(st.integers(2, 180), min_size=1, max_size=12)
pieces = st.integers(17, 200).map(lambda size: size // 2 * 2)


@given(sizes, pieces, st.integers(0, 0xFFFF), st.booleans(), st.booleans())
@example([50, 50], 20, 0xFFFF, False, True)
def test_what_is_sent_whole_comes_whole(sizes: list[int], piece: int, first: int, shared: bool, known: bool) -> None:
    frames = [frame(number, size) for number, size in enumerate(sizes)]
    out, _ = received(fragments(frames, piece, first, shared=shared), piece + 3 if known else None)
    assert out == frames


@given(sizes, pieces, st.integers(0, 0xFFFF), st.booleans(), st.data())
def test_no_frame_is_built_from_two(sizes: list[int], piece: int, first: int, known: bool, data: st.DataObject) -> None:
    frames = [frame(number, size) for number, size in enumerate(sizes)]
    packets = fragments(frames, piece, first)
    picked = data.draw(st.lists(st.integers(0, len(packets) - 1), max_size=2 * len(packets)))  # lost, doubled, reordered
    out, _ = received([packets[index] for index in picked], piece + 3 if known else None)
    for item in out:
        assert len(set(item[at : at + 2] for at in range(0, len(item), 2))) == 1
        assert len(item) <= max(map(len, frames))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 0xFFFF))
def test_a_gap_is_counted_in_frames(before: int, lost: int, first: int) -> None:
    frames = [frame(number, 100) for number in range(before + lost + 1)]
    packets = fragments(frames, 40, first)  # three fragments a frame
    assembler = FrameAssembler(full=43)
    items = [item for packet in packets[: 3 * before] + packets[3 * (before + lost) :] for item in assembler.put(packet)]
    assert items == [*frames[:before], Lost(lost), frames[-1]]
    assert assembler.verdicts[Verdict.GAP] == 1


def test_a_frame_that_lost_a_part_is_lost_and_counted_once() -> None:
    frames = [frame(number, 100) for number in range(3)]
    packets = fragments(frames, 40)
    assembler = FrameAssembler(full=43)
    items = [item for packet in packets[:4] + packets[5:] for item in assembler.put(packet)]
    assert items == [frames[0], Lost(1), frames[2]]


def test_silence_and_the_end_of_the_count_are_no_loss() -> None:
    frames = [frame(number, 80) for number in range(200)]
    out, assembler = received(fragments(frames, 100, 0xFFFF - 50), 163)
    assert out == frames
    assert assembler.verdicts[Verdict.CONTIGUOUS] == 199
    assert assembler.verdicts[Verdict.GAP] == assembler.verdicts[Verdict.RESET] == 0


def test_a_device_that_counts_anew_is_followed() -> None:
    frames = [frame(number, 80) for number in range(60)]
    packets = fragments(frames[:20], 100, 5000) + fragments(frames[20:40], 100, 0)
    out, assembler = received(packets, 163)
    assert out == frames[:40]
    assert assembler.verdicts[Verdict.RESET] == 1
    # Anew, and near: it needs a few packets to be told from repetitions.
    packets = fragments(frames[:20], 100, 0) + fragments(frames[20:40], 100, 0)
    out, assembler = received(packets, 163)
    assert out[:20] == frames[:20] and out[20:] == frames[22:40]


def test_repetitions_are_dropped_and_count_as_no_loss() -> None:
    frames = [frame(number, 80) for number in range(10)]
    packets = fragments(frames, 100)
    out, assembler = received([packet for packet in packets for _ in range(2)], 163)
    assert out == frames
    assert assembler.verdicts[Verdict.DUPLICATE] == 10


def test_a_device_that_does_not_fill_its_notifications_is_understood_after_one_frame() -> None:
    frames = [frame(number, 120) for number in range(5)]
    out, assembler = received(fragments(frames, 60), 247 - 3)
    assert out[1:] == frames[1:]
    assert out[0] == frames[0][:60]  # given out early: a part of one frame, never of two
    assert assembler.verdicts[Verdict.MALFORMED] == 1


@given(st.lists(st.binary(max_size=520), max_size=60), st.one_of(st.none(), st.integers(20, 514)))
def test_no_input_breaks_the_assembler(packets: Packets, full: int | None) -> None:
    out, assembler = received(packets, full)
    assert sum(assembler.verdicts.values()) >= len(packets)
    assert sum(map(len, out)) <= sum(map(len, packets))


# Photos.


def jpeg(size: int = 5000) -> bytes:
    body = bytes((7 * index) % 251 for index in range(size))
    return b"\xff\xd8\xff\xe0" + body + b"\xff\xd9"


def chunks(data: bytes, size: int = 200) -> Packets:
    return [struct.pack("<H", index) + data[at : at + size] for index, at in enumerate(range(0, len(data), size))]


END = b"\xff\xff"


def assembled(packets: Packets, full: int | None = 244) -> Photo | None:
    assembler = PhotoAssembler()
    assembler.full = full
    assembler.want(0.0)
    photos = [photo for packet in packets if (photo := assembler.put(packet, 0.1)) is not None]
    return photos[0] if photos else None


@pytest.mark.parametrize("full", [None, 244, 202])
def test_an_openglass_photo_and_an_omiglass_photo(full: int | None) -> None:
    assert assembled([*chunks(jpeg()), END], full) == Photo(jpeg(), 0, 0.1)
    assert assembled([*chunks(b"\x02" + jpeg()), END], full) == Photo(jpeg(), 2, 0.1)


@pytest.mark.parametrize("start", [b"", b"\x04", b"\x00\x00", b"\xff"])
def test_what_does_not_begin_as_a_photo_is_none(start: bytes) -> None:
    data = start + (jpeg() if start else jpeg()[2:])
    with pytest.raises(PhotoLost, match="does not begin"):
        assembled([*chunks(data), END])


@pytest.mark.parametrize("orientation", [b"", b"\x01"])
def test_a_photo_that_lost_any_chunk_is_never_delivered(orientation: bytes) -> None:
    whole = [*chunks(orientation + jpeg(3000)), END]
    for lost in range(len(whole)):
        assembler = PhotoAssembler()
        assembler.want(0.0)
        photo = None
        with pytest.raises(PhotoLost):
            for at, packet in enumerate(whole[:lost] + whole[lost + 1 :]):
                photo = assembler.put(packet, at * 0.01)
            assembler.check(len(whole) * 0.01 + 2.0)
            assembler.check(6.0)  # nothing but its first chunk lost: nothing of it counted
        assert photo is None and not assembler.busy


@given(st.lists(st.tuples(st.integers(0, 16), st.booleans()), max_size=40))
def test_chunks_in_any_order_give_that_photo_or_none(picked: list[tuple[int, bool]]) -> None:
    whole = [*chunks(jpeg(3000)), END]
    assembler = PhotoAssembler()
    for index, again in picked:
        if again and not assembler.busy:
            assembler.want(0.0)
        try:
            photo = assembler.put(whole[index], 0.0)
        except PhotoLost:
            continue
        assert photo is None or photo.jpeg == jpeg(3000)


def test_an_index_of_65535_is_no_end() -> None:
    with pytest.raises(PhotoLost, match="piece 16 is missing"):
        assembled([*chunks(jpeg(3000)), b"\xff\xff\x00", END])


@pytest.mark.parametrize("mtu", [23, 100, 185])
@pytest.mark.parametrize("known", [True, False])
def test_a_photo_whose_chunks_were_cut_by_the_mtu_is_lost_not_spoilt(mtu: int, known: bool) -> None:
    cut = [packet[: mtu - 3] for packet in chunks(jpeg())]
    with pytest.raises(PhotoLost, match="MTU"):
        assembled([*cut, END], mtu - 3 if known else None)


def test_a_firmware_may_choose_smaller_chunks() -> None:
    assert assembled([*chunks(jpeg(), 150), END], 244) == Photo(jpeg(), 0, 0.1)


def test_nobody_asked_and_endless_photos() -> None:
    assembler = PhotoAssembler()
    for packet in [*chunks(jpeg()), END]:
        assert assembler.put(packet, 0.0) is None
    assert assembler.unasked == len(chunks(jpeg())) + 1
    endless = (struct.pack("<H", index) + bytes(200) for index in range(65535))
    with pytest.raises(PhotoLost, match=str(MAX_PHOTO)):
        assembled(list(endless))


def test_the_rest_of_a_photo_before_is_passed_over() -> None:
    assert assembled([*chunks(jpeg(3000))[4:], END, *chunks(jpeg()), END]) == Photo(jpeg(), 0, 0.1)
