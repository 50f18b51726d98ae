"""The outside of glTF files: GLB chunks, JSON, and buffers wherever they lie; read with checks, written whole."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from real2sam2real.errors import UserError
from real2sam2real.files import refuse_pipe, replacing_file
from real2sam2real.mesh.gltf.json_object import REMEDY, JsonObject
from real2sam2real.workfolder.json_values import parse_json

MOST_BYTES = 2**31  # largest file or buffer that is read: beyond it a scene would not fit a workstation's memory anyway
_JSON, _BIN = 0x4E4F534A, 0x004E4942

_IGNORABLE = (  # they change how a surface shines or is lit, not what we read
    "KHR_materials_",
    "KHR_lights_punctual",
    "KHR_xmp",
    "KHR_texture_transform",
    "KHR_mesh_quantization",
    "KHR_animation_pointer",
    "KHR_node_visibility",
    "EXT_texture_webp",
    "EXT_mesh_gpu_instancing",
)
_TOLD_LATER = (  # where they are needed: beside some there is what we read
    "KHR_draco_mesh_compression",
    "EXT_meshopt_compression",
    "KHR_meshopt_compression",
    "KHR_texture_basisu",
)
_REMEDIES = {
    "KHR_draco_mesh_compression": "export without Draco compression (in Blender: Data > Compression, off), "
    "or run `gltf-transform copy in.glb out.glb`, which decodes it",
    "EXT_meshopt_compression": "run `gltf-transform copy in.glb out.glb`, which decodes it",
    "KHR_meshopt_compression": "run `gltf-transform copy in.glb out.glb`, which decodes it",
    "KHR_texture_basisu": "export with PNG or JPEG textures",
}


@dataclass(eq=False)
class Document:
    """A glTF file in memory: its JSON with checked access, and its buffers."""

    path: Path  # the file
    root: JsonObject  # the JSON's outermost object
    binary: memoryview | None = None  # the GLB's binary chunk, or None
    notes: list[str] = field(default_factory=list)  # remarks for the user on what was renamed, skipped or changed
    _buffers: dict[int, memoryview] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """Number of elements of `kind`, such as "nodes"."""
        return len(self.root.array(kind))

    def element(self, kind: str, index: int) -> JsonObject:
        """JsonObject `index` (checked by the caller through `JsonObject.index`) of `kind`."""
        value = self.root.array(kind)[index]
        name = value.get("name") if isinstance(value, dict) else None
        named = f" '{name[:60]}'" if isinstance(name, str) and name else ""
        return JsonObject(value, f"{self.path.name}: {kind}[{index}]{named}", self.root)

    def elements(self, kind: str) -> list[JsonObject]:
        """All elements of `kind`, in order."""
        return [self.element(kind, i) for i in range(self.count(kind))]

    def note(self, remark: str) -> None:
        """Keep a remark for the user, once."""
        if remark not in self.notes:
            self.notes.append(remark)

    def buffer(self, index: int) -> memoryview:
        """The bytes of `buffers[index]`, exactly as many as it declares."""
        if index not in self._buffers:
            element = self.element("buffers", index)
            length = element.integer("byteLength")
            for packed in ("EXT_meshopt_compression", "KHR_meshopt_compression"):
                if element.extension(packed) is not None and not element.has("uri"):
                    element.fail(f"its data is compressed ({packed}), which is not read", _REMEDIES[packed])
            if element.has("uri"):
                data = read_uri(self, element)
            elif index == 0 and self.binary is not None:
                data = self.binary
            else:
                element.fail("has no 'uri' and the file has no binary chunk for it")
            if length > len(data):
                element.fail(f"declares {length:,} bytes but only {len(data):,} are there: the data is cut off")
            self._buffers[index] = data[:length]
        return self._buffers[index]

    def buffer_view(self, index: int) -> tuple[memoryview, int | None]:
        """The bytes of `bufferViews[index]` and its stride, None for tightly packed."""
        element = self.element("bufferViews", index)
        buffer = self.buffer(element.needed_index("buffer", "buffers"))
        offset = element.integer("byteOffset", 0)
        length = element.integer("byteLength", least=1)
        if offset + length > len(buffer):
            element.fail(f"bytes {offset:,}…{offset + length:,} lie outside its buffer of {len(buffer):,} bytes")
        stride = element.integer("byteStride", least=1, most=252) if element.has("byteStride") else None
        return buffer[offset : offset + length], stride


def read_uri(document: Document, element: JsonObject) -> memoryview:
    """The bytes behind `element`'s `uri`: data inside the URI, or a file beside the document, never elsewhere."""
    uri = element.text("uri")
    if uri.startswith("data:"):
        head, comma, body = uri.partition(",")
        if not comma or not head.endswith(";base64"):
            element.fail("its data URI is not base64")
        try:
            return memoryview(base64.b64decode(body, validate=True))
        except (binascii.Error, ValueError):
            element.fail("its data URI holds characters that are not base64")
    name = unquote(uri)
    remedy = "put the file beside the glTF file and name it by a relative path, or export a GLB"
    if name.startswith(("/", "\\")) or ":" in name or "\0" in name:
        element.fail(f"its uri '{name[:80]}' is absolute or on the network, and is not followed", remedy)
    folder = document.path.resolve().parent
    try:
        target = (folder / name.replace("\\", "/")).resolve()
        if not target.is_relative_to(folder):
            element.fail(f"its uri '{name[:80]}' leads out of the file's folder, and is not followed", remedy)
        if not target.is_file() or target.stat().st_size > MOST_BYTES:
            element.fail(f"its file '{name[:80]}' is missing or has more than {MOST_BYTES:,} bytes", remedy)
        return memoryview(target.read_bytes())
    except (OSError, RuntimeError, ValueError):
        element.fail(f"its file '{name[:80]}' cannot be read", remedy)


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        UserError: it is missing, cannot be read, or is too large; it is a pipe or a device.
    """
    refuse_pipe(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path.name} is larger than {MOST_BYTES:,} bytes; decimate its meshes or split it")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot read '{path}': {reason}; check the path") from error


def read_document(path: Path) -> Document:
    """Read a GLB, or a glTF JSON with its buffers beside it or inside.

    Raises:
        UserError: the file is missing, cut off, of another format or version, or needs an extension we cannot read.
    """
    data = read_bytes(path)
    binary = None
    text: bytes | memoryview = data
    if data[:4] == b"glTF":
        text, binary = _glb_chunks(path.name, memoryview(data))
    root = JsonObject(_parse(path.name, bytes(text)), path.name)
    version = root.child("asset").value.get("version")
    if not isinstance(version, str) or version.split(".")[0] != "2":
        shown = repr(version)[:20]
        raise UserError(f"{path.name} is glTF version {shown}; only version 2 is read: {REMEDY} as glTF 2.0")
    for extension in map(str, root.array("extensionsRequired")):
        if not extension.startswith(_IGNORABLE):
            remedy = _REMEDIES.get(extension, "export without it")
            raise UserError(f"{path.name} needs the glTF extension {extension[:60]}, which is not read; {remedy}")
    document = Document(path=path, root=root, binary=binary)
    for extension in dict.fromkeys(map(str, root.array("extensionsUsed"))):
        if extension == "KHR_materials_variants":
            document.note(f"{path.name} has several looks (KHR_materials_variants); its default one is shown")
        elif not extension.startswith((*_IGNORABLE, *_TOLD_LATER)):
            document.note(f"{path.name} uses the glTF extension {extension[:60]}, which is not read")
    return document


def _glb_chunks(name: str, data: memoryview) -> tuple[memoryview, memoryview | None]:
    if len(data) < 20:
        raise UserError(f"{name} ends within its GLB header: the file is cut off; {REMEDY}")
    _, version, length = struct.unpack_from("<4sII", data)
    if version != 2:
        raise UserError(f"{name} is GLB version {version}; only version 2 is read: {REMEDY} as glTF 2.0")
    if length > len(data):
        raise UserError(f"{name} should have {length:,} bytes but has {len(data):,}: the file is cut off; {REMEDY}")
    chunks: dict[int, memoryview] = {}
    offset = 12
    while offset + 8 <= length:
        size, kind = struct.unpack_from("<II", data, offset)
        offset += 8
        if offset + size > length:
            raise UserError(f"{name} has a chunk of {size:,} bytes that ends beyond the file: it is damaged; {REMEDY}")
        if not chunks and kind != _JSON:
            raise UserError(f"{name} does not start with a JSON chunk: it is damaged; {REMEDY}")
        chunks.setdefault(kind, data[offset : offset + size])
        offset += size
    if _JSON not in chunks:
        raise UserError(f"{name} has no JSON chunk: it is damaged; {REMEDY}")
    return chunks[_JSON], chunks.get(_BIN)


def _parse(name: str, text: bytes) -> Any:
    try:
        return parse_json(text, finite=True)
    except ValueError as error:
        raise UserError(
            f"{name} is neither a GLB nor glTF JSON ({str(error)[:120]}); give a .glb or .gltf file"
        ) from error


def write_glb(path: Path, root: dict[str, Any], binary: bytes | bytearray) -> None:
    """Write a GLB of `root` (JSON) and one binary chunk, whole or not at all.

    Raises:
        UserError: the file would exceed the 4 GiB that a GLB can hold, or cannot be written.
    """
    text = json.dumps(root, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    padding = b"\0" * (-len(binary) % 4)
    length = 12 + 8 + len(text) + (8 + len(binary) + len(padding) if binary else 0)
    if length >= 2**32:
        raise UserError(f"{path.name} would have {length:,} bytes and a GLB holds 4 GiB; use fewer frames or vertices")
    try:
        with replacing_file(path) as temporary, temporary.open("wb") as file:
            file.write(struct.pack("<4sII", b"glTF", 2, length))
            file.write(struct.pack("<II", len(text), _JSON) + text)
            if binary:
                file.write(struct.pack("<II", len(binary) + len(padding), _BIN))
                file.write(binary)
                file.write(padding)
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror or error}; choose another place") from error
