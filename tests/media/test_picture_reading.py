"""Every kind of picture file gives what a person sees in it, as photo, mask or texture."""

import io
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin, features

from real2sam2real.errors import MissingPartError, UserError
from real2sam2real.media.pictures import decode_texture, open_picture, read_image
from real2sam2real.perceive.masks import load_masks
from real2sam2real.perceive.photo import load_photo

CASES = Path(__file__).parents[3] / "shared" / "cases"
# Red, green and blue as CIE XYZ of 1, adapted to D50, as ICC profiles hold them.
SRGB = [[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]]
SPACES = {  # and the exponent of their curves
    "Display P3": ([[0.51512, 0.24120, -0.00105], [0.29198, 0.69225, 0.04189], [0.15710, 0.06657, 0.78407]], 2.2),
    "Adobe RGB": ([[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]], 2.19921875),
    "ProPhoto": ([[0.79767, 0.28804, 0.0], [0.13519, 0.71188, 0.0], [0.03134, 0.00009, 0.82491]], 1.8),
}
COLORS = np.array([[200, 40, 90], [30, 180, 60], [40, 70, 210], [128, 128, 128], [245, 240, 230], [90, 60, 40]], float)


def patches(colors: np.ndarray) -> np.ndarray:
    """`(48, 16 K, 3)` uint8."""
    return np.repeat(np.repeat(np.round(colors).astype(np.uint8)[None], 48, 0), 16, 1)


def colors_of(pixels: np.ndarray) -> np.ndarray:
    return pixels[24, 8::16].astype(float)


