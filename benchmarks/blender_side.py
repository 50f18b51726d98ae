"""What `blender_edits.py` runs inside Blender's Python, which has no Real2SAM2Real: edits, exports, and Cycles' films.

Blender's world is Z-up: our (x, y, z) is its (x, −z, y). `python blender_side.py FOLDER EDIT…` imports
FOLDER/scene.glb once for each edit, makes the edit, exports FOLDER/EDIT.glb with `SETTINGS`, and leaves what Cycles
films of it in FOLDER/EDIT.npy and FOLDER/EDIT.json. With `own_meshes` for EDIT, see there.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np

SETTINGS = {
    "export_format": "GLB",
    "export_cameras": True,  # Include > Cameras
    "use_renderable": True,  # Include > Renderable Objects
    "export_apply": True,  # Data > Mesh > Apply Modifiers
    "export_animation_mode": "SCENE",  # Animation > Animation Mode: Scene
    "export_pointer_animation": True,  # Animation > Export Animation Pointer
}
WIDTH, HEIGHT, FRAMES, FPS = 240, 180, 9, 16
FILMED = (0, 3, 6, 8)
EDITS: dict[str, Callable[[], dict | None]] = {}
"""By name: makes the edit; gives export settings that differ from `SETTINGS`, or None."""


def edit(function: Callable[[], dict | None]) -> Callable[[], dict | None]:
    EDITS[function.__name__] = function
    return function


def named(name: str) -> bpy.types.Object:
    return bpy.data.objects[name]


def added(kind: str, name: str, at: tuple[float, float, float] = (0, 4, 0), **how: float) -> bpy.types.Object:
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(location=at, **how)
    bpy.context.object.name = name
    return bpy.context.object


def curves(thing: object) -> list[bpy.types.FCurve]:
    action = thing.id_data.animation_data.action
    return [c for layer in action.layers for s in layer.strips for bag in s.channelbags for c in bag.fcurves]


def keyed(thing: object, path: str, values: dict[int, object], interpolation: str = "LINEAR") -> None:
    for frame, value in values.items():
        setattr(thing, path, value)
        thing.keyframe_insert(path, frame=frame)
    for curve in curves(thing):
        for key in curve.keyframe_points:
            key.interpolation = interpolation


def moved(interpolation: str) -> None:
    box = named("box")
    box.rotation_mode = "XYZ"
    keyed(box, "location", {0: (-1, 4, 0), 4: (0.8, 5, 0.5), 8: (0, 4, -0.4)}, interpolation)
    keyed(box, "rotation_euler", {0: (0, 0, 0), 8: (0.4, 0.9, 2.2)}, interpolation)
    keyed(box, "scale", {0: (1, 1, 1), 8: (0.5, 1.4, 0.8)}, interpolation)


@edit
def untouched() -> None:
    pass


@edit
def keys_linear() -> None:
    moved("LINEAR")


@edit
def keys_bezier() -> None:
    moved("BEZIER")


@edit
def keys_constant() -> None:
    moved("CONSTANT")


@edit
def moved_without_keys() -> None:
    box = named("box")
    box.rotation_mode = "XYZ"
    box.location, box.rotation_euler, box.scale = (0.3, 5, 0.4), (0.3, 0.2, 0.5), (1.3, 0.6, 0.8)


@edit
def negative_scale() -> None:
    thing = added("monkey", "monkey", (0, 4, 0), size=1)
    thing.rotation_euler, thing.scale = (0, 0, 0.6), (-1, 1.2, 0.8)


@edit
def parented_to_a_mover() -> None:
    moved("LINEAR")
    keyed(named("box"), "scale", {0: (1, 1, 1)})
    keyed(named("box"), "scale", {8: (1, 1, 1)})
    ball = named("ball")
    ball.parent = named("box")
    ball.location = (0.9, 0, 0.3)


@edit
def constrained_object() -> None:
    moved("LINEAR")
    limit = named("ball").constraints.new("COPY_LOCATION")
    limit.target, limit.use_y, limit.use_offset = named("box"), False, True


@edit
def driven_object() -> None:
    moved("LINEAR")
    curve = named("ball").driver_add("location", 2)
    curve.driver.expression = "frame * 0.05"


@edit
def hidden_in_renders() -> None:
    named("ball").hide_render = True


@edit
def hidden_in_the_viewport() -> None:
    named("ball").hide_set(True)


@edit
def disabled_in_viewports() -> None:
    named("ball").hide_viewport = True


@edit
def hidden_from_a_key_on() -> None:
    ball = named("ball")
    keyed(ball, "hide_render", {0: False, 5: True}, "CONSTANT")


@edit
def scaled_away_from_a_key_on() -> None:
    keyed(named("ball"), "scale", {0: (0.5, 0.5, 0.5), 5: (0, 0, 0)}, "CONSTANT")


def with_modifier(kind: str, **settings: object) -> bpy.types.Object:
    thing = added("monkey", "monkey", (-0.5, 5, 0), size=0.8)
    made = thing.modifiers.new(kind, kind)
    for name, value in settings.items():
        setattr(made, name, value)
    return thing


@edit
def array_modifier() -> None:
    with_modifier("ARRAY", count=3, relative_offset_displace=(0.8, 0.3, 0))


@edit
def mirror_modifier() -> None:
    with_modifier("MIRROR", mirror_object=named("box"))


@edit
def subdivision_modifier() -> None:
    with_modifier("SUBSURF", levels=1, render_levels=1)


@edit
def subdivision_for_renders_only() -> None:
    thing = added("cube", "block", (0, 4, 0), size=1)
    made = thing.modifiers.new("SUBSURF", "SUBSURF")
    made.levels, made.render_levels = 0, 3


@edit
def modifiers_not_applied() -> dict:
    with_modifier("ARRAY", count=3, relative_offset_displace=(0.8, 0.3, 0))
    return {"export_apply": False}


def with_shape_keys() -> bpy.types.Object:
    thing = added("cube", "block", (0, 4, 0), size=1)
    thing.shape_key_add(name="Basis")
    taller = thing.shape_key_add(name="taller")
    for point in taller.data:
        if point.co.z > 0:
            point.co.z += 0.8
    keyed(taller, "value", {0: 0.0, 8: 1.0})
    return thing


@edit
def shape_keys() -> None:
    with_shape_keys()


@edit
def shape_keys_under_a_modifier() -> None:
    with_shape_keys().modifiers.new("BEVEL", "BEVEL").width = 0.05


@edit
def armature_skin() -> None:
    body = added("cylinder", "snake", (0, 5, 0), vertices=12, depth=1.6, radius=0.25)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide(number_cuts=3)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.object.armature_add(location=(0, 5, -0.8))
    rig = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    lower = rig.data.edit_bones[0]
    lower.name, lower.tail = "lower", (0, 0, 0.8)
    upper = rig.data.edit_bones.new("upper")
    upper.head, upper.tail, upper.parent = (0, 0, 0.8), (0, 0, 1.6), lower
    bpy.ops.object.mode_set(mode="OBJECT")
    body.parent, body.matrix_parent_inverse = rig, rig.matrix_world.inverted()
    body.modifiers.new("rig", "ARMATURE").object = rig
    for name in ("lower", "upper"):
        body.vertex_groups.new(name=name)
    for vertex in body.data.vertices:
        share = min(max((vertex.co.z + 0.8) / 1.6, 0.0), 1.0)
        body.vertex_groups["upper"].add([vertex.index], share, "REPLACE")
        body.vertex_groups["lower"].add([vertex.index], 1 - share, "REPLACE")
    bone = rig.pose.bones["upper"]
    bone.rotation_mode = "XYZ"
    for frame, angle in ((0, 0.0), (8, 1.2)):
        bone.rotation_euler = (angle * 0.2, 0, angle)
        bone.keyframe_insert("rotation_euler", frame=frame)
    keyed(rig, "location", {0: (0, 5, -0.8), 8: (0.7, 5, -0.8)})


@edit
def linked_duplicate() -> None:
    moved("LINEAR")
    copy = named("ball").copy()
    copy.name = "ball two"
    copy.location = (0.2, 4.5, 0.9)
    bpy.context.collection.objects.link(copy)


@edit
def collection_instance() -> None:
    group = bpy.data.collections.new("group")
    thing = added("monkey", "monkey", (0, 0, 0), size=0.6)
    bpy.context.collection.objects.unlink(thing)
    group.objects.link(thing)
    stands = bpy.data.objects.new("stands", None)
    stands.instance_type, stands.instance_collection, stands.location = "COLLECTION", group, (0.2, 4, 0)
    bpy.context.collection.objects.link(stands)


@edit
def deleted() -> None:
    bpy.data.objects.remove(named("ball"))


@edit
def renamed() -> None:
    named("ball").name = "planet"


@edit
def sculpted() -> None:
    for vertex in named("box").data.vertices:
        vertex.co.x *= 1.5 if vertex.co.z > 0 else 0.7


def camera() -> bpy.types.Object:
    found = bpy.context.scene.camera
    found.animation_data_clear()
    return found


def lens() -> bpy.types.Camera:
    data = bpy.context.scene.camera.data
    data.animation_data_clear()
    return data


@edit
def keyed_lens() -> None:
    keyed(lens(), "lens", {0: 30.0, 8: 55.0})


@edit
def keyed_lens_without_pointers() -> dict:
    keyed(lens(), "lens", {0: 30.0, 8: 55.0})
    return {"export_pointer_animation": False}


@edit
def lens_changed() -> None:
    lens().lens = 42


@edit
def sensor_fit() -> None:
    data = lens()
    data.sensor_fit, data.lens_unit, data.lens = "HORIZONTAL", "MILLIMETERS", 35


@edit
def sensor_fit_keyed_lens() -> None:
    lens().sensor_fit = "AUTO"
    keyed(lens(), "lens", {0: 30.0, 8: 55.0})


@edit
def sensor_size() -> None:
    data = lens()
    data.sensor_fit, data.sensor_width, data.lens = "AUTO", 24.0, 28.0


@edit
def shifted_lens() -> None:
    lens().shift_x = 0.08


@edit
def other_resolution() -> None:
    bpy.context.scene.render.resolution_x = WIDTH * 2
    bpy.context.scene.render.resolution_y = HEIGHT * 2


@edit
def other_proportions() -> None:
    bpy.context.scene.render.resolution_y = 135


@edit
def tracking_camera() -> None:
    moved("LINEAR")
    look = camera().constraints.new("TRACK_TO")
    look.target, look.track_axis, look.up_axis = named("box"), "TRACK_NEGATIVE_Z", "UP_Y"


@edit
def tracking_camera_at_rest() -> None:
    look = camera().constraints.new("TRACK_TO")
    look.target, look.track_axis, look.up_axis = named("ball"), "TRACK_NEGATIVE_Z", "UP_Y"


@edit
def parented_camera() -> None:
    crane = bpy.data.objects.new("crane", None)
    bpy.context.collection.objects.link(crane)
    keyed(crane, "location", {0: (0, -1, 0), 8: (1, 0, 0.8)})
    crane.rotation_mode, crane.scale = "XYZ", (1.5, 1.5, 1.5)
    keyed(crane, "rotation_euler", {0: (0, 0, 0), 8: (-0.1, 0, 0.2)})
    camera().parent = crane


@edit
def camera_on_a_path() -> None:
    bpy.ops.curve.primitive_bezier_curve_add(location=(0, -1, 0))
    path = bpy.context.object
    follow = camera().constraints.new("FOLLOW_PATH")
    follow.target, follow.use_fixed_location = path, True
    keyed(follow, "offset_factor", {0: 0.2, 8: 0.8})


@edit
def another_camera_films() -> None:
    other = bpy.data.objects.new("B cam", bpy.data.cameras.new("B cam"))
    other.location, other.rotation_euler = (1.5, 0, 0.5), (math.pi / 2 - 0.1, 0, 0.3)
    bpy.context.collection.objects.link(other)
    bpy.context.scene.camera = other


@edit
def unit_scale() -> None:
    moved("LINEAR")
    bpy.context.scene.unit_settings.scale_length = 0.01


@edit
def other_frame_rate() -> None:
    moved("LINEAR")
    bpy.context.scene.render.fps = 24
    bpy.context.scene.frame_end = 12


@edit
def shorter_frame_range() -> None:
    moved("LINEAR")
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 3, 6


@edit
def longer_frame_range() -> None:
    moved("LINEAR")
    bpy.context.scene.frame_end = 40


def action_of(thing: bpy.types.Object, name: str, places: dict[int, tuple[float, float, float]]) -> bpy.types.Action:
    thing.animation_data_clear()
    keyed(thing, "location", places)
    action = thing.animation_data.action
    action.name, action.use_fake_user = name, True
    return action


@edit
def several_actions() -> None:
    box = named("box")
    action_of(box, "a first idea", {0: (-1, 4, 0), 8: (-1, 4, 1)})
    action_of(box, "the second", {0: (-1, 4, 0), 8: (1, 5, 0)})


@edit
def several_actions_as_actions() -> dict:
    several_actions()
    return {"export_animation_mode": "ACTIONS"}


@edit
def lens_animation_deleted() -> None:
    lens()


@edit
def nla_tracks() -> None:
    box = named("box")
    first = action_of(box, "aside", {0: (-1, 4, 0), 4: (0.5, 4, 0)})
    second = action_of(box, "up", {0: (0.5, 4, 0), 4: (0.5, 4, 0.8)})
    box.animation_data.action = None
    track = box.animation_data.nla_tracks.new()
    track.strips.new("aside", 0, first).action_slot = first.slots[0]
    other = box.animation_data.nla_tracks.new()
    other.strips.new("up", 5, second).action_slot = second.slots[0]


@edit
def cycling_keys() -> None:
    keyed(named("box"), "location", {0: (-1, 4, 0), 2: (-0.4, 4, 0)})
    for curve in curves(named("box")):
        curve.modifiers.new("CYCLES")


@edit
def flat_cube() -> None:
    added("cube", "block", (0, 4, 0), size=1, rotation=(0.3, 0.2, 0.6))


def monkey(*, smooth: bool) -> None:
    thing = added("monkey", "monkey", (0, 4, 0), size=1.6)
    thing.rotation_euler = (0.2, 0, 0.4)
    thing.data.shade_smooth() if smooth else thing.data.shade_flat()


@edit
def flat_monkey() -> None:
    monkey(smooth=False)


@edit
def smooth_monkey() -> None:
    monkey(smooth=True)


@edit
def mug() -> None:
    """A turned wall with a floor, smooth but for its rims, and a handle that reaches into it."""
    outline, around = [(0.45, 0), (0.5, 0.05), (0.5, 1.1), (0.44, 1.1), (0.44, 0.1)], 48
    turns = [2 * math.pi * k / around for k in range(around)]
    points = [(r * math.cos(a), r * math.sin(a), z) for r, z in outline for a in turns]
    faces = [tuple(range(around))[::-1], tuple(range(4 * around, 5 * around))]
    for ring in range(len(outline) - 1):
        for k in range(around):
            low, high = ring * around, (ring + 1) * around
            faces.append((low + k, low + (k + 1) % around, high + (k + 1) % around, high + k))
    mesh = bpy.data.meshes.new("mug")
    mesh.from_pydata(points, [], faces)
    cup = bpy.data.objects.new("mug", mesh)
    bpy.context.collection.objects.link(cup)
    bpy.ops.mesh.primitive_torus_add(
        location=(0.52, 0, 0.58), rotation=(math.pi / 2, 0, 0), major_radius=0.28, minor_radius=0.06,
        major_segments=32, minor_segments=12,
    )  # fmt: skip
    handle = bpy.context.object
    bpy.ops.object.select_all(action="DESELECT")
    cup.select_set(True)
    handle.select_set(True)
    bpy.context.view_layer.objects.active = cup
    bpy.ops.object.join()
    bpy.ops.object.shade_smooth_by_angle(angle=math.radians(35))
    cup.location, cup.rotation_euler = (0, 4, -0.6), (0.35, 0, -0.6)


@edit
def inside_out_mug() -> None:
    mug()
    named("mug").data.flip_normals()


def start(source: Path) -> None:
    """The steps that docs/gltf.md asks for before anything is edited."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = FPS, 0, FRAMES - 1
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    bpy.ops.import_scene.gltf(filepath=str(source))
    scene.camera = next(thing for thing in scene.objects if thing.type == "CAMERA")


