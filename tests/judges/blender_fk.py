"""Where Blender puts the joints of a BVH file: ``python blender_fk.py clip.bvh SECONDS ...``, by a Python with bpy.

Imports the file as the menu does, with its frame rate and length taken over, and prints one JSON object as the last
line: ``fps``, ``frames``, and per joint its ``heads`` (and, of bones without children, ``tails``) at each of the
given seconds, ``[x, y, z]`` in the file's own units and axes (Blender's importer turns Y up to Z up).
"""

import json
import sys

import bpy


def main(path: str, seconds: list[float]) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_anim.bvh(filepath=path, update_scene_fps=True, update_scene_duration=True)
    scene, armature = bpy.context.scene, bpy.context.object
    fps = scene.render.fps / scene.render.fps_base
    heads = {bone.name: [] for bone in armature.pose.bones}
    tails = {bone.name: [] for bone in armature.pose.bones if not bone.children}
    for when in seconds:
        frame = round(when * fps)
        scene.frame_set(scene.frame_start + frame)
        for bone in armature.pose.bones:
            for where, ends in ((heads, bone.head), (tails, bone.tail)):
                if bone.name in where:
                    where[bone.name].append(_unturned(armature.matrix_world @ ends))
    first, last = armature.animation_data.action.frame_range
    print()
    print(json.dumps({"fps": fps, "frames": round(last - first) + 1, "heads": heads, "tails": tails}))


def _unturned(p) -> list[float]:
    return [p.x, p.z, -p.y]


if __name__ == "__main__":
    main(sys.argv[1], [float(s) for s in sys.argv[2:]])
