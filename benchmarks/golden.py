"""Do fixed commands still write the same bytes? Print a digest of what each writes, and compare with earlier ones.

Run as ``python benchmarks/golden.py FOLDER [--clips FOLDER] [--against golden.json] [--only NAME ...]``. Takes are written
to FOLDER, digests to FOLDER/golden.json; with ``--against`` the exit code is 1 where one differs. Commands that need the
real clips are left out without ``--clips``. One machine and one version of torch compare with themselves only.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

import motif
from motif import api, registry
from motif.recipes.clip_flow import ClipFlow
from motif.recipes.clip_gan import ClipGan

FEW = {"steps": 2, "batch": 2, "num_train_timesteps": 20, "num_inference_steps": 5}
RECIPES = {
    "clip-match": "clip-match",
    "clip-gan": ClipGan(steps=40),
    "clip-flow": ClipFlow(steps=40),
    "ganimator": registry.with_params("ganimator", {"samples": (2,)}),
    "sinmdm": registry.with_params("sinmdm", FEW),
    "sinmdm-qna": registry.with_params("sinmdm-qna", FEW),
}
SALSA = "Salsa-Dancing-6.bvh"
COMMANDS = {
    "vary": "vary demo.bvh -n 2 --seconds 6 --seed 1",
    "vary-loop": "vary demo.bvh part.bvh -n 1 --seconds 5 --loop -w upper=2 --variety 0.6 --tempo 0.3",
    "edit-keep": "edit demo.bvh -n 1 --keep lower",
    "edit-inpaint": "edit demo.bvh -n 1 --inpaint 2:5 --seed 2",
    "edit-expand": "edit part.bvh -n 1 --before 1 --after 2",
    "edit-content": "edit demo.bvh -n 1 --content part.bvh",
    "edit-trajectory": ["edit", "demo.bvh", "-n", "1", "--trajectory", "0,0 3,0 3,3"],
    "edit-file": "edit demo.bvh -n 2 --edit edit.json",
    "edit-mix": "edit demo.bvh second.bvh -n 1 --edit mix.json",
    "crowd": "crowd demo.bvh -n 5 --seconds 6 --seed 4",
    "change": "change demo.bvh --cut 1:6 --mirror --speed 0.8 --loop --fps 24",
    "vary-salsa": f"vary {SALSA} -n 2 --seconds 8 --seed 1",
}
"""Arguments of ``motif``; names of files are looked for in FOLDER and among the clips."""
EDIT = {
    "seconds": 6,
    "constraints": [
        {"motion": "demo.bvh", "from": 2, "to": 3, "at": 1, "joints": ["upper"]},
        {"motion": "demo.bvh", "from": 8, "to": 8, "at": 4},
    ],
    "joint_weights": {"upper": 2},
}
MIX = {"seconds": 5, "clip_weights": [{"at": 0, "weights": [1, 0]}, {"at": 5, "weights": [0, 1]}]}


def digest(parts: Iterable[bytes]) -> str:
    """Hash bytes."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:16]


