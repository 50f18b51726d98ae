"""What a container says about its picture is what is seen. Each kind is a tiny file, patched where it says so."""

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from real2sam2real import media
from real2sam2real.errors import UserError

CASES = Path(__file__).parents[3] / "shared" / "cases" / "videos"
SRGB_TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
SRGB_TO_P3 = np.array([[0.8225, 0.1775, 0.0], [0.0332, 0.9668, 0.0], [0.0171, 0.0724, 0.9105]])
COLORS = np.array([[200, 40, 90], [30, 180, 60], [40, 70, 210], [128, 128, 128], [245, 240, 230], [12, 14, 10]], float)
LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def clip(frames: int = 12, height: int = 32, width: int = 48) -> np.ndarray:
    """Frames that differ, with four different corners."""
    video = np.zeros((frames, height, width, 3), np.uint8)
    video[:, : height // 2, : width // 2] = 220, 30, 30
    video[:, : height // 2, width // 2 :] = 30, 200, 30
    video[:, height // 2 :, : width // 2] = 30, 30, 220
    for t in range(frames):
        video[t, height // 2 :, width // 2 :] = 20 * t
    return video


def encode(path: Path, frames: list[av.VideoFrame], codec: str, *, stamps: list[int] | None = None, **context) -> Path:
    """Write frames with the encoder's settings, in units of 1/600 s where stamps are given, else 1/30 s each."""
    options = {"crf": "8", "bf": "0"} if codec == "libx264" else {}
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        base = Fraction(1, 30) if stamps is None else Fraction(1, 600)
        stream.codec_context.time_base = base
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number if stamps is None else stamps[number], base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def film(path: Path, stamps: list[int] | None = None, count: int = 12, **context) -> Path:
    frames = [av.VideoFrame.from_ndarray(f, format="rgb24").reformat(format="yuv420p") for f in clip(count)]
    return encode(path, frames, "libx264", stamps=stamps, **context)


def patched(path: Path, box: bytes, at: int, value: bytes) -> Path:
    data = bytearray(path.read_bytes())
    place = data.index(box) + 4 + at
    data[place : place + len(value)] = value
    path.write_bytes(data)
    return path


TURNS = {  # a, b, c, d of the display matrix: x' = ax + cy, y' = bx + dy
    "right": ((0, 1, -1, 0), lambda v: np.rot90(v, -1, (1, 2))),
    "left": ((0, -1, 1, 0), lambda v: np.rot90(v, 1, (1, 2))),
    "half": ((-1, 0, 0, -1), lambda v: v[:, ::-1, ::-1]),
    "mirrored": ((-1, 0, 0, 1), lambda v: v[:, :, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda v: v[:, ::-1]),
    "transposed": ((0, 1, 1, 0), lambda v: v.swapaxes(1, 2)),
    "transversed": ((0, -1, -1, 0), lambda v: v.swapaxes(1, 2)[:, ::-1, ::-1]),
}


def test_turns_and_mirrors_are_honoured(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mp4")
    stored = media.read_video(path)
    for name, ((a, b, c, d), expected) in TURNS.items():
        matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
        video = media.read_video(patched(path, b"tkhd", 40, matrix))
        np.testing.assert_array_equal(video, expected(stored), err_msg=name)
        info = media.video_info(path)
        assert (info.height, info.width) == video.shape[1:3]
        assert "turned" in info.notes[0]


def test_a_turn_by_an_odd_angle_is_said_to_be_left_out(tmp_path: Path) -> None:
    slanted = struct.pack(">9i", 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    info = media.video_info(patched(film(tmp_path / "v.mp4"), b"tkhd", 40, slanted))
    assert (info.width, info.height) == (48, 32)
    assert "no quarter turn" in info.notes[0]


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(4, 3), 64), (Fraction(1, 2), 24), (Fraction(1), 48)])
def test_pixels_are_made_square(tmp_path: Path, aspect: Fraction, width: int) -> None:
    path = film(tmp_path / "v.mp4", sample_aspect_ratio=aspect)
    info = media.video_info(path)
    assert (info.width, info.height) == (width, 32)
    assert media.read_video(path).shape == (12, 32, width, 3)
    assert any("square" in note for note in info.notes) == (aspect != 1)


@pytest.mark.parametrize(("first", "count"), [(0, 7), (3, 5), (5, 7)])
def test_an_edit_list_cuts_frames_away(tmp_path: Path, first: int, count: int) -> None:
    path = film(tmp_path / "v.mp4")
    stored = media.read_video(path)
    with av.open(str(path)) as container:
        unit = container.streams.video[0].time_base.denominator // 30
    edit = struct.pack(">2I", count * 1000 // 30, first * unit)
    video = media.VideoFrames(patched(path, b"elst", 8, edit))
    np.testing.assert_array_equal(video[0 : len(video)], stored[first : first + count])
    assert len(list(media.iterate_video(path))) == video.info.frames == count
    assert any("edit list" in note for note in video.info.notes)
    path.write_bytes(path.read_bytes()[:-100])  # the last two frames are missing
    if first + count == len(stored):
        with pytest.raises(UserError, match="Copy it again"):
            media.read_video(path)


@pytest.mark.parametrize("turn", ["left", "transversed", "upside down"])
def test_a_turn_and_wide_pixels_and_an_edit_list_at_once(tmp_path: Path, turn: str) -> None:
    path = film(tmp_path / "v.mp4", sample_aspect_ratio=Fraction(4, 3))
    whole = media.read_video(path)  # (12, 32, 64, 3)
    (a, b, c, d), expected = TURNS[turn]
    patched(path, b"tkhd", 40, struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30))
    with av.open(str(path)) as container:
        unit = container.streams.video[0].time_base.denominator // 30
    video = media.VideoFrames(patched(path, b"elst", 8, struct.pack(">2I", 5 * 1000 // 30, 4 * unit)))
    wanted = expected(whole)[4:9]
    assert len(video) == 5
    assert (video.info.height, video.info.width) == wanted.shape[1:3]
    difference = np.abs(video[0:5].astype(int) - wanted)
    assert difference.mean() < 1
    assert all(any(word in note for note in video.info.notes) for word in ("turned", "square", "edit list"))


SHOWN = {  # time stamps in 1/600 s, and the stored frames that are seen at 30 frames a second
    "slows down": ([0, 20, 40, 60, 80, 160, 240], [0, 1, 2, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6]),
    "two frames were dropped": ([0, 20, 40, 100, 120, 140, 160], [0, 1, 2, 2, 2, 3, 4, 5, 6]),
    "nothing moved": ([0, 20, 40, 60, 260, 280], [0, 1, 2, 3, *[3] * 9, 4, 5]),
    "in bursts": ([0, 20, 40, 45, 48, 60, 80, 100], [0, 1, 4, 5, 6, 7]),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("kind", SHOWN)
def test_a_variable_rate_is_shown_by_its_time_stamps(tmp_path: Path, kind: str, suffix: str) -> None:
    stamps, shown = SHOWN[kind]
    path = film(tmp_path / f"v{suffix}", stamps, len(stamps))
    info = media.video_info(path)
    assert info.fps == 30
    found = media.video_timeline(path).shown.tolist()
    assert found[: len(shown)] == shown
    assert found[len(shown) :] in ([], [len(stamps) - 1] * (len(found) - len(shown)))  # the last is held for its length
    assert abs(len(found) / 30 - (stamps[-1] + 20) / 600) <= (0.01 if stamps[-1] - stamps[-2] == 20 else 0.2)
    greys = np.stack(list(media.iterate_video(path)))[:, -4, -4].mean(axis=-1)
    assert np.abs(greys - 20 * np.array(found)).max() < 9
    assert "variable frame rate" in info.notes[0]


def test_small_jitter_is_no_variable_rate(tmp_path: Path) -> None:
    info = media.video_info(film(tmp_path / "v.mp4", [0, 21, 39, 60, 81, 100, 119, 141], 8))
    assert (info.frames, info.notes) == (8, ())
    assert info.fps == pytest.approx(30, rel=0.01)


def encoded(colors: np.ndarray, matrix: int, full: bool) -> list[np.ndarray]:
    """10-bit Y'CbCr `(K,)` of R'G'B' `(K, 3)` in 0…1, by ITU-R BT.601, 709 or 2020."""
    kr, kb = LUMA[matrix]
    red, green, blue = colors.T
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    if full:
        return [np.round(1023 * luma), np.round(512 + 1023 * cb), np.round(512 + 1023 * cr)]
    return [np.round(4 * (16 + 219 * luma)), np.round(4 * (128 + 224 * cb)), np.round(4 * (128 + 224 * cr))]


def colors_read(path: Path, colors: np.ndarray, *, matrix: int, full: bool = False, primaries: int = 2, curve: int = 2):
    """The colours `(K, 3)` that are read of a video whose coded R'G'B' are `colors` in 0…1; and its notes."""
    frame = av.VideoFrame(16 * len(colors), 16, "yuv420p10le")
    for plane, values in zip(frame.planes, encoded(np.clip(colors, 0, 1), matrix, full), strict=True):
        padded = np.zeros((plane.height, plane.line_size // 2), "<u2")
        padded[:, : plane.width] = np.repeat(values, plane.width // len(colors))
        plane.update(padded.tobytes())
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    frame.color_primaries, frame.color_trc = primaries, curve
    tags = {"colorspace": matrix, "color_range": 2 if full else 1, "color_primaries": primaries, "color_trc": curve}
    encode(path, [frame], "ffv1", **tags)
    return media.read_video(path)[0, 8, 8::16].astype(float), media.video_info(path).notes


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", LUMA)
def test_matrix_and_range_are_honoured(tmp_path: Path, matrix: int, full: bool) -> None:
    found, notes = colors_read(tmp_path / "v.mkv", COLORS / 255, matrix=matrix, full=full, primaries=1, curve=1)
    assert np.abs(found - COLORS).max() <= 3
    assert notes == ()


def linear(colors: np.ndarray) -> np.ndarray:
    values = colors / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(
    ("primaries", "from_srgb", "name"), [(9, SRGB_TO_2020, "BT.2020"), (12, SRGB_TO_P3, "Display P3")]
)
def test_wide_primaries_become_srgb(tmp_path: Path, primaries: int, from_srgb: np.ndarray, name: str) -> None:
    wide = srgb(linear(COLORS) @ from_srgb.T)
    found, notes = colors_read(tmp_path / "v.mkv", wide, matrix=9, primaries=primaries, curve=14)
    assert np.abs(found - COLORS).max() <= 4
    assert notes == (f"colours converted from {name} to sRGB",)


def pq(nits: np.ndarray) -> np.ndarray:
    power = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(nits: np.ndarray) -> np.ndarray:
    scene = (nits / 1000) ** (1 / 1.2)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


@pytest.mark.parametrize(("curve", "encode_nits"), [(16, pq), (18, hlg)], ids=["PQ", "HLG"])
def test_high_dynamic_range_becomes_a_standard_screens(tmp_path: Path, curve: int, encode_nits) -> None:
    dim = np.minimum(COLORS, 195)  # below the knee: BT.1886's colours of the same light
    light = np.maximum((dim / 255) ** 2.4 @ SRGB_TO_2020.T, 0) * 100
    found, notes = colors_read(tmp_path / "v.mkv", encode_nits(light), matrix=9, primaries=9, curve=curve)
    assert np.abs(found - dim).max() <= 4
    assert "high dynamic range" in notes[0]
    greys = np.array([60.0, 100, 203, 400, 700, 1000])[:, None].repeat(3, 1)
    bright, _ = colors_read(tmp_path / "w.mkv", encode_nits(greys), matrix=9, primaries=9, curve=curve)
    assert (np.diff(bright[:, 1]) > 0).all(), "highlights keep their order"
    assert bright[-1, 1] >= 253


def test_pq_with_another_matrix_range_and_primaries(tmp_path: Path) -> None:
    """Not HDR10: BT.601's matrix, full range and P3's primaries; each property counts by itself."""
    dim = np.minimum(COLORS, 195)
    light = np.maximum((dim / 255) ** 2.4 @ SRGB_TO_P3.T, 0) * 100  # P3's primaries under PQ
    found, notes = colors_read(tmp_path / "v.mkv", pq(light), matrix=6, full=True, primaries=12, curve=16)
    assert np.abs(found - dim).max() <= 4
    assert "high dynamic range" in notes[0]


def test_what_cannot_be_honoured_is_said(tmp_path: Path) -> None:
    _, notes = colors_read(tmp_path / "v.mkv", COLORS / 255, matrix=1, primaries=22, curve=17)
    assert "primaries 22 and transfer curve 17" in notes[0]


def test_titles_in_latin_1_do_no_harm(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mkv")
    with av.open(str(path)) as source, av.open(str(tmp_path / "t.mkv"), "w") as target:
        target.metadata["title"] = "Munchen"
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    path.write_bytes((tmp_path / "t.mkv").read_bytes().replace(b"Munchen", b"M\xfcnchen"))
    assert media.read_video(path).shape == (12, 32, 48, 3)


def test_an_unknown_codec_and_pipes_are_refused_at_once(tmp_path: Path) -> None:
    path = film(tmp_path / "v.mkv")
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/XYZ"))
    with pytest.raises(UserError, match="cannot decode; encode it again"):
        media.read_video(path)
    os.mkfifo(tmp_path / "pipe.mp4")
    for no_file, kind in ((tmp_path / "pipe.mp4", "a pipe"), (Path("/dev/zero"), "a device")):
        for read in (media.video_info, media.read_image):
            with pytest.raises(UserError, match=f"is {kind}, not a file"):
                read(no_file)


def test_hidden_reference_pictures_are_not_counted(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 96, 3), np.uint8)
    frames = [av.VideoFrame.from_ndarray(np.roll(noise, t, 1)[:, :48].copy(), format="rgb24") for t in range(40)]
    frames = [frame.reformat(format="yuv420p") for frame in frames]
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "arnr-maxframes": "5"}
    path = encode(tmp_path / "v.webm", frames, "libvpx", options=options, bit_rate=100_000)
    video = media.VideoFrames(path)
    assert len(video) == 40
    assert video[30:40].shape == (10, 32, 48, 3)


SEEN = {  # the public cases: frames, height, width
    "p_-90.mp4": (90, 640, 360), "rot180.mov": (120, 360, 640), "trimmed.mp4": (81, 360, 640),
    "vfr.mp4": (115, 360, 640), "vfr.mkv": (115, 360, 640), "hlg.mov": (30, 360, 640),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_the_public_cases(name: str) -> None:
    if not CASES.is_dir():
        pytest.skip("the public cases are not beside this checkout")
    info = media.video_info(CASES / name)
    assert (info.frames, info.height, info.width) == SEEN[name]
    if name == "hlg.mov":
        reference = media.read_image(CASES / "hlg_ref.png").astype(int)
        assert np.abs(next(media.iterate_video(CASES / name)) - reference).mean() < 4


@pytest.mark.parametrize("lost", [(5,), (3, 5, 6)])
def test_frames_that_the_decoder_leaves_out_keep_their_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: tuple[int, ...]
) -> None:
    """MPEG-4's frames that are not coded (ISO/IEC 14496-2, 6.2.5) give no picture and no error."""
    levels = np.arange(10) * 20 + 30
    with av.open(str(tmp_path / "a.mkv"), "w") as target:
        stream = target.add_stream("mpeg4", rate=10, options={"g": "100", "bf": "0", "q": "2"})
        stream.width = stream.height = 32
        packets = []
        for level in levels:
            packets += stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8)))
        for number, packet in enumerate(packets + stream.encode()):
            not_coded = av.Packet(bytes([0, 0, 1, 0xB6, 0x50 | number, 0x9F]))
            not_coded.pts, not_coded.dts, not_coded.duration = packet.pts, packet.dts, packet.duration
            not_coded.time_base, not_coded.stream = packet.time_base, stream
            target.mux(not_coded if number in lost else packet)
    frames = media.read_video(tmp_path / "a.mkv")
    assert len(frames) == media.video_info(tmp_path / "a.mkv").frames == 10
    shown = [next(n for n in range(k, -1, -1) if n not in lost) for k in range(10)]
    assert np.abs(frames[:, 9, 9, 0].astype(int) - levels[shown]).max() < 8
    assert f"{len(lost)} of its 10 frames cannot be decoded; the frame before is held" in caplog.text
