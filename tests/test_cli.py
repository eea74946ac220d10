import ast
import contextlib
import inspect
import io
import json
import re
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import fields
from pathlib import Path
from unittest import mock

import pytest

from motif import api, rotation
from motif.cli import main
from motif.config import CrowdConfig, ReadConfig, SampleConfig, TrainConfig
from motif.io import load, save
from rigs import jumps


def run_process(*arguments, cwd=None):
    """Run the command line as a user does: its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-m", "motif", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )
    return done.returncode, done.stdout, done.stderr


def run(*arguments, cwd="."):
    """The same in this process, which saves seconds of imports."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["motif", *map(str, arguments)]),
        warnings.catch_warnings(),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main()
    return end.value.code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """The first 8 s of the demo clip as a file."""
    return save(jumps().crop(0, 240), tmp_path_factory.mktemp("clip") / "jump.bvh")


@pytest.fixture(scope="module")
def model(clip, tmp_path_factory):
    """A model file of it."""
    return api.fit("clip-match", load(clip)).save(tmp_path_factory.mktemp("model") / "m.safetensors")


def test_help_does_not_import_torch():
    code = "import sys; sys.argv = ['motif', '--help']\ntry:\n    from motif.cli import main; main()\n"
    code += "except SystemExit:\n    pass\nassert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