def id_material() -> bpy.types.Material:
    """Emits the normal in the camera's frame, and the object's pass index, packed into three numbers."""
    material = bpy.data.materials.new("normals and ids")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    made = {k: nodes.new(f"ShaderNode{k}") for k in ("NewGeometry", "VectorTransform", "SeparateXYZ", "ObjectInfo",
        "Math", "CombineXYZ", "Emission", "OutputMaterial")}  # fmt: skip
    turn, math_node = made["VectorTransform"], made["Math"]
    turn.vector_type, turn.convert_from, turn.convert_to = "NORMAL", "WORLD", "CAMERA"
    links.new(made["NewGeometry"].outputs["Normal"], turn.inputs[0])
    links.new(turn.outputs[0], made["SeparateXYZ"].inputs[0])
    math_node.operation = "MULTIPLY_ADD"
    links.new(made["ObjectInfo"].outputs["Object Index"], math_node.inputs[0])
    math_node.inputs[1].default_value = 4.0
    links.new(made["SeparateXYZ"].outputs[2], math_node.inputs[2])
    for k in range(2):  # emission is never negative
        shift = nodes.new("ShaderNodeMath")
        shift.operation = "ADD"
        shift.inputs[1].default_value = 2.0
        links.new(made["SeparateXYZ"].outputs[k], shift.inputs[0])
        links.new(shift.outputs[0], made["CombineXYZ"].inputs[k])
    links.new(math_node.outputs[0], made["CombineXYZ"].inputs[2])
    links.new(made["CombineXYZ"].outputs[0], made["Emission"].inputs["Color"])
    links.new(made["Emission"].outputs[0], made["OutputMaterial"].inputs["Surface"])
    return material


