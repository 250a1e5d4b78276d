"""The command ``lcdb-notebook``: what it does, its output, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
import sqlalchemy as sa
from astropy.io import fits

import lcdb_notebook as lcdb
from lcdb_notebook import demo
from lcdb_notebook.cli import info, main

PI_MEN = "spoc/tess2018206045859-s0001-0000000261136679-0120-s_lc.fits.gz"
LIGHT_CURVES = 312
"""Of the demonstration data: 2 sectors, 24 stars and 2 of them twice, 2 apertures, 3 steps."""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings, the databases and the folder of the person testing out of it."""
    for name in [n for n in os.environ if n.startswith(("PG", "LCDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def filled(new_tables: Callable[[], str]) -> str:
    """URL of a database with the demonstration data in it."""
    url = new_tables()
    with lcdb.connect(url, write=True) as db:
        demo.load(db.session)
    return url


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder for an embedded server, removed when that has stopped."""
    # Not tmp_path: its path may be too long for a socket, and closed to a server's own user.
    folder = Path(tempfile.mkdtemp(prefix="lcdb-cli-"))
    folder.chmod(0o711)
    yield folder / "data"
    for file in folder.rglob("postmaster.pid"):
        # The server removes the file when it ends.
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            number = int(file.read_text().splitlines()[0])
            psutil.wait_procs([psutil.Process(number)], timeout=60)
    # Until then, it removes files, too.
    shutil.rmtree(folder, ignore_errors=True)


def contents(url: str) -> list[tuple[object, ...]]:
    """All that a repeated load could double or rewrite: which row versions there are."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [
            tuple(row)
            for table in ("dataset", "observation", "target", "target_specific_time")
            for row in connection.execute(
                sa.text(f"SELECT '{table}', id, xmin::text FROM {table} ORDER BY id")
            )
        ]


def test_demo_loads_stars_draws_one_and_prints_next_steps(
    blank_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--url", blank_dsn]) == 0
    text = capsys.readouterr().out
    assert f"{LIGHT_CURVES} new light curves" in text
    assert "  targets        24  DEMO\n" in text
    assert "  observations    8  sector 1 to 2\n" in text
    assert f"  light curves  {LIGHT_CURVES}\n" in text
    assert "  photometry      2  DEMO aperture 2px, DEMO aperture 3px\n" in text
    assert "  processing      2  DEMO DET, DEMO SYS_RM\n" in text
    assert str(tmp_path / "lcdb_demo.png") in text
    assert "lcdb-notebook lab" in text
    assert (tmp_path / "lcdb_demo.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_demo_changes_nothing(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(filled)
    assert main(["demo", "--url", filled]) == 0
    assert "already exist" in capsys.readouterr().out
    assert contents(filled) == before


def test_a_second_demo_only_counts(filled: str, statements: list[str]) -> None:
    assert main(["demo", "--url", filled]) == 0
    # Whatever stores light curves locks other writers out first.
    assert not [statement for statement in statements if "pg_advisory" in statement]


def test_demo_loads_a_deleted_star_again(
    empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with lcdb.connect(empty_dsn, write=True) as db:
        demo.load(db.session, 3)
        db.session.execute(sa.delete(lcdb.models.Target).where(lcdb.models.Target.name == 1))
        db.session.commit()
    assert main(["demo", "--url", empty_dsn, "--targets", "1"]) == 0
    assert "24 new light curves" in capsys.readouterr().out


def test_demo_loads_what_is_missing(blank_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--url", blank_dsn, "--targets", "1"]) == 0
    before = contents(blank_dsn)
    assert main(["demo", "--url", blank_dsn, "--targets", "3"]) == 0
    assert "36 new light curves" in capsys.readouterr().out
    assert set(before) - set(contents(blank_dsn)) == set()


def test_demo_draws_flagged_cadences_apart(filled: str, tmp_path: Path) -> None:
    file = tmp_path / "star.svg"
    assert main(["demo", "--url", filled, "--plot", str(file)]) == 0
    # In an SVG every text is repeated in a comment.
    assert "DESAT (" in file.read_text(encoding="utf-8")


def test_demo_on_an_embedded_server_ignores_other_configuration(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LCDB_URL", "postgresql://ada:s3cret@localhost:1/shared")
    monkeypatch.setenv("LCDB_DATA", str(own_folder))
    assert main(["demo", "--targets", "1"]) == 0
    text = capsys.readouterr().out
    assert f"embedded server in {own_folder}" in text
    assert "lcdb.connect(embedded=True)" in text


def test_info_names_the_database_and_its_contents(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", "--url", filled]) == 0
    text = capsys.readouterr().out
    assert str(sa.make_url(filled).database) in text
    assert "read-only" in text
    assert f"light curves  {LIGHT_CURVES}" in text


def test_info_on_an_empty_database_names_the_command_that_fills_it(
    dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", "--url", dsn]) == 0
    text = capsys.readouterr().out
    assert "no light curves yet" in text
    assert "lcdb-notebook ingest" in text


ONE = ["1", "--sector", "1", "--exptime", "120", "--processing", "DEMO DET"]
"""Criteria of two light curves of the demonstration data."""


def test_search_prints_the_rows_of_the_selection(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", *ONE, "--url", filled, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    with lcdb.connect(filled) as db:
        table = db.search(1, sector=1, exptime=120, processing="DEMO DET").table
    assert [row["dataset"] for row in rows] == table["dataset"].tolist()
    assert list(rows[0]) == list(table)
    assert main(["search", *ONE, "--url", filled]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(rows)
    assert "DEMO aperture 2px" in lines[1]


@pytest.mark.parametrize(
    ("criteria", "number"),
    [
        (["1", "2", "--sector", "1", "2", "--processing", "raw", "--exptime", "120"], 8),
        (["DEMO 3", "--photometry", "DEMO aperture 2px", "--field", "sector=1"], 3),
        (["1", "--processing", "DEMO DET", "--best"], 2),
    ],
)
def test_search_has_the_criteria_of_the_python_method(
    filled: str, criteria: list[str], number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", *criteria, "--url", filled, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == number


def test_search_reports_on_standard_error_that_more_rows_exist(
    filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "--limit", "5", "--url", filled, "--json"]) == 0
    caught = capsys.readouterr()
    assert len(json.loads(caught.out)) == 5
    assert "only the first 5 light curves; raise --limit" in caught.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "1", "--sector", "99"],
        ["search", "500"],
        ["search", "1", "--processing", "SAP"],
        ["plot", "1", "--sector", "99", "-o", "star.png"],
        ["export", "1", "--sector", "99", "-o", "files"],
    ],
    ids=" ".join,
)
def test_the_exit_code_is_1_if_nothing_was_found(
    filled: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--url", filled]) == 1
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith("lcdb-notebook: ")


PYTHON = re.compile(r"\b(?:db|lcdb)\.|\w\(|\b\w+=(?:True|False|None|\.\.\.|['\"]|[\s,;)])|\w\[")
"""A call, an attribute of the package or a keyword, such as ``db.targets()`` or ``wide=True``."""


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("search 500", "`lcdb-notebook search` lists their light curves"),
        ("search 1 --sector 99", "no light curve matches all of target=1, sector=99; drop"),
        ("plot 1 --processing SAP -o star.png", "--processing raw selects raw photometry"),
        ("plot 'DEMO 1' --catalog TIC -o star.png", "but --catalog TIC; omit one"),
        ("search 1 --field colour=2", "no field named 'colour'; the fields"),
        ("plot star -o star.png", "is not a catalog number"),
        ("plot 1 --quality-bitmask never -o star.png", "no preset or flag named 'never'"),
        ("plot -o star.png", "--joined"),
        ("export 1 --format hdf5 -o files", "needs --wide"),
        ("export 1 --format parquet --flagged drop -o files", "needs --flagged keep"),
        ("ingest mine.fits", "pass --author NAME and --photometry NAME"),
        ("ingest many", "1 more; --json lists all"),
        ("ingest image.fits", "an image, not a light curve"),
    ],
)
def test_messages_name_commands_and_options_instead_of_python(
    filled: str, tmp_path: Path, arguments: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *further = shlex.split(arguments)
    if command == "ingest":
        own_file(tmp_path / "mine.fits", np.ones(50))
        fits.PrimaryHDU(np.ones((2, 2))).writeto(tmp_path / "image.fits")
        (tmp_path / "many").mkdir()
        for number in range(21):
            (tmp_path / "many" / f"{number}.fits").touch()
    assert main([command, *further, "--url", filled]) in (1, 2)
    caught = capsys.readouterr()
    message = caught.err + caught.out.partition("skipped:")[2]
    assert advice in message
    assert not PYTHON.search(message), message


def test_an_empty_database_is_reported_with_the_commands_that_fill_it(
    dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", "1", "--url", dsn]) == 1
    message = capsys.readouterr().err
    assert "`lcdb-notebook ingest PATH`" in message
    assert not PYTHON.search(message)


@pytest.mark.parametrize("field", ["limit=3", "target=3", "radius=1", "aliases=1", "self=1"])
def test_field_refuses_what_is_not_a_field_of_observations(
    field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["search", "1", "--field", field])
    assert "is not a field of the observations" in capsys.readouterr().err


def test_plot_writes_a_file_and_names_its_light_curves(
    filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "star.svg"
    arguments = ["plot", *ONE, "--quality-bitmask", "hard", "-o", str(file), "--url", filled]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["file"], len(printed["datasets"])) == (str(file), 2)
    assert "DESAT (" in file.read_text(encoding="utf-8")


def test_export_writes_files_that_are_kept_the_second_time(
    filled: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", *ONE, "--format", "ecsv", "-o", str(tmp_path / "x"), "--url", filled]
    assert main([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows] == ["written"] * 2
    assert all(Path(row["file"]).is_file() for row in rows)
    assert main(arguments) == 0
    assert "2 light curves: 0 written, 2 kept, 0 skipped" in capsys.readouterr().out


@pytest.mark.slow
def test_lab_passes_the_port_and_options_after_the_dashes_to_jupyterlab(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["lab", "mine", "--port", "18890", "--no-browser", "--", "--show-config", "-y"]
    assert main(arguments) == 0
    shown = capfd.readouterr().out
    assert f".root_dir = '{tmp_path / 'mine'}'" in shown
    assert ".port = 18890" in shown
    assert ".open_browser = False" in shown
    assert ".answer_yes = True" in shown


@pytest.mark.parametrize("port", ["0", "-1", "x", "8e3"])
def test_lab_refuses_what_is_not_a_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["lab", f"--port={port}"])
    assert f"--port: must be a number of at least 1, got '{port}'" in capsys.readouterr().err


def test_notebooks_are_copied_and_existing_files_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "folder"
    assert main(["notebooks", str(folder)]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names[0] == "01_quickstart.ipynb"
    assert f"Copied {len(names)} notebooks" in capsys.readouterr().out
    (folder / names[0]).write_text("mine", encoding="utf-8")
    assert main(["notebooks", str(folder)]) == 0
    assert f"Kept {len(names)} existing notebooks; --overwrite" in capsys.readouterr().out
    assert (folder / names[0]).read_text(encoding="utf-8") == "mine"
    assert main(["notebooks", str(folder), "--overwrite"]) == 0
    assert json.loads((folder / names[0]).read_text(encoding="utf-8"))["nbformat"] == 4
    (tmp_path / "file").touch()
    assert main(["notebooks", str(tmp_path / "file")]) == 2
    assert "choose another folder" in capsys.readouterr().err


def test_info_and_ingest_print_json(filled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--url", filled, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    numbers = {row["what"]: row["number"] for row in printed["contents"]}
    assert numbers["light curves"] == LIGHT_CURVES
    Path("bad.fits").write_bytes(b"no FITS at all")
    assert main(["ingest", "bad.fits", "--url", filled, "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == "skipped"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_prints_a_script_that_names_every_command(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("search", "--quality-bitmask", "restore", "--replace"))


def test_completion_in_bash_completes_commands_options_and_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for words, expected in (
        (["lcdb-notebook", "sea"], "search"),
        (["lcdb-notebook", "search", "--quality"], ""),
        (["lcdb-notebook", "export", "--for"], "--format"),
        (["lcdb-notebook", "export", "--format", "par"], "parquet"),
    ):
        line = " ".join(words)
        ask = (
            f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
            "_shtab_lcdb_notebook 2>/dev/null; echo ${COMPREPLY[@]}\n"
        )
        done = subprocess.run(
            ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=False
        )
        assert done.stdout.split() == ([expected] if expected else []), (words, done.stderr)


def test_ingest_stores_files_and_reports_them(
    data_folder: Path, empty_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ingest", str(data_folder / PI_MEN), "--url", empty_dsn]
    assert main(arguments) == 0
    assert "1 file: 1 added (2 light curves), 0 unchanged, 0 skipped" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "1 file: 0 added (0 light curves), 1 unchanged, 0 skipped" in capsys.readouterr().out


def own_file(path: Path, flux: npt.NDArray[np.float64]) -> str:
    """Write a file of a pipeline that the package does not know."""
    columns = [
        fits.Column("TIME", "D", array=1325.5 + np.arange(50) / 720),
        fits.Column("FLUX", "D", array=flux),
        fits.Column("CADENCENO", "K", array=np.arange(50)),
    ]
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)])
    hdus[1].header["BJDREFI"] = 2457000
    for key, found in {"TELESCOP": "TESS", "TICID": 7, "SECTOR": 1, "CAMERA": 1, "CCD": 2}.items():
        hdus[0].header[key] = found
    hdus.writeto(path)
    return str(path)


def test_ingest_of_another_pipeline_and_of_its_next_release(
    empty_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--url", empty_dsn, "--author", "me", "--photometry", "Mine"]
    assert main(["ingest", own_file(tmp_path / "mine.fits", np.ones(50)), *arguments]) == 0
    assert "1 file: 1 added (1 light curve)" in capsys.readouterr().out
    with lcdb.connect(empty_dsn) as db:
        assert db.search(7).table["photometry"].tolist() == ["Mine"]
    later = own_file(tmp_path / "later.fits", np.arange(50.0))
    assert main(["ingest", later, *arguments, "--replace", "newer"]) == 1
    text = capsys.readouterr().out
    assert "It is unknown which is newer" in text
    assert "pass --replace always to replace it" in text
    assert main(["ingest", later, *arguments, "--replace", "always"]) == 0
    assert "1 replaced" in capsys.readouterr().out


def test_ingest_ends_with_1_if_a_file_was_skipped(
    dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.fits").write_bytes(b"no FITS at all")
    assert main(["ingest", "bad.fits", "--url", dsn]) == 1
    text = capsys.readouterr().out
    assert "1 skipped" in text
    assert "bad.fits: not a FITS file" in text


def test_ingest_can_stop_at_the_first_bad_file(
    dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.fits").write_bytes(b"no FITS at all")
    assert main(["ingest", "bad.fits", "--url", dsn, "--on-error", "raise"]) == 2
    assert "bad.fits: not a FITS file" in capsys.readouterr().err


UNREACHABLE = "postgresql://ada:s3cret@localhost:1/stars"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "--url", UNREACHABLE], "localhost"),
        (["info", "--url", "mysql://ada:s3cret@localhost/stars"], "mysql"),
        (["info", "--config", "nowhere.conf"], "nowhere.conf"),
        (["ingest", "x.fits", "--url", UNREACHABLE], "localhost"),
        (["demo", "--url", UNREACHABLE], "localhost"),
        (["demo", "--plot", "star.docx"], "must end in ..., .png"),
        (["demo", "--plot", "no/such/star.png"], "no folder"),
    ],
)
def test_a_user_error_is_reported_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    caught = capsys.readouterr()
    assert caught.err.startswith("lcdb-notebook: ")
    assert caught.err.count("\n") == 1
    assert all(part in caught.err for part in message.split("..., "))
    assert caught.out == ""
    assert "s3cret" not in caught.err


def test_debug_shows_the_traceback_without_the_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["info", "--debug", "--url", UNREACHABLE]) == 2
    text = capsys.readouterr().err
    assert "Traceback (most recent call last)" in text
    assert "ConnectionFailedError" in text
    assert "s3cret" not in text


def test_a_database_without_tables_is_refused(
    blank_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ingest", "x.fits", "--url", blank_dsn]) == 2
    assert "table" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["destroy"],
        ["ingest"],
        ["demo", "--targets", "0"],
        ["demo", "--targets", "many"],
        ["ingest", "x.fits", "--on-error", "cry"],
        ["info", UNREACHABLE],
        ["info", "--url", UNREACHABLE, "--config", UNREACHABLE],
    ],
)
def test_arguments_that_make_no_sense_end_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith("usage: lcdb-notebook")
    assert "s3cret" not in text


def test_a_url_where_a_path_is_expected_is_repeated_without_its_password(
    dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ingest", UNREACHABLE, "--url", dsn]) == 1
    caught = capsys.readouterr()
    assert "no such file" in caught.out
    assert "s3cret" not in caught.out + caught.err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "examples:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["demo"], ["ingest"], ["info"], ["search"], ["plot"], ["export"], ["backup"], ["restore"]],
)
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"  lcdb-notebook {arguments[0] if arguments else 'demo'}" in text


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("demo", "ingest", "info", "search", "plot", "export", "backup", "restore"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = capsys.readouterr().out
        assert all(option in text for option in ("--url", "--config", "--embedded", "--debug"))


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"lcdb-notebook {lcdb.__version__}\n"


def test_an_interrupt_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_control_c(_given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "run", press_control_c)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "lcdb-notebook: interrupted\n"


def test_a_config_file_that_others_can_read_is_warned_of_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "db.conf"
    file.write_text(
        "[Credentials]\nusername=ada\npassword=s3cret\ndatabase_name=stars\n"
        "database_host=localhost\ndatabase_port=1\n"
    )
    file.chmod(0o644)
    assert main(["info", "--config", str(file)]) == 2
    text = capsys.readouterr().err.splitlines()
    warned = [line for line in text if line.startswith("lcdb-notebook: warning: other users of")]
    assert (len(warned), len(text)) == (1, 2)
    assert "s3cret" not in "\n".join(text)


@pytest.mark.slow
def test_the_command_runs_as_a_module_with_a_separate_server(own_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lcdb_notebook", "info"],
        env={**os.environ, "LCDB_DATA": str(own_folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no light curves yet" in done.stdout


@pytest.mark.slow
def test_main_ends_quietly_if_its_output_is_closed(filled: str, tmp_path: Path) -> None:
    where = ["--url", filled, "--output", str(tmp_path / "out"), "--json"]
    criteria = ["1", "--sector", "1", "--exptime", "120", "--processing", "raw"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "lcdb_notebook", "export", *criteria, *where],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, "Traceback" in done.stderr) == (141, False)
    # lightkurve's warning about an optional module
    assert "oktopus" not in done.stderr
