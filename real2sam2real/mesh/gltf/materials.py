"""What a glTF material looks like to us: one base colour texture, or one colour."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from real2sam2real.arrays import Float, UInt8
from real2sam2real.media.pictures import TooManyPixelsError, decode_texture
from real2sam2real.mesh.gltf.container import Document, read_uri
from real2sam2real.mesh.gltf.json_object import JsonObject
from real2sam2real.mesh.gltf.textures import MOST_PIXELS, linear_from_srgb, srgb_from_linear


@dataclass(frozen=True, eq=False)
class Material:
    """The base colour of a surface."""

    factor: Float | None = None  # `(3,)` linear light, or None where the file gives none
    texture: UInt8 | None = None  # `(H, W, 3)` sRGB with the factor worked in, or None
    uv_set: int = 0  # which TEXCOORD the texture uses
    uv_transform: Float | None = None  # `(2, 3)` to be applied to it (KHR_texture_transform)
    # how the texture goes on along u and along v: "repeat", "mirror" or "clamp"
    wrap: tuple[str, str] = ("repeat", "repeat")


class Materials:
    """The file's materials, each read once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._read: dict[int, Material] = {}
        self._images: dict[int, UInt8] = {}

    def get(self, index: int | None) -> Material:
        """Material `index`; for None one without any colour."""
        if index is None:
            return Material()
        if index not in self._read:
            self._read[index] = self._material(self._document.element("materials", index))
        return self._read[index]

    def _material(self, element: JsonObject) -> Material:
        self._note_what_is_lost(element)
        look = element.child("pbrMetallicRoughness")
        key = "baseColor"
        glossy = element.extension("KHR_materials_pbrSpecularGlossiness")  # old exporters
        if glossy is not None and not look.has("baseColorTexture"):
            look, key = glossy, "diffuse"
        factor = None
        if look.has(f"{key}Factor"):
            factor = np.clip(look.numbers(f"{key}Factor", 4)[:3], 0.0, 1.0)
        info = look.child(f"{key}Texture")
        pixels = self._texture(info) if look.has(f"{key}Texture") else None
        if pixels is None:
            return Material(factor=factor)
        if factor is not None and np.any(factor < 1):
            tinted = srgb_from_linear(linear_from_srgb(np.arange(256, dtype=np.uint8))[:, None] * factor)
            pixels = tinted[pixels, np.arange(3)]
        uv_set, transform = _uv_source(info)
        wrap = self._wrap(info)
        return Material(factor=factor, texture=pixels, uv_set=uv_set, uv_transform=transform, wrap=wrap)

    def _note_what_is_lost(self, element: JsonObject) -> None:
        """Name what changes a surface's looks, beyond its shine, and is not read."""
        lost = []
        if (mode := element.text("alphaMode", "OPAQUE")) != "OPAQUE":
            lost.append(f"is drawn opaque (its alphaMode is {mode[:20]})")
        if element.has("normalTexture"):
            lost.append("is drawn without its normal map: normals are the mesh's own")
        if any(element.numbers("emissiveFactor", 3, (0.0, 0.0, 0.0))):
            lost.append("is drawn without its glow")
        for key, what in (("transmission", "transparency"), ("diffuse_transmission", "transparency")):
            if element.extension(f"KHR_materials_{key}") is not None:
                lost.append(f"is drawn without its {what}")
        if lost:
            self._document.note(f"{element.label} {'; it '.join(dict.fromkeys(lost))}")

    def _wrap(self, info: JsonObject) -> tuple[str, str]:
        """How its texture goes on beyond its border, along u and along v."""
        texture = self._document.element("textures", info.needed_index("index", "textures"))
        at = texture.index("sampler", "samplers")
        if at is None:
            return "repeat", "repeat"
        sampler = self._document.element("samplers", at)
        kinds = {33071: "clamp", 33648: "mirror"}
        u, v = (kinds.get(sampler.integer(key, 10497), "repeat") for key in ("wrapS", "wrapT"))
        return u, v

    def _texture(self, info: JsonObject) -> UInt8 | None:
        document = self._document
        texture = document.element("textures", info.needed_index("index", "textures"))
        source = texture.index("source", "images")
        webp = texture.extension("EXT_texture_webp")
        if source is None and webp is not None:
            source = webp.index("source", "images")
        if source is None:
            document.note(f"{texture.label} has no PNG, JPEG or WebP image; the surface is shown without it")
            return None
        if source not in self._images:
            self._images[source] = _read_image(document, source)
        return self._images[source]


def _read_image(document: Document, index: int) -> UInt8:
    element = document.element("images", index)
    view = element.index("bufferView", "bufferViews")
    data = document.buffer_view(view)[0] if view is not None else read_uri(document, element)
    try:
        return decode_texture(io.BytesIO(data), ("PNG", "JPEG", "WEBP"), MOST_PIXELS, as_srgb=False)
    except TooManyPixelsError as error:
        element.fail(f"is an image of {error} pixels; at most {MOST_PIXELS:,} are read", "scale the texture down")
    except ValueError as error:
        element.fail(f"its image cannot be decoded ({str(error)[:80]})", "export with PNG or JPEG textures")


def _uv_source(info: JsonObject) -> tuple[int, Float | None]:
    uv_set = info.integer("texCoord", 0, most=63)
    extension = info.extension("KHR_texture_transform")
    if extension is None:
        return uv_set, None
    turn = extension.number("rotation", 0.0)
    offset = extension.numbers("offset", 2, (0.0, 0.0))
    scale = extension.numbers("scale", 2, (1.0, 1.0))
    c, s = np.cos(turn), np.sin(turn)
    matrix = np.array([[c * scale[0], s * scale[1], offset[0]], [-s * scale[0], c * scale[1], offset[1]]])
    return extension.integer("texCoord", uv_set, most=63), matrix
