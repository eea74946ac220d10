"""Odd rigs and smooth motions for them, built in code: nothing may be tested on one skeleton only."""

import math
from pathlib import Path

import torch

from motif import contact, io, rotation
from motif.motion import Motion
from motif.rig_guess import guess_pairs_and_contacts, guess_rig
from motif.skeleton import Skeleton


def build(names, parents, offsets, end=()):
    """A skeleton from plain lists, with pairs and contacts guessed from its natural pose."""
    rows = tuple((float(x), float(y), float(z)) for x, y, z in offsets)
    return guess_pairs_and_contacts(Skeleton(tuple(names), tuple(parents), rows, tuple(end or ())))


def chain(n: int = 4) -> Skeleton:
    """A hanging chain."""
    return build([f"link{i}" for i in range(n)], range(-1, n - 1), [(0, 1, 0)] + [(0, -0.3, 0)] * (n - 1))


def star() -> Skeleton:
    """Six bones on one joint."""
    arms = [(math.cos(a), 0.0, math.sin(a)) for a in torch.arange(6).mul(math.pi / 3).tolist()]
    return build(["hub", *(f"ray{i}" for i in range(6))], [-1] + [0] * 6, [(0, 0.5, 0), *arms])


def two() -> Skeleton:
    """One bone."""
    return build(["base", "lever"], [-1, 0], [(0, 0, 0), (0, 1, 0)])


def tree() -> Skeleton:
    """A biped of 24 joints."""
    names, parents, offsets = ["Hips"], [-1], [(0.0, 1.0, 0.0)]

    def add(name, parent, offset):
        names.append(name)
        parents.append(names.index(parent))
        offsets.append(offset)

    for side, x in (("Left", 1), ("Right", -1)):
        add(f"{side}UpLeg", "Hips", (0.1 * x, 0, 0))
        add(f"{side}Leg", f"{side}UpLeg", (0, -0.45, 0))
        add(f"{side}Foot", f"{side}Leg", (0, -0.45, 0))
        add(f"{side}ToeBase", f"{side}Foot", (0, -0.08, 0.12))
        add(f"{side}Toe_End", f"{side}ToeBase", (0, 0, 0.08))
    for name, parent in (
        ("Spine", "Hips"),
        ("Spine1", "Spine"),
        ("Spine2", "Spine1"),
        ("Neck", "Spine2"),
        ("Head", "Neck"),
    ):
        add(name, parent, (0, 0.12, 0))
    for side, x in (("Left", 1), ("Right", -1)):
        add(f"{side}Shoulder", "Spine2", (0.06 * x, 0.08, 0))
        add(f"{side}Arm", f"{side}Shoulder", (0.12 * x, 0, 0))
        add(f"{side}ForeArm", f"{side}Arm", (0.28 * x, 0, 0))
        add(f"{side}Hand", f"{side}ForeArm", (0.25 * x, 0, 0))
    return build(names, parents, offsets)


def quadruped() -> Skeleton:
    """Four legs, spine, head and tail."""
    names, parents = ["pelvis", "chest", "head", "tail"], [-1, 0, 1, 0]
    offsets = [(0.0, 0.7, 0.0), (0.0, 0.0, 0.6), (0.0, 0.2, 0.25), (0.0, 0.0, -0.3)]
    for end, root in (("front", 1), ("back", 0)):
        for side, x in (("L", 0.12), ("R", -0.12)):
            for bone, offset in (("thigh", (x, 0, 0)), ("shin", (0, -0.33, -0.02)), ("paw", (0, -0.33, 0.02))):
                parents.append(root if bone == "thigh" else len(names) - 1)
                names.append(f"{end}_{bone}_{side}")
                offsets.append(offset)
    return build(names, parents, offsets)


def bird() -> Skeleton:
    """Two wings, two feet."""
    names, parents = ["body", "neck", "head", "tail"], [-1, 0, 1, 0]
    offsets = [(0.0, 0.4, 0.0), (0.0, 0.1, 0.1), (0.0, 0.1, 0.05), (0.0, 0.0, -0.2)]
    for side, x in ((".L", 1), (".R", -1)):
        for bone, parent, offset in (
            ("wing", 0, (0.05 * x, 0.05, 0)), ("wing_mid", -1, (0.3 * x, 0, 0)), ("wing_tip", -1, (0.3 * x, 0, 0)),
            ("thigh", 0, (0.05 * x, -0.05, 0)), ("foot", -1, (0, -0.3, 0)), ("toes", -1, (0, -0.04, 0.08)),
        ):  # fmt: skip
            parents.append(parent if parent == 0 else len(names) - 1)
            names.append(bone + side)
            offsets.append(offset)
    return build(names, parents, offsets)


