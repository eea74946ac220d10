"""Public sets of motion by name: what they are, their licence, where they lie, and how to get those behind a form."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import MotifError
from .unpack import ENDINGS

_GITHUB = "https://github.com/{}/archive/{}.zip"
_CMU = "CMU: free to use, also in products, not to be resold as data"


@dataclass(frozen=True)
class Set:
    """A set of motion files, as one archive."""

    name: str
    """What it is asked for by; its folder is called so."""
    what: str
    licence: str
    url: str = ""
    """Of the archive; empty for a set that is not downloaded."""
    sha256: str = ""
    """Of the archive; empty where it is not known, as for those that are packed anew for every download."""
    megabytes: int = 0
    """Of the archive, or about of what is in it where that is not known."""
    how: str = ""
    """How to get what is not downloaded."""


SETS = (
    Set(
        "bandai-namco",
        "3,076 BVH of 22 joints, 3.9 h, activities and styles",
        "CC BY-NC 4.0",
        _GITHUB.format(
            "BandaiNamcoResearchInc/Bandai-Namco-Research-Motiondataset", "74ead3ba1ae4696404e6086233779f60de8bf9ef"
        ),
        megabytes=597,
    ),
    Set(
        "cmu-mocap",
        "2,548 BVH of CMU's library (cgspeed)",
        _CMU,
        "https://github.com/una-dinosauria/cmu-mocap/archive/HEAD.zip",
        megabytes=789,
    ),
    Set(
        "deepmimic",
        "85 JSON clips of a humanoid and a dog",
        "MIT",
        _GITHUB.format("xbpeng/DeepMimic", "1f915c52fcd4b95b5f5f15b759ae91bd81e9a801"),
        megabytes=51,
    ),
    Set(
        "lafan1",
        "LAFAN1: BVH of 22 joints at 30 fps, locomotion, fights, dance",
        "CC BY-NC-ND 4.0",
        "https://github.com/ubisoft/ubisoft-laforge-animation-dataset/raw/master/lafan1/lafan1.zip",
        "ea918082b500a5d158e9d3aa39039df04cd42e25f5c02fe8f7e88e8e9365a977",
        144,
    ),
    Set(
        "reactidle",
        "standing idles, acted and genuine, BVH",
        "MIT",
        _GITHUB.format("Enekoassets/ReActIdle", "90b0ac78b205001edf170f65ff372448ccd0f1c7"),
        megabytes=72,
    ),
    Set("100style", "BVH, 100 styles of locomotion", "CC BY 4.0", how="download 100STYLE from Zenodo, unpack the zip"),
    Set(
        "amass",
        "AMASS: many libraries as SMPL-H and SMPL-X poses (.npz)",
        "its own, for research; no passing on",
        how="register at https://amass.is.tue.mpg.de, accept its licence, download the .tar.bz2 files and unpack them",
    ),
    Set(
        "humanml3d",
        "HumanML3D: AMASS clips with captions, 263 numbers a frame (.npy)",
        "texts MIT; motions as AMASS",
        how="get AMASS, then follow https://github.com/EricGuo5513/HumanML3D, which makes the files of it",
    ),
    Set(
        "motionmillion",
        "MotionMillion: motion from web video with captions, 272 numbers a frame (.npy), 308 GB",
        "CC BY-NC-SA 4.0",
        how="log in at https://huggingface.co/datasets/InternRobotics/MotionMillion, accept its terms, download there",
    ),
)


def named(name: str) -> Set:
    """Return a set by its name or, for an address, the archive that lies there; say how to get what has a form."""
    if "://" in name:
        file = urlsplit(name).path.rpartition("/")[2]
        ending = next((e for e in ENDINGS if file.lower().endswith(e)), None)
        stem = file[: -len(ending)].strip(".") if ending else ""
        if not stem:
            raise MotifError(f"{name}: ends in {file!r}; expected an archive, NAME{' or NAME'.join(ENDINGS)}")
        return Set(stem, "an archive of your own choice", "unknown: read what its publisher says", name)
    found = next((one for one in SETS if one.name == name.lower()), None)
    if found is None:
        raise MotifError(f"no set is called {name!r}; there are {', '.join(s.name for s in SETS)} (motif data list)")
    if not found.url:
        raise MotifError(f"{found.name} cannot be downloaded for you ({found.licence}): {found.how}")
    return found
