"""Profiles of figures: what they may say, and how a mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipelines.catalogue.figure_profiles import FigureProfile, Term, load_profiles
from pipelines.errors import CatalogueError
from pipelines.settings import PROJECT_ROOT

FIGURES = PROJECT_ROOT / "schemas" / "figures"
SHARE = {
    "figure": "share", "name_zh": "比率", "name_en": "share", "unit": "percent",
    "numerator": ["rows/accepted"], "denominator": ["rows/received", "-rows/excluded"],
    "definition_zh": "…", "definition_en": "…", "source": "test",
}  # fmt: skip


def load(folder: Path, **changes: object) -> FigureProfile:
    (folder / "shared.yaml").write_text((FIGURES / "shared.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    profile = {
        "profile": "own", "name_zh": "本地口径", "name_en": "own", "source": "test", "verified": False,
        "notes_zh": "…", "notes_en": "…", "clock": {"basis": "published"}, "figures": ["received", SHARE],
    } | changes  # fmt: skip
    (folder / "own.yaml").write_text(yaml.safe_dump(profile, allow_unicode=True), encoding="utf-8")
    return load_profiles(folder, {"province"})["own"]


def test_figures_stand_in_the_order_of_the_file_whoever_defines_them(tmp_path: Path) -> None:
    profile = load(tmp_path)
    assert [definition.figure for definition in profile.figures] == ["received", "share"]
    assert profile.figure("share").terms("denominator") == (Term(1, "rows", "received"), Term(-1, "rows", "excluded"))


@pytest.mark.parametrize("path", sorted(FIGURES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_profiles_of_the_project_can_be_loaded(path: Path) -> None:
    profiles = load_profiles(FIGURES, set())
    assert path.stem in {*profiles, "shared"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"profile": "other"}, "the profile other lies in own.yaml"),
        ({"figures": ["recieved"]}, "there is no shared figure recieved"),
        ({"figures": ["received", SHARE, SHARE]}, "the figure share stands twice"),
        ({"figures": [SHARE | {"numerator": ["rows/good"]}]}, "rows/good is not counted"),
        ({"figures": [SHARE | {"numerator": ["__import__('os')"]}]}, "is not counted"),
        ({"figures": [SHARE | {"denominator": []}]}, "a figure in percent has a denominator"),
        ({"figures": [SHARE | {"unit": "rows"}]}, "a figure in rows has no denominator"),
        ({"figures": [SHARE | {"target": 95}]}, "need a direction"),
        ({"clock": {"basis": "published", "working_days": 0}}, "clock.working_days"),
        ({"clock": {"basis": "accepted_by_upper", "endpoint": "nation"}}, "there is no endpoint nation"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(tmp_path, **changes)
    assert problem in str(caught.value) and "own.yaml" in str(caught.value)