VERBS = ["vary", "fit", "sample", "edit", "crowd", "change", "show", "info", "score", "demo"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert f"motif {verb}" in out


@pytest.mark.parametrize(
    ("verb", "config"),
    [("vary", ReadConfig), ("vary", SampleConfig), ("sample", SampleConfig), ("edit", SampleConfig)]
    + [
        ("fit", TrainConfig),
        ("crowd", CrowdConfig),
        *((verb, ReadConfig) for verb in VERBS if verb not in ("demo", "sample")),
    ],
)
def test_options_are_the_fields_with_their_docstrings_and_defaults(verb, config):
    """Help of a verb has each field's option, its default, and the first words of its docstring."""
    code, out, _ = run(verb, "--help")
    assert code == 0
    text = re.sub(r"[\s│]+", " ", out)
    docs = []
    for home in config.__mro__[-2::-1]:
        body = ast.parse(inspect.getsource(home)).body[0].body[1:]
        docs += [n.value.value for n in body if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    for field, doc in zip(fields(config), docs, strict=True):
        assert f"--{field.name.replace('_', '-')} " in text
        assert re.sub(r"\s+", " ", doc)[:40] in text
        if field.default is not None:
            assert f"[default: {field.default}]" in text


def test_help_of_a_verb_does_not_import_torch():
    code = "import sys; sys.argv = ['motif', 'edit', '--help']\ntry:\n    from motif.cli import main; main()\n"
    code += "except SystemExit:\n    pass\nassert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_vary_writes_takes_and_repeats_byte_for_byte(clip, tmp_path):
    code, out, err = run("vary", clip, "-n", 2, "--seconds", 6, "--seed", 1, "-o", tmp_path / "a")
    assert code == 0, err
    assert "looks like metres" in err
    files = sorted((tmp_path / "a").iterdir())
    assert [f.name for f in files] == ["jump-take-01.bvh", "jump-take-02.bvh"]
    assert all(str(f) in out for f in files)
    assert len(load(files[0])) == 180
    run_process("vary", clip, "-n", 2, "--seconds", 6, "--seed", 1, "-o", tmp_path / "b")
    run("vary", clip, "-n", 2, "--seconds", 6, "--seed", 2, "-o", tmp_path / "c")
    same = [(tmp_path / "b" / f.name).read_bytes() == f.read_bytes() for f in files]
    other = [(tmp_path / "c" / f.name).read_bytes() == f.read_bytes() for f in files]
    assert same == [True, True]
    assert other == [False, False]
    assert files[0].read_bytes() != files[1].read_bytes()


def test_json_for_machines(clip, tmp_path):
    _, out, _ = run("vary", clip, "-n", 1, "--seconds", 4, "-o", tmp_path, "--json")
    made = json.loads(out)
    assert made["frames"] == 120
    code, out, _ = run("score", *made["files"], "--against", clip, "--json")
    assert code == 0
    numbers = json.loads(out)
    assert set(numbers) >= {"slip_ratio", "jerk_ratio", "coverage", "precision", "novelty", "two_sample", "variety"}
    assert numbers["variety"] is None
    assert [t["name"] for t in numbers["takes"]] == [Path(made["files"][0]).stem]
    code, out, _ = run("info", clip, "--json")
    facts = json.loads(out)
    assert facts["joints"] == 31
    assert facts["fps"] == 30
    assert facts["metres_per_unit"] == 1


def test_a_model_is_learned_and_sampled(clip, tmp_path):
    model = tmp_path / "deep" / "m.safetensors"
    code, out, err = run("fit", clip, "-o", model, "--steps", 3, "--precision", "fp32")
    assert code == 0, err
    assert out.strip() == str(model)
    assert [p.name for p in model.parent.iterdir()] == ["m.safetensors"]
    first = [run("sample", model, "-n", 2, "--seconds", 3, "--seed", 5, "-o", tmp_path / o) for o in ("a", "b")]
    assert [code for code, _, _ in first] == [0, 0]
    files = sorted((tmp_path / "a").iterdir())
    assert len(files) == 2
    assert [f.read_bytes() == (tmp_path / "b" / f.name).read_bytes() for f in files] == [True, True]
    code, _, err = run("sample", clip)
    assert code == 2
    assert "is a clip, not a model" in err
    mine = tmp_path / "deep" / "n.run"
    mine.mkdir()
    (mine / "notes.txt").write_text("precious")
    code, _, err = run("fit", clip, "-o", tmp_path / "deep" / "n.safetensors", "--steps", 2, "--precision", "fp32")
    assert code == 0, err
    assert [p.name for p in mine.iterdir()] == ["notes.txt"]
    for seconds in ("nan", "inf", "0", "1e9"):
        code, _, err = run("sample", model, "-n", 1, "--seconds", seconds, "-o", tmp_path / "s")
        assert code == 2, err
        assert "seconds" in err
    code, _, err = run("fit", clip, "-o", tmp_path / "m.pt")
    assert code == 2
    assert "ends in .safetensors" in err


def test_ctrl_c_saves_and_says_how_to_go_on(clip, tmp_path):
    model = tmp_path / "m.safetensors"
    command = [sys.executable, "-m", "motif", "fit", clip, "-o", model, "--steps", "100000", "--precision", "fp32"]
    child = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not (tmp_path / "m.run" / "log.jsonl").exists():
        assert child.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "the same command goes on from there" in err
    assert list((tmp_path / "m.run").rglob("run.json"))
    assert not model.exists()


def test_a_report_is_written_and_folders_are_read(clip, tmp_path):
    run("vary", clip, "-n", 2, "--seconds", 4, "-o", tmp_path / "takes")
    code, out, _ = run("score", tmp_path / "takes", "-a", clip, "--report", tmp_path / "r.html")
    assert code == 0
    assert "two_sample" in out
    assert "\n- " in out
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    code, _, err = run("score", tmp_path / "takes", "-a", clip, "--report", tmp_path / "r.pdf")
    assert code == 2
    assert "end the name in .html" in err


def test_empty_folders_and_other_rigs_say_so(clip, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = run("score", tmp_path / "empty", "-a", clip)
    assert code == 2
    assert "empty is a folder without motion files; motif reads .bvh" in err
    text = clip.read_text().replace("Left", "L")
    (tmp_path / "other.bvh").write_text(text)
    code, _, err = run("score", tmp_path / "other.bvh", "-a", clip)
    assert code == 2
    assert "cannot be scored against" in err


def test_info_in_words(clip):
    code, out, _ = run("info", clip)
    assert code == 0
    assert "31 joints and 7 end sites, 240 frames at 30 fps" in out
    assert "looks like metres" in out
    assert "LeftToeBase" in out


def test_show_by_suffix(clip, tmp_path):
    for name in ("a.png", "a.gif"):
        code, out, err = run("show", clip, "-o", tmp_path / name, "--seconds", 2)
        assert code == 0, err
        assert (tmp_path / name).stat().st_size > 1000
        assert out.strip() == str(tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["vay"], 'Did you mean "vary"'),
        (["vary", "CLIP", "--secnds", "3"], "Did you mean --seconds"),
        (["vary", "missing.bvh"], "missing.bvh"),
        (["vary", "CLIP", "--variety", "3"], "from 0 to 1"),
        (["vary", "CLIP", "--seconds", "-1"], "give more than 0"),
        (["vary", "CLIP", "-n", "0"], "at least 1"),
        (["vary", "CLIP", "-w", "LeftLegg=2"], "did you mean 'LeftLeg'"),
        (["vary", "CLIP", "-w", "upper"], "NAME=NUMBER"),
        (["vary", "CLIP", "--recipe", "clip-mach"], "'clip-match'"),
        (["vary", "CLIP", "--unit", "inches"], "one of m, cm"),
        (["vary", "CLIP", "--fps", "0"], "positive number"),
        (["show", "CLIP", "-o", "x.xyz"], ".png"),
        (["info", "README.md"], ".bvh"),
        (["vary"], "CLIPS"),
    ],
)
def test_mistakes_exit_2_with_a_remedy_and_no_traceback(clip, tmp_path, arguments, says):
    code, out, err = run(*[clip if a == "CLIP" else a for a in arguments], cwd=tmp_path)
    assert code == 2
    assert says.lower() in (out + err).lower().replace("\n│ ", " ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["vary", "CLIP", "-n", "0"], "at least 1"),
        (["vary", "CLIP", "-w", "nobody=2"], "'nobody'"),
        (["vary", "CLIP", "--seconds", "nan"], "seconds"),
        (["vary", "CLIP", "--recipe", "ganimator", "--loop"], "loop"),
        (["edit", "CLIP", "--recipe", "clip-gan", "-n", "0", "--keep", "lower"], "at least 1"),
        (["edit", "CLIP", "--recipe", "sinmdm", "--keep", "lower"], "exact constraints"),
        (["crowd", "CLIP", "--recipe", "clip-gan", "-n", "0"], "at least 1"),
        (["crowd", "CLIP", "--recipe", "clip-gan", "--gap", "-1"], "gap"),
        (["crowd", "CLIP", "--recipe", "clip-gan", "--seconds", "0"], "seconds"),
        (["fit", "CLIP", "--recipe", "ganimator", "--steps", "0", "-o", "m.safetensors"], "at least 1"),
        (["fit", "CLIP", "--minutes", "-1", "-o", "m.safetensors"], "positive"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_learned(clip, tmp_path, monkeypatch, arguments, says):
    monkeypatch.setattr(api, "fit", lambda *_, **__: pytest.fail("it learned"))
    code, _, err = run(*[clip if a == "CLIP" else a for a in arguments], cwd=tmp_path)
    assert code == 2
    assert says in err


@pytest.mark.parametrize(
    "given",
    [
        ["--recipe", "clip-match"],
        ["--up", "z"],
        ["--unit", "cm"],
        ["--root-offset", "replace"],
        ["--clip", "2"],
        ["--fps", "60"],
    ],
    ids=lambda given: given[0],
)
@pytest.mark.parametrize("verb", [["edit", "--keep", "lower"], ["crowd"]], ids=lambda verb: verb[0])
def test_options_that_a_model_cannot_use_are_refused(model, tmp_path, verb, given):
    code, _, err = run(verb[0], model, *verb[1:], "-n", 1, *given, cwd=tmp_path)
    assert code == 2
    assert re.search(r"given, but .*m\.safetensors is a model", err)
    assert list(tmp_path.iterdir()) == []


def test_files_that_an_edit_of_a_model_names_are_read_as_asked(model, clip, tmp_path):
    code, _, err = run("edit", model, "--content", clip, "--unit", "m", "-n", 1, "-o", tmp_path)
    assert code == 0
    assert "metres, as asked" in err


def test_a_trajectory_may_begin_below_zero(clip, tmp_path):
    for k, option in enumerate((["--trajectory", "-1,0 2,0"], ["--trajectory=-1,0 2,0"])):
        assert run("edit", clip, *option, "-n", 1, "-o", tmp_path / str(k))[0] == 0
    one, two = (next((tmp_path / str(k)).iterdir()).read_bytes() for k in range(2))
    assert one == two


def test_debug_shows_where(tmp_path):
    code, _, err = run_process("info", "missing.bvh", "--debug", cwd=tmp_path)
    assert code != 0
    assert "Traceback" in err


def test_never_writes_over_the_clip(tmp_path):
    source = save(jumps().crop(0, 90), tmp_path / "walk-take-01.bvh")
    original = source.read_bytes()
    code, _, err = run("vary", source, "-n", 1, "-o", tmp_path)
    assert code == 0, err  # the take is called walk-take-01-take-01
    assert source.read_bytes() == original
    other = source.rename(tmp_path / "walk.bvh")
    link = tmp_path / "walk-take-01.bvh"
    link.symlink_to(other)
    code, _, err = run("vary", other, "-n", 1, "-o", tmp_path)
    assert code == 2
    assert "one of the clips given" in err
    assert other.read_bytes() == original


def test_change_samples_gltf_keys_at_the_rate_and_resamples_bvh_last(clip, tmp_path):
    source = Path(__file__).parent / "cases" / "fps120.glb"
    code, _, err = run("change", source, "--fps", 120, "-o", tmp_path / "fast.bvh")
    assert code == 0, err
    fast, keys = load(tmp_path / "fast.bvh"), load(source, ReadConfig(fps=120))
    assert len(fast) == len(keys) == 960
    assert float(rotation.geodesic(fast.rotations, keys.rotations).max()) < 1e-3
    code, _, err = run("change", clip, "--speed", 0.8, "--fps", 24, "-o", tmp_path / "slow.bvh")
    assert code == 0, err
    expected = save(load(clip).retime(0.8).resample(24), tmp_path / "expected.bvh")
    assert (tmp_path / "slow.bvh").read_bytes() == expected.read_bytes()


def test_demo(tmp_path):
    code, out, err = run_process("demo", "-o", tmp_path / "demo")
    assert code == 0, err
    names = sorted(p.name for p in (tmp_path / "demo").iterdir())
    assert names == [*(f"cmu_17_10-take-0{i}.bvh" for i in range(1, 5)), "preview.gif", "sheet.png"]
    assert "slip_ratio" in out


def test_installed_script_answers():
    script = Path(sys.executable).parent / "motif"
    assert subprocess.run([script, "--version"], capture_output=True, text=True).stdout.strip() == "0.1.0"


def test_show_draws_somewhere_without_being_told_where(clip, tmp_path):
    code, out, _ = run("show", clip, cwd=tmp_path)
    assert code == 0
    assert (tmp_path / "out" / f"{clip.stem}.png").exists()
    assert ".png" in out


def test_errors_speak_of_options_not_of_python(clip, tmp_path):
    code, _, err = run("edit", clip, "--keep", "lower", "--seconds", "-3", cwd=tmp_path)
    assert code == 2
    assert "seconds is -3" in err
    assert "Edit." not in err


def test_a_corpus_is_made_looked_at_and_checked(tmp_path):
    clip = jumps()
    for k in range(4):
        save(clip.crop(100 * k, 100 * k + 60), tmp_path / "raw" / f"jump_{k}.bvh")
    (tmp_path / "raw" / "broken.bvh").write_text("HIERARCHY")
    code, out, _ = run("curate", tmp_path / "raw", tmp_path / "corpus", "--dry-run", "--workers", 1)
    assert code == 0 and "left out: unreadable 1" in out
    assert not (tmp_path / "corpus" / "corpus.json").exists()
    code, out, _ = run("curate", tmp_path / "raw", tmp_path / "corpus", "--workers", 1)
    assert code == 0 and "4 clips" in out
    code, out, _ = run("info", tmp_path / "corpus")
    assert code == 0 and "all files are sound" in out
    code, out, _ = run("show", tmp_path / "corpus", "-o", tmp_path / "x.png")
    assert code == 0 and (tmp_path / "x.png").stat().st_size > 10_000
    code, _, err = run("curate", tmp_path / "raw")
    assert code == 2 and "RAW... CORPUS" in err
    shard = tmp_path / "corpus" / "clips-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-5])
    code, _, err = run("info", tmp_path / "corpus")
    assert code == 2 and "not as it was written" in err


def test_folders_are_read_by_a_fresh_process(tmp_path):
    save(jumps().crop(0, 60), tmp_path / "a.bvh")
    code, out, err = run_process("info", tmp_path)
    assert code == 0 and out.startswith("a"), err
    (tmp_path / "a.bvh").unlink()
    code, out, err = run_process("info", tmp_path)
    assert code != 0 and "a folder without motion files" in err and "Traceback" not in err
    assert subprocess.run([sys.executable, "-c", "import motif; motif.io.load"], capture_output=True).returncode == 0