def film(folder: Path, name: str) -> None:
    """Cycles' normals and ids of the filmed moments."""
    scene = bpy.context.scene
    things = sorted((o for o in bpy.data.objects if o.type == "MESH"), key=lambda o: o.name)
    for number, thing in enumerate(things, start=1):
        thing.pass_index = number
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.cycles.use_adaptive_sampling, scene.cycles.max_bounces = False, 0
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_percentage, scene.render.film_transparent = 100, True
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.view_layers[0].material_override = id_material()
    scene.render.filepath = str(folder / "frame.exr")
    pictures = []
    for frame in FILMED:
        whole, part = divmod(frame * scene.render.fps / FPS, 1)
        scene.frame_set(int(whole), subframe=part)
        bpy.ops.render.render(write_still=True)
        picture = bpy.data.images.load(scene.render.filepath)
        picture.colorspace_settings.name = "Non-Color"
        width, height = picture.size
        pictures.append(np.array(picture.pixels, np.float32).reshape(height, width, 4)[::-1, :, :3])
        bpy.data.images.remove(picture)
    np.save(folder / f"{name}.npy", np.stack(pictures))
    (folder / f"{name}.json").write_text(json.dumps([thing.name for thing in things]))


def own_meshes(folder: Path) -> None:
    """Objects in files of every kind that `--mesh` takes, and Cycles' films of them at rest."""
    turned = {"forward_axis": "NEGATIVE_Z", "up_axis": "Y"}
    for name in ("flat_cube", "flat_monkey", "smooth_monkey", "mug"):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        EDITS[name]()
        scene = bpy.context.scene
        scene.frame_start, scene.render.fps = 0, FPS
        scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
        scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
        bpy.context.collection.objects.link(scene.camera)
        scene.camera.rotation_euler = (math.pi / 2, 0, 0)
        scene.camera.data.sensor_fit, scene.camera.data.angle = "HORIZONTAL", math.radians(60)
        stem = str(folder / name)
        bpy.ops.export_scene.gltf(filepath=stem + ".glb")
        bpy.ops.wm.obj_export(filepath=stem + ".obj")
        bpy.ops.wm.ply_export(filepath=stem + ".ply", export_normals=True, **turned)
        bpy.ops.wm.stl_export(filepath=stem + ".stl", **turned)
        film(folder, name)
        print("filmed", name, flush=True)


def main(folder: Path, names: list[str]) -> None:
    if names == ["own_meshes"]:
        own_meshes(folder)
        return
    for name in names:
        start(folder / "scene.glb")
        changed = EDITS[name]() or {}
        bpy.context.view_layer.update()
        bpy.ops.export_scene.gltf(filepath=str(folder / f"{name}.glb"), **{**SETTINGS, **changed})
        film(folder, name)
        print("filmed", name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or list(EDITS))