def snake(n: int = 12) -> Skeleton:
    """A chain along the ground."""
    return build([f"bone{i}" for i in range(n)], range(-1, n - 1), [(0, 0.05, 0)] + [(0, 0, -0.2)] * (n - 1))


RIGS = {f.__name__: f for f in (chain, star, two, tree, quadruped, bird, snake)}


def walk(rig: Skeleton, frames: int, fps: float, seed: int) -> Motion:
    """A smooth seeded motion: every joint swings at a few frequencies, the root goes forward and turns."""
    random = torch.Generator().manual_seed(seed)
    j = len(rig)
    t = torch.arange(frames)[:, None, None] / fps
    speed = 0.5 + 1.5 * torch.rand(3, 1, j, 3, generator=random)
    phase = 2 * math.pi * torch.rand(3, 1, j, 3, generator=random)
    swing = torch.sin(2 * math.pi * speed[:, :] * t + phase).mean(0) * 0.5
    turn = 0.3 * torch.sin(0.7 * t[:, 0, 0]) + 0.2 * t[:, 0, 0]
    swing[:, 0] *= 0.2
    rotations = rotation.exp(swing)
    rotations[:, 0] = rotation.mul(rotation.about("y", turn), rotations[:, 0])
    positions = rig.offset_tensor().expand(frames, -1, -1).clone()
    forward = rotation.rotate(rotation.about("y", turn), torch.tensor([0.0, 0.0, 1.0]).expand(frames, 3))
    positions[:, 0] += (forward * (0.8 * rig.height / fps)).cumsum(0)
    positions[:, 0, 1] += 0.03 * rig.height * torch.sin(5 * t[:, 0, 0])
    return Motion(rig, rotations, positions, 1 / fps, "walk")


def jumps() -> Motion:
    """A real clip: CMU 01_01 at 30 fps as cgspeed converted it, jumps and turns (src/motif/assets/NOTICE.txt)."""
    return io.load(Path(__file__).parent / "cases" / "cmu_01_01.bvh")


# --- the same motion, spelled another way ----------------------------------------------------------------------------
def under_a_node(motion: Motion) -> Motion:
    """With a turned, shifted joint above the hips that never moves."""
    s, t = motion.skeleton, len(motion)
    node = rotation.exp(torch.tensor([0.0, 0.7, 0.0]))
    q, p = motion.rotations.clone(), motion.positions.clone()
    q[:, 0] = rotation.mul(rotation.inv(node), q[:, 0])
    p[:, 0] = rotation.rotate(rotation.inv(node), p[:, 0] - torch.tensor([0.1, 0.0, -0.2]))
    q = torch.cat((node.expand(t, 1, 4), q), 1)
    p = torch.cat((torch.tensor([0.1, 0.0, -0.2]).expand(t, 1, 3), p), 1)
    offsets = ((0.1, 0.0, -0.2), *s.offsets)
    raw = Skeleton(("Armature", *s.names), (-1, *(j + 1 for j in s.parents)), offsets)
    return Motion(guess_rig(raw, q, p), q, p, motion.frame_time, motion.name)


def along_x(motion: Motion) -> Motion:
    """All bones along x at zero rotation, left ones forwards, right ones backwards: a zero pose without meaning."""
    s = motion.skeleton
    axes = torch.eye(3).repeat(len(s), 1, 1)
    for j in range(len(s)):
        sign = -1.0 if s.mirror[j] in s.left else 1.0
        if s.children[j]:
            bone = torch.tensor(s.offsets[s.children[j][0]])
            x = sign * bone / bone.norm()
            side = torch.tensor([0.0, 0.0, 1.0]) if float(x[0].abs()) > 0.9 else torch.tensor([sign, 0.0, 0.0])
            z = side - (side * x).sum() * x
            z = z / z.norm() * (sign if float(x[0].abs()) > 0.9 else 1.0)
            axes[j] = torch.stack((x, torch.linalg.cross(z, x), z), -1)
        else:
            axes[j] = axes[s.parents[j]]
    axes[0] = torch.eye(3)
    a = rotation.from_matrix(axes)
    back = rotation.inv(torch.cat((rotation.identity(1), a[list(s.parents[1:])])))
    q = rotation.mul(rotation.mul(back, motion.rotations), a)
    p = rotation.rotate(back, motion.positions)
    offsets = rotation.rotate(back, torch.tensor(s.offsets)).tolist()
    raw = Skeleton(s.names, s.parents, tuple(tuple(o) for o in offsets))
    return Motion(guess_rig(raw, q, p), q, p, motion.frame_time, motion.name)