@dataclass(frozen=True)
class Golden:
    """Where things lie, and models that were trained before."""

    out: Path
    clips: Path | None
    models: dict[str, api.Model] = field(default_factory=dict)

    def write_inputs(self) -> None:
        """Write the files that commands read."""
        demo = api.demo_clip()
        for name, clip in (("demo", demo), ("part", demo.crop(200, 320)), ("second", demo.crop(400, 500))):
            motif.save(clip, self.out / f"{name}.bvh")
        for name, edit in (("edit", EDIT), ("mix", MIX)):
            (self.out / f"{name}.json").write_text(json.dumps(edit))

    def command(self, name: str, arguments: list[str]) -> str:
        """Run one command; digest the names and bytes of the files it writes."""
        (self.out / name).mkdir(exist_ok=True)
        folders = [f for f in (self.out, self.clips) if f is not None]
        full = [next((str(f / a) for f in folders if (f / a).is_file()), a) for a in arguments]
        target = self.out / name / "x.bvh" if arguments[0] == "change" else self.out / name
        result = subprocess.run(
            [sys.executable, "-m", "motif", *full, "-o", str(target)], capture_output=True, text=True
        )
        if result.returncode:
            return f"exit code {result.returncode}: {result.stderr[-200:]}"
        return self.files(name)

    def files(self, name: str) -> str:
        """Digest the names and bytes of the takes in a folder."""
        return digest(
            part for p in sorted((self.out / name).glob("*.bvh")) for part in (p.name.encode(), p.read_bytes())
        )

    def model(self, name: str) -> api.Model:
        """Train a recipe for a few steps, once."""
        if name not in self.models:
            recipe = RECIPES[name]
            if name.startswith("clip-"):
                clip = api.demo_clip()
            else:
                assert self.clips is not None
                clip = api.load(self.clips / SALSA).crop(0, 200)
            self.models[name] = api.fit(recipe, clip, 1, api.TrainConfig(precision="fp32", device="cpu"))
        return self.models[name]

    def takes(self, name: str, recipe: str, n: int, seconds: float | None, edit: api.Edit | None = None) -> str:
        """Sample a model; digest what its takes are as files."""
        (self.out / name).mkdir(exist_ok=True)
        for take in self.model(recipe).sample(n, seconds, 5, edit):
            motif.save(take, self.out / name / f"{take.name}.bvh")
        return self.files(name)

    def stream(self, recipe: str) -> str:
        """Digest the first 300 poses of a stream."""
        poses = zip(range(300), self.model(recipe).stream(seed=3))
        return digest(x.numpy().tobytes() for _, pose in poses for x in pose)

    def jobs(self) -> dict[str, Callable[[], str]]:
        """Return everything that can be run, by name."""
        start, edit = api.demo_clip().crop(0, 200), api.Edit
        jobs: dict[str, Callable[[], str]] = {
            name: lambda n=name, a=args: self.command(n, a if isinstance(a, list) else a.split())
            for name, args in COMMANDS.items()
        }
        jobs |= {
            "sample-clip-gan": lambda: self.takes("sample-clip-gan", "clip-gan", 2, 6),
            "edit-clip-gan": lambda: self.takes("edit-clip-gan", "clip-gan", 1, None, edit.inpaint(start, 2, 4)),
            "sample-clip-flow": lambda: self.takes("sample-clip-flow", "clip-flow", 2, 6),
            "edit-clip-flow": lambda: self.takes("edit-clip-flow", "clip-flow", 1, None, edit.keep(start, ["lower"])),
            "sample-ganimator": lambda: self.takes("sample-ganimator", "ganimator", 1, 3),
            "sample-sinmdm": lambda: self.takes("sample-sinmdm", "sinmdm", 1, 3),
            "sample-sinmdm-qna": lambda: self.takes("sample-sinmdm-qna", "sinmdm-qna", 1, 3),
            "stream-clip-match": lambda: self.stream("clip-match"),
            "stream-clip-gan": lambda: self.stream("clip-gan"),
            "stream-clip-flow": lambda: self.stream("clip-flow"),
        }
        real = ("sample-ganimator", "sample-sinmdm", "sample-sinmdm-qna", "vary-salsa")
        return {name: job for name, job in jobs.items() if self.clips is not None or name not in real}


def main() -> None:
    """Run, print, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=Path, help="folder of the real clips")
    parser.add_argument("--against", type=Path, help="digests to compare with")
    parser.add_argument("--only", nargs="*", help="names of commands")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    golden = Golden(options.out.resolve(), options.clips and options.clips.resolve())
    golden.write_inputs()
    before = json.loads(options.against.read_text()) if options.against else {}
    found, wrong = {}, []
    for name, job in golden.jobs().items():
        if options.only and name not in options.only:
            continue
        found[name] = job()
        differs = name in before and before[name] != found[name]
        wrong += [name] * differs
        print(f"{name:18} {found[name]}{f'  was {before[name]}' if differs else ''}", flush=True)
    (options.out / "golden.json").write_text(json.dumps(found, indent=1))
    sys.exit(f"{len(wrong)} differ: {', '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