def linear(colors: np.ndarray) -> np.ndarray:
    values = colors / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_space(name: str) -> np.ndarray:
    primaries, gamma = SPACES[name]
    light = linear(COLORS) @ np.array(SRGB) @ np.linalg.inv(np.array(primaries))
    return 255 * np.clip(light, 0, 1) ** (1 / gamma)


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile of version 2."""
    tags = {b"desc": b"desc" + struct.pack(">II", 0, 5) + b"mine\0" + bytes(78), **tags}
    table, data, place = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content
    head = struct.pack(
        ">I4sI4s4s4s12s4s", place + len(data), b"lcms", 0x02100000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"
    )
    head += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + data


def curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))


def xyz(values: list[float]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(value * 65536) for value in values))


def rgb_profile(name: str) -> bytes:
    primaries, gamma = SPACES[name]
    tags = {b"wtpt": xyz([0.9642, 1.0, 0.8249])}
    for letter, value in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = xyz(value)
        tags[bytes([letter]) + b"TRC"] = curve(gamma)
    return profile(b"RGB ", tags)


@pytest.mark.parametrize("name", SPACES)
def test_colour_profiles_become_srgb(tmp_path: Path, name: str) -> None:
    Image.fromarray(patches(in_space(name))).save(tmp_path / "p.png", icc_profile=rgb_profile(name))
    photo = load_photo(tmp_path / "p.png")
    assert np.abs(colors_of(photo.pixels) - COLORS).max() <= 6  # ProPhoto's 8 bits are coarse
    assert photo.notes == ["colours converted from its profile 'mine' to sRGB"]
    assert np.array_equal(read_image(tmp_path / "p.png"), photo.pixels)


def test_profiles_of_grey_pictures_and_of_srgb(tmp_path: Path) -> None:
    greys = 255 * linear(np.linspace(0, 255, 64))
    grey = profile(b"GRAY", {b"wtpt": xyz([0.9642, 1.0, 0.8249]), b"kTRC": curve(1.0)})
    for depth, name in ((np.uint8, "8.png"), (np.uint16, "16.png")):
        scale = np.iinfo(depth).max / 255
        values = np.repeat(np.round(greys * scale).astype(depth)[None], 48, 0)
        Image.fromarray(values).save(tmp_path / name, icc_profile=grey)
        found = load_photo(tmp_path / name).pixels[0, 20:, 1]
        assert np.abs(found - np.linspace(0, 255, 64)[20:]).max() <= 3
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(patches(COLORS)).save(tmp_path / "s.png", icc_profile=own)
    assert np.array_equal(load_photo(tmp_path / "s.png").pixels, patches(COLORS))
    assert load_photo(tmp_path / "s.png").notes == []
    Image.fromarray(patches(COLORS)).save(tmp_path / "broken.png", icc_profile=grey)
    assert "left out" in load_photo(tmp_path / "broken.png").notes[0]


def test_inks_without_a_profile_and_lab(tmp_path: Path) -> None:
    image = Image.fromarray(patches(COLORS))
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "lab.tif")
    assert np.abs(colors_of(load_photo(tmp_path / "lab.tif").pixels) - COLORS).max() <= 10
    image.convert("CMYK").save(tmp_path / "inks.jpg", quality=95)
    assert "a guess" in load_photo(tmp_path / "inks.jpg").notes[-1]


def test_what_cameras_and_png_say_without_a_profile(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(patches(in_space("Adobe RGB"))).save(tmp_path / "_DSC1.png", exif=exif)
    photo = load_photo(tmp_path / "_DSC1.png")
    assert np.abs(colors_of(photo.pixels) - COLORS).max() <= 2
    assert photo.notes == ["colours converted from Adobe RGB to sRGB"]
    buffer = io.BytesIO()
    Image.fromarray(patches(255 * linear(COLORS))).save(buffer, "PNG")
    data = buffer.getvalue()
    chunk = b"gAMA" + struct.pack(">I", 100000)
    chunk = struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "linear.png").write_bytes(data[:33] + chunk + data[33:])
    photo = load_photo(tmp_path / "linear.png")
    assert np.abs(colors_of(photo.pixels) - COLORS).max() <= 6  # linear light in 8 bits is coarse
    assert "gamma 1" in photo.notes[0]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_and_its_colours(tmp_path: Path) -> None:
    Image.fromarray(patches(in_space("Display P3"))).save(tmp_path / "p.avif", quality=95, subsampling="4:4:4")
    data = (tmp_path / "p.avif").read_bytes()
    place = data.index(b"colrnclx") + 8
    (tmp_path / "p.avif").write_bytes(data[:place] + struct.pack(">HH", 12, 4) + data[place + 4 :])  # P3, gamma 2.2
    photo = load_photo(tmp_path / "p.avif")
    assert np.abs(colors_of(photo.pixels) - COLORS).max() <= 8
    assert photo.notes == ["colours converted from Display P3 gamma 2.2 to sRGB"]
    (tmp_path / "p.avif").write_bytes(data[:place] + struct.pack(">HH", 9, 16) + data[place + 4 :])
    assert "PQ (high dynamic range)" in load_photo(tmp_path / "p.avif").notes[0]


def test_heic_where_its_package_is(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    Image.fromarray(patches(in_space("Display P3"))).save(
        tmp_path / "p.heic", quality=95, icc_profile=rgb_profile("Display P3")
    )
    photo = load_photo(tmp_path / "p.heic")
    assert np.abs(colors_of(photo.pixels)[[0, 3, 4]] - COLORS[[0, 3, 4]]).max() <= 16  # 4:2:0
    assert "mine" in photo.notes[0]


def turned(pixels: np.ndarray, orientation: int) -> tuple[np.ndarray, Image.Exif]:
    """What a camera stores of what is seen, and the EXIF that says so."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return np.ascontiguousarray(TURNED[orientation](pixels)), exif


@pytest.mark.parametrize("orientation", [5, 8])
def test_a_grey_jpeg_with_its_own_curve_that_lies_on_its_side(tmp_path: Path, orientation: int) -> None:
    seen = np.repeat(np.linspace(20, 250, 64)[None], 48, 0)
    stored, exif = turned(np.round(255 * linear(seen) ** (1 / 1.8)).astype(np.uint8), orientation)
    grey = profile(b"GRAY", {b"wtpt": xyz([0.9642, 1.0, 0.8249]), b"kTRC": curve(1.8)})
    Image.fromarray(stored).save(tmp_path / "p.jpg", quality=98, exif=exif, icc_profile=grey)
    photo = load_photo(tmp_path / "p.jpg")
    assert photo.pixels.shape == (48, 64, 3)
    assert np.abs(photo.pixels - seen[..., None]).max() <= 5


