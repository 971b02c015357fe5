"""Tiny data sets made on the spot, in the layouts the readers take. No picture of any collection is in here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from support.odd_images import photo

from ncl_model.data.masks import decode_mask
from ncl_model.data.sample import Sample

WIDTH, HEIGHT = 48, 32

# how the collections begin their names; no file of theirs is in the repository
AUTHENTIC, SPLICED, TAMPERED, NIMBLE = "Au", "Sp", "Tp", "NC2016"


def save_photo(path: Path, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A made-up photograph, in the format its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photo(*size, seed=seed).save(path)
    return path


def mask_pixels(value: int = 255, rest: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """The upper left quarter tampered: (H, W) uint8."""
    pixels = np.full((size[1], size[0]), rest, np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = value
    return pixels


def save_mask(path: Path, value: int = 255, rest: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask_pixels(value, rest, size)).save(path)
    return path


def tampered_pixels(sample: Sample) -> np.ndarray:
    """What a tampered sample's mask says: (H, W), True = tampered."""
    assert sample.mask is not None
    return decode_mask(sample.mask.read_bytes(), sample.tampered_colour).tampered


def save_regions(path: Path) -> Path:
    """Two regions a person might have drawn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    regions = np.ones((HEIGHT, WIDTH), np.uint8)
    regions[8:24, 10:30] = 2
    Image.fromarray(regions).save(path)
    return path


def make_indexed(folder: Path, count: int = 8, seed: int = 0) -> Path:
    """A folder with an index.csv: every second photograph tampered, two of a group."""
    lines = ["image,mask,group"]
    for i in range(count):
        save_photo(folder / f"images/{i}.png", seed=seed + i)
        if i % 2:
            save_mask(folder / f"masks/{i}.png")
        lines.append(f"images/{i}.png,{f'masks/{i}.png' if i % 2 else ''},{folder.name}-{i // 2}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def make_authentic(folder: Path, count: int = 6, seed: int = 100, *, regions: bool = True) -> Path:
    """A set of authentic photographs, with region maps beside them."""
    images = folder / "images" if regions else folder
    for i in range(count):
        save_photo(images / f"p{i}.jpg", seed=seed + i)
        if regions:
            save_regions(folder / f"regions/p{i}.png")
    return folder


def make_casia1(root: Path) -> Path:
    """CASIA 1.0 with its masks; one picture has a wrong name, one has no mask."""
    for i, name in enumerate(("ani_0001", "ani_0002", "pla_0007", "sec_0050")):
        save_photo(root / f"CASIA 1.0 dataset/Au/Au/{AUTHENTIC}_{name}.jpg", seed=i)
    tampered = {
        "Sp": ("D_CND_A_ani0001_pla0007_0281", "D_NNN_A_nat0001_nat0002_0282", "D_NRN_A_arc0003_cha0004_0542"),
        "CM": ("S_NND_A_ani0002_ani0002_0189",),
    }
    for kind, names in tampered.items():
        for i, name in enumerate(names):
            save_photo(root / f"CASIA 1.0 dataset/Modified Tp/Tp/{kind}/{SPLICED}_{name}.jpg", seed=10 + i)
    masks = root / "CASIA 1.0 groundtruth"
    save_mask(masks / f"Sp/{SPLICED}_D_CND_A_ani0001_pla0007_0281_gt.png")
    save_mask(masks / f"Sp/{SPLICED}_D_NNN_A_nat0001_nat0099_0282_gt.png")  # the serial number is what agrees
    save_mask(masks / f"CM/{SPLICED}_S_NND_A_ani0002_ani0002_0189_gt.png")
    return root


def make_casia2(root: Path) -> Path:
    """CASIA 2.0: a chain of splices over three sources, and one picture apart."""
    for i, name in enumerate(("ani_00001", "ani_00002", "nat_00003", "txt_10009")):
        save_photo(root / f"Au/{AUTHENTIC}_{name}.jpg", seed=i)
    for i, name in enumerate(
        (
            "D_NRN_S_N_ani00001_ani00002_00100.tif",
            "D_CRN_M_N_ani00002_nat00003_10200.jpg",
            "S_NNN_S_N_arc00005_arc00005_00300.tif",
        )
    ):
        save_photo(root / f"Tp/{TAMPERED}_{name}", seed=20 + i)
        save_mask(root / f"CASIA 2 Groundtruth/{TAMPERED}_{Path(name).stem}_gt.png")
    return root


def make_nist16(root: Path, delimiter: str = "|") -> Path:
    """Nimble 2016: three manipulations of two bases, and an authentic probe; masks are black where tampered."""
    header = [
        "TaskID",
        "ProbeFileID",
        "ProbeFileName",
        "ProbeMaskFileName",
        "DonorFileName",
        "IsTarget",
        "BaseFileName",
    ]
    rows = [
        ("1", "reference/manipulation/mask/m1.png", "world/d1.jpg", "Y", "world/b1.jpg"),
        ("2", "reference/manipulation/mask/m2.png", "", "Y", "world/b1.jpg"),
        ("3", "reference/manipulation/mask/m3.png", "world/d1.jpg", "Y", "world/b2.jpg"),
        ("4", "", "", "N", ""),
    ]
    lines = [delimiter.join(header)]
    for number, mask, donor, target, base in rows:
        name = f"probe/{NIMBLE}_{number}.jpg"
        save_photo(root / name, seed=int(number))
        if mask:
            save_mask(root / mask, value=0, rest=255)
        lines.append(delimiter.join(("manipulation", number, name, mask, donor, target, base)))
    path = root / f"reference/manipulation/{NIMBLE}-manipulation-ref.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return root


def make_columbia(root: Path) -> Path:
    """Columbia: edge masks in two reds and two greens, as JPEG."""
    for i, name in enumerate(("canong3_02_sub_01", "canonxt_05_sub_09", "kodakdcs330_01_sub_01")):
        save_photo(root / f"4cam_auth/{name}.tif", seed=i)
    save_photo(root / "4cam_splc/canong3_canonxt_sub_01.tif", seed=7)
    edge = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    edge[:] = (200, 0, 0)
    edge[:16, :24] = (0, 200, 0)
    edge[:16, 16:24] = (0, 255, 0)
    edge[:16, 24:32] = (255, 0, 0)
    masks = root / "4cam_splc/edgemask"
    masks.mkdir()
    for suffix in ("", "_3"):  # the second, with one more colour, is not for us
        Image.fromarray(edge).save(masks / f"canong3_canonxt_sub_01_edgemask{suffix}.jpg", quality=95)
    return root


def make_coverage(root: Path, numbers: Sequence[int] = (1, 2, 12)) -> Path:
    """COVERAGE: original and copy-move of each number, three masks each."""
    for number in numbers:
        save_photo(root / f"image/{number}.tif", seed=number)
        save_photo(root / f"image/{number}t.tif", seed=number + 50)
        for kind in ("forged", "copy", "paste"):
            save_mask(root / f"mask/{number}{kind}.tif")
    return root


def make_defacto(root: Path) -> Path:
    """DEFACTO: a splice whose graph names a donor that is the base of a copy-move, and a removal apart."""
    for kind, stem in (
        ("splicing/splicing_1", "0_000000000100"),
        ("copymove/copymove", "3_000000000200"),
        ("inpainting/inpainting", "7_000000000300"),
    ):
        save_photo(root / f"{kind}_img/img/{stem}.tif", seed=len(stem) + len(kind))
        save_mask(root / f"{kind}_annotations/probe_mask/{stem}.jpg")
    graph = root / "splicing/splicing_1_annotations/graph/0_000000000100.json"
    graph.parent.mkdir()
    graph.write_text(json.dumps({"nodes": [{"file": "000000000100.jpg"}, {"file": "000000000200.jpg"}]}))
    return root


def make_imd2020(root: Path) -> Path:
    """IMD2020: two originals, three manipulations."""
    for folder, edits in (("1a1ogs", ("c8tf5mq_0.png", "c8tf5mq_1.jpg")), ("1b8r7b", ("c94scmh_0.jpg",))):
        save_photo(root / f"{folder}/{folder}_orig.jpg")
        for i, name in enumerate(edits):
            save_photo(root / f"{folder}/{name}", seed=i + 1)
            save_mask(root / f"{folder}/{Path(name).stem}_mask.png")
    return root


def save_as_jpeg(folder: Path, quality: dict[bool, int]) -> Path:
    """The photographs of a set as JPEG files, tampered and authentic ones at a quality of their own."""
    lines = (folder / "index.csv").read_text().splitlines()
    changed = [lines[0]]
    for line in lines[1:]:
        name, mask, group = line.split(",")
        with Image.open(folder / name) as image:
            image.save(folder / name.replace(".png", ".jpg"), quality=quality[bool(mask)])
        changed.append(f"{name.replace('.png', '.jpg')},{mask},{group}")
    (folder / "index.csv").write_text("\n".join(changed) + "\n")
    return folder