def sliding(motion: Motion, joint: int = -1) -> Motion:
    """With one joint that moves along its bone."""
    wave = 0.05 * motion.skeleton.height * torch.sin(torch.arange(len(motion)) * 5.0 * motion.frame_time)
    p = motion.positions.clone()
    p[:, joint] *= 1 + wave[:, None]
    p[:, joint, 1] += wave
    return Motion(motion.skeleton, motion.rotations, p, motion.frame_time, motion.name)


def climb(levels: list[float], fps: float = 30.0, step: float = 0.6) -> Motion:
    """The biped of :func:`tree` walking: one foot after the other rests at these heights, metres, half a metre on.

    The body is over both feet, a little ahead of the lower one; two seconds of standing come first and last.
    """
    rig, rest = tree(), 2.0
    frames = round((len(levels) * step + 2 * rest) * fps)
    time = torch.arange(frames, dtype=torch.float64) / fps - rest
    feet = torch.zeros(2, frames, 3, dtype=torch.float64)  # ankles over the ground
    at = [torch.tensor([0.1 * side, 0.0, 0.0], dtype=torch.float64) for side in (1, -1)]
    for k, level in enumerate([*levels, levels[-1]]):  # the last step closes up
        foot, goal = k % 2, at[k % 2].clone()
        goal[1], goal[2] = level, 0.5 * min(k + 1, len(levels))
        u = ((time - k * step) / step).clamp(0, 1)
        ease = (u * u * (3 - 2 * u))[:, None]
        swing = at[foot] + ease * (goal - at[foot])
        swing[:, 1] = at[foot][1] + (u * 1.6).clamp(0, 1) * (goal - at[foot])[1] + 0.12 * torch.sin(math.pi * u)
        moves = (u > 0) & (time >= k * step)
        feet[foot] = torch.where(moves[:, None], swing, feet[foot] if k > 1 else at[foot])
        at[foot] = goal
    mean, low = feet.mean(0), feet[..., 1].amin(0)
    hips = torch.stack((torch.zeros(frames), 0.5 * (mean[:, 1] + low) + 0.94, mean[:, 2]), -1)
    hips = contact.smooth(hips, 0.1 * fps)
    return standing_on(rig, hips, feet + torch.tensor([0.0, 0.1, 0.0]), fps)


def standing_on(rig: Skeleton, hips: torch.Tensor, feet: torch.Tensor, fps: float) -> Motion:
    """Legs bent in their plane so that ankles are where ``feet`` say; soles stay level."""
    frames = len(hips)
    rotations = torch.zeros(frames, len(rig), 4)
    rotations[..., 0] = 1
    positions = rig.offset_tensor().expand(frames, -1, -1).clone()
    positions[:, 0] = hips.float()
    for side, ankle in zip(("Left", "Right"), feet, strict=True):
        reach = (ankle - hips)[:, 1:]
        length = reach.norm(dim=-1).clamp(max=0.899)
        bend = torch.acos((length / 0.9).clamp(max=1.0))
        swing = -torch.atan2(reach[:, 1], -reach[:, 0])
        for name, angle in ((f"{side}UpLeg", swing - bend), (f"{side}Leg", 2 * bend), (f"{side}Foot", -swing - bend)):
            rotations[:, rig.index(name)] = rotation.about("x", angle.float())
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        swing = 0.4 * sign * torch.sin(2 * math.pi * torch.arange(frames) / fps / 1.2)
        rotations[:, rig.index(f"{side}Arm")] = rotation.about("x", swing)
    return Motion(rig, rotations, positions, 1 / fps, "climb")