def test_sixteen_bits_a_colour_and_a_wide_profile(tmp_path: Path) -> None:
    deep = np.repeat(np.repeat(np.round(in_space("ProPhoto") * 257)[None], 48, 0), 16, 1).astype(np.uint16)
    _, encoded = cv2.imencode(".png", deep[..., ::-1])
    data, packed = encoded.tobytes(), b"mine\0\0" + zlib.compress(rgb_profile("ProPhoto"))
    chunk = struct.pack(">I", len(packed)) + b"iCCP" + packed + struct.pack(">I", zlib.crc32(b"iCCP" + packed))
    (tmp_path / "p.png").write_bytes(data[:33] + chunk + data[33:])
    photo = load_photo(tmp_path / "p.png")
    assert np.abs(colors_of(photo.pixels) - COLORS).max() <= 6
    assert "mine" in photo.notes[0]


@pytest.mark.parametrize("orientation", [3, 5, 8])
def test_a_heic_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """Its container says the turn, and EXIF says it again."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    seen = patches(COLORS).copy()
    seen[:24] //= 2
    stored, exif = turned(seen, orientation)
    Image.fromarray(stored).save(tmp_path / "p.heic", quality=95, exif=exif.tobytes())
    assert any(box in (tmp_path / "p.heic").read_bytes() for box in (b"irot", b"imir"))
    pixels = load_photo(tmp_path / "p.heic").pixels
    assert pixels.shape == seen.shape
    assert np.abs(pixels[::47, 8::16].astype(int) - seen[::47, 8::16])[:, [0, 3, 4]].max() <= 16  # 4:2:0


def test_a_palette_of_several_opacities_lies_on_white(tmp_path: Path) -> None:
    labels = np.repeat(np.repeat(np.arange(3)[None], 48, 0), 16, 1)
    colors = [(200, 40, 90), (200, 40, 90), (200, 40, 90)]
    path = palette_file(tmp_path / "p.png", labels, colors, transparency=bytes([255, 128, 0]))
    found = load_photo(path).pixels[24, 8::16].astype(int)
    half = [round(255 + (c - 255) * 128 / 255) for c in colors[0]]
    assert np.abs(found - [colors[0], half, (255, 255, 255)]).max() <= 1


def test_pictures_that_need_something_else_say_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pillow_heif", "pi_heif"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    heads = {
        "p.heic": (b"\0\0\0\x18ftypheic" + bytes(40), "pip install pi-heif"),
        "p.jxl": (b"\xff\x0a" + bytes(40), "JPEG XL"),
        "p.png": (b"\0\0\0\x18ftypisom" + bytes(40), "a video"),
        "p.jpg": (b"%PDF-1.7", "not an image"),
        "p.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "not an image"),
    }
    for name, (head, said) in heads.items():
        (tmp_path / name).write_bytes(head)
        with pytest.raises(UserError, match=said) as caught:
            load_photo(tmp_path / name)
        assert isinstance(caught.value, MissingPartError) == (name == "p.heic")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[0xC612] = b"\1\4\0\0"
    Image.fromarray(patches(COLORS)).save(tmp_path / "p.tif", tiffinfo=tags)  # a thumbnail, to who does not look
    with pytest.raises(UserError, match="raw file"):
        load_photo(tmp_path / "p.tif")


def test_a_gain_map_is_said_to_be_left_out(tmp_path: Path) -> None:
    Image.fromarray(patches(COLORS)).save(
        tmp_path / "p.jpg", comment=b"xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'"
    )
    assert "gain map" in load_photo(tmp_path / "p.jpg").notes[0]
    first, second = (Image.fromarray(patches(colors)) for colors in (COLORS, 255 - COLORS))
    first.save(tmp_path / "p.mpo", save_all=True, append_images=[second], quality=95)
    photo = load_photo(tmp_path / "p.mpo")
    assert np.abs(colors_of(photo.pixels) - COLORS).mean() < 20
    assert "2 pictures; the first" in photo.notes[0]


TURNED = {
    1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1), 6: lambda p: np.rot90(p), 7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: lambda p: np.rot90(p, -1),
}  # fmt: skip


@pytest.mark.parametrize("size", [(48, 80), (64, 64)])
def test_photos_and_their_masks_are_turned_alike(tmp_path: Path, size: tuple[int, int]) -> None:
    seen = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    mask = np.zeros(size, bool)
    mask[5:25, 8:40] = True
    for orientation, stored in TURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(np.ascontiguousarray(stored(seen))).save(tmp_path / "p.png", exif=exif)
        Image.fromarray(np.ascontiguousarray(stored(mask.astype(np.uint8) * 255))).save(tmp_path / "m.png", exif=exif)
        photo = load_photo(tmp_path / "p.png")
        assert np.array_equal(photo.pixels, seen), orientation
        (found,) = load_masks(tmp_path / "m.png", photo.width, photo.height).values()
        assert np.array_equal(found, mask), orientation


FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF", "gif": "GIF", "avif": "AVIF"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_files_end_in_a_message(tmp_path: Path, suffix: str) -> None:
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    rng = np.random.default_rng(0)
    path = tmp_path / f"p.{suffix}"
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(path, FORMATS[suffix])
    whole, refused = path.read_bytes(), 0
    for number in range(24):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[int(rng.integers(1, len(data))) :]
        for place in rng.integers(0, min(len(data), 300), 4):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            load_photo(path)
        except UserError:
            refused += 1
    assert refused >= 8


def palette_file(path: Path, labels: np.ndarray, colors: list[tuple[int, int, int]], **info: object) -> Path:
    image = Image.fromarray(labels.astype(np.uint8), "P")
    image.putpalette([part for color in colors for part in color])
    image.save(path, **info)
    return path


def test_indexed_masks(tmp_path: Path) -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[8:30, 8:30], labels[32:56, 40:70] = 1, 2
    labels[7, 7:31] = 255
    colors = [(i * 37 % 256, i * 91 % 256, i * 53 % 256) for i in range(256)]  # black first
    masks = load_masks(palette_file(tmp_path / "voc.png", labels, colors), 80, 60)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == {"voc_1": 22 * 22, "voc_2": 24 * 30}
    assert "void" in masks.notes[0]
    (alone,) = load_masks(palette_file(tmp_path / "a.png", (labels == 1) * 255, colors), 80, 60).values()
    assert np.array_equal(alone, labels == 1)  # 255 alone is an object
    white_first = palette_file(tmp_path / "w.png", labels != 1, [(255, 255, 255), (0, 0, 0)])
    (object_is_white,) = load_masks(white_first, 80, 60).values()
    assert np.array_equal(object_is_white, labels == 1)
    swapped = np.array([3, 1, 2, 0], np.uint8)[labels * (labels < 3)]  # black is the last entry
    found = load_masks(palette_file(tmp_path / "s.gif", swapped, [(9, 200, 9), *colors[1:3], (0, 0, 0)]), 80, 60)
    assert sorted(int(mask.sum()) for mask in found.values()) == [22 * 22, 24 * 30]
    beyond = np.array([0, 1, 3], np.uint8)[labels * (labels < 3)]  # a label that the palette has no colour for
    found = load_masks(palette_file(tmp_path / "f.png", beyond, colors[:3]), 80, 60)
    assert [int(mask.sum()) for mask in found.values()] == [22 * 22, 24 * 30]


ODD_MASKS = {
    "a cut-out of soft alpha": lambda m: np.dstack([np.full((*m.shape, 3), 60, np.uint8), m * np.uint8(250)]),
    "white on grey with alpha": lambda m: np.dstack([m * np.uint8(155) + 100, np.full(m.shape, 255, np.uint8)]),
    "one label of 16 bits": lambda m: m * np.uint16(40_000),
    "a colour on a colour": lambda m: np.where(m[..., None], [250, 200, 9], [30, 60, 90]).astype(np.uint8),
}


@pytest.mark.parametrize("kind", ODD_MASKS)
@pytest.mark.parametrize("orientation", [5, 7])
def test_masks_of_any_make_are_turned(tmp_path: Path, kind: str, orientation: int) -> None:
    mask = np.zeros((48, 80), bool)
    mask[5:25, 8:40] = True
    stored, exif = turned(ODD_MASKS[kind](mask), orientation)
    Image.fromarray(stored).save(tmp_path / "m.png", exif=exif)
    (found,) = load_masks(tmp_path / "m.png", 80, 48).values()
    assert np.array_equal(found, mask)


def test_labels_of_16_bits_keep_their_numbers(tmp_path: Path) -> None:
    labels = np.zeros((48, 80), np.uint16)
    labels[5:25, 8:40], labels[28:44, 50:70] = 300, 1000
    stored, exif = turned(labels, 5)
    Image.fromarray(stored).save(tmp_path / "m.png", exif=exif)
    found = load_masks(tmp_path / "m.png", 80, 48)
    assert list(found) == ["m_300", "m_1000"]
    for name, mask in found.items():
        assert np.array_equal(mask, labels == int(name[2:]))


def test_a_soft_mask_with_a_grey_palette_keeps_its_white(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:60, :80]
    soft = np.clip(255 - 60 * (np.hypot(rows - 30, columns - 40) - 15), 0, 255).astype(np.uint8)
    Image.fromarray(soft).save(tmp_path / "m.gif")
    (found,) = load_masks(tmp_path / "m.gif", 80, 60).values()
    assert np.array_equal(found, soft > 127)


def test_palettes_depths_and_transparency(tmp_path: Path) -> None:
    whole = np.full((48, 64), 1, np.uint8)
    whole[:, :32] = 0
    photo = load_photo(palette_file(tmp_path / "p.png", whole, [(200, 40, 90), (7, 8, 9)], transparency=1))
    assert photo.pixels[0, 0].tolist() == [200, 40, 90]
    assert photo.pixels[0, 60].tolist() == [255, 255, 255]
    assert "white" in photo.notes[-1]
    Image.fromarray(np.dstack([whole * 100, np.full_like(whole, 128)]), "LA").save(tmp_path / "la.png")
    assert load_photo(tmp_path / "la.png").pixels[0, 60].tolist() == [177] * 3
    for dtype, top in ((np.float32, 1.0), (np.int32, 65535), (np.uint16, 65535)):
        Image.fromarray((whole * float(top) / 2).astype(dtype)).save(tmp_path / "deep.tif")
        assert load_photo(tmp_path / "deep.tif").pixels[0, 60, 0] in (127, 128)


def test_textures_follow_their_own_rules(tmp_path: Path) -> None:
    formats = ("PNG",)
    stored = patches(in_space("Display P3"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "t.png", exif=exif, icc_profile=rgb_profile("Display P3"))
    as_gltf = decode_texture(tmp_path / "t.png", formats, 10**6, as_srgb=False)
    assert np.array_equal(as_gltf, stored)  # glTF 2.0: what the file says of its colours is not for textures
    as_srgb = decode_texture(tmp_path / "t.png", formats, 10**6, as_srgb=True)
    assert np.abs(colors_of(as_srgb) - COLORS).max() <= 3  # and a texture's coordinates know of no turn
    Image.fromarray(np.full((48, 64), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert (decode_texture(tmp_path / "deep.png", formats, 10**6, as_srgb=False) == 128).all()


@pytest.mark.parametrize(("name", "most"), [("p3", 2), ("adobergb", 2), ("prophoto", 2), ("cmyk_icc", 3)])
def test_the_public_photos(name: str, most: float) -> None:
    if not CASES.is_dir():
        pytest.skip("the public cases are not beside this checkout")
    truth = read_image(CASES / "photos" / "truth.png").astype(int)
    assert np.abs(read_image(CASES / "photos" / f"{name}.jpg") - truth).mean() < most
    assert {len(load_masks(CASES / "masks" / "voc.png", 400, 300))} == {2}
    assert open_picture(CASES / "masks" / "mask_6.png").image.size == (400, 300)
