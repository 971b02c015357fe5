"""The program `nclscreen`: all commands, and how errors become exit codes.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted (Ctrl-C), 143 terminated.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from jobs.errors import InvalidCursor, InvalidFilter, InvalidSource, JobsError
from jobs.outage import reason
from jobs.sql.database import InvalidDatabaseUrl
from jobs.sql.errors import DATABASE_AWAY
from jobs.webhooks.urls import InvalidWebhook
from ncl_model.errors import ConfigInvalid, NclModelError
from nclscreen import __version__
from nclscreen.cli import output
from nclscreen.cli.advice import with_advice
from nclscreen.cli.groups import data_app, db_app, keys_app, projects_app, schedules_app
from nclscreen.cli.masked_stream import masked_streams
from nclscreen.cli.options import told
from nclscreen.cli.remote import asked_from_afar, remote_address
from nclscreen.interrupts import Terminated, terminate
from nclscreen.services.errors import InvalidRequest
from nclscreen.settings import unknown_settings
from nclscreen.surroundings import InvalidSettings
from nclscreen.tracing import start_tracing, stop_tracing
from nclscreen.visible_text import visible_text

_USAGE_ERRORS = (
    InvalidSource,
    InvalidWebhook,
    InvalidSettings,
    InvalidDatabaseUrl,
    InvalidFilter,
    InvalidCursor,
    ConfigInvalid,
)

#: base of everything that is wrong with a command line; found by its child, as some typers carry a click of their own
_ClickException: Any = typer.BadParameter.__mro__[2]

_EPILOG = """
Examples:

  nclscreen screen ~/Pictures --report report

  nclscreen screen s3://archive/2026/ --threshold 0.8 --json

  nclscreen score suspicious.jpg

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""


def build_app() -> typer.Typer:
    """The command tree; modules with heavy imports are loaded by the commands themselves."""
    from nclscreen.cli import (
        audit,
        cases,
        changes,
        confirming,
        control,
        data,
        db,
        delete,
        demo,
        demo_loop,
        doctor,
        evaluate,
        export,
        keys,
        models,
        query,
        reflag,
        release,
        replay,
        rescreen,
        retry,
        review,
        review_all,
        runs,
        schedules,
        score,
        screen,
        second_looks,
        serve,
        top,
        train,
    )

    app = typer.Typer(
        name="nclscreen",
        help="Screen photographs for tampering: which were edited, and where?",
        epilog=_EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    for command, epilog in (
        (screen.screen, "Examples:\n\n  nclscreen screen photos --report report\n\n  nclscreen screen list.csv --json"),
        (screen.up, "Example:\n\n  nclscreen up"),
        (
            screen.submit,
            "Examples:\n\n  nclscreen watch $(nclscreen submit s3://archive/2026/)\n\n"
            "  nclscreen submit s3://archive --modified-after 7d --min-size 10KB --tag weekly --confirm\n\n"
            "  nclscreen submit s3://inventories/archive/all/2026-11-01T01-00Z/manifest.json --sample 1000",
        ),
        (confirming.confirm, "Example:\n\n  nclscreen confirm 1m7yxf33cw6dnp0t"),
        (query.jobs, "Examples:\n\n  nclscreen jobs --json\n\n  nclscreen jobs --tag weekly --state failed"),
        (
            query.job,
            "Examples:\n\n  nclscreen job 1m7yxf33cw6dnp0t\n\n  nclscreen job 1m7yxf33cw6dnp0t --problems",
        ),
        (query.watch, "Example:\n\n  nclscreen watch 1m7yxf33cw6dnp0t"),
        (control.pause, "Example:\n\n  nclscreen pause 1m7yxf33cw6dnp0t"),
        (control.resume, "Example:\n\n  nclscreen resume 1m7yxf33cw6dnp0t"),
        (control.prioritize, "Example:\n\n  nclscreen prioritize 1m7yxf33cw6dnp0t 10"),
        (retry.retry, "Example:\n\n  nclscreen retry 1m7yxf33cw6dnp0t --code timeout --code not_found"),
        (
            reflag.reflag,
            "Examples:\n\n  nclscreen reflag 1m7yxf33cw6dnp0t --threshold 0.9\n\n"
            "  nclscreen reflag 1m7yxf33cw6dnp0t --max-fpr 0.02 --yes",
        ),
        (
            rescreen.rescreen,
            "Examples:\n\n  nclscreen rescreen 1m7yxf33cw6dnp0t\n\n"
            "  nclscreen rescreen 1m7yxf33cw6dnp0t --images flagged",
        ),
        (
            changes.changes,
            "Examples:\n\n  nclscreen changes 1m8fcrz3nts3jy3t\n\n"
            "  nclscreen changes 1m8fcrz3nts3jy3t --against 1m7yxf33cw6dnp0t --limit 0 --json",
        ),
        (control.cancel, "Example:\n\n  nclscreen cancel 1m7yxf33cw6dnp0t"),
        (delete.delete, "Example:\n\n  nclscreen delete 1m7yxf33cw6dnp0t"),
        (
            query.flagged,
            "Examples:\n\n  nclscreen flagged --min-score 0.9 --prefix 2026/ --limit 20\n\n"
            "  nclscreen flagged --job 1m7yxf33cw6dnp0t --limit 0 > all.txt",
        ),
        (
            cases.cases,
            "Examples:\n\n  nclscreen cases 1m7yxf33cw6dnp0t --unreviewed\n\n"
            "  nclscreen flagged --job 1m7yxf33cw6dnp0t --case 2026-0815",
        ),
        (
            query.show,
            "Examples:\n\n  nclscreen show 1m7yxf33cw6dnp0t/17 --out beach.png\n\n"
            "  nclscreen show --job 1m7yxf33cw6dnp0t s3://archive/holiday/beach.jpg --out beach.png",
        ),
        (
            review.review,
            "Examples:\n\n  nclscreen review 1m7yxf33cw6dnp0t/17 confirmed --note 'the shadow' --severity 4\n\n"
            "  nclscreen review 1m7yxf33cw6dnp0t/17 confirmed --mask mask.png\n\n"
            "  nclscreen review 1m7yxf33cw6dnp0t/17 --undo",
        ),
        (
            review_all.review_all,
            "Examples:\n\n  nclscreen review-all 1m7yxf33cw6dnp0t rejected --flagged --prefix scans/\n\n"
            "  nclscreen review-all 1m7yxf33cw6dnp0t --undo 5e0b6c1f9a2d4783",
        ),
        (review.reviews, "Example:\n\n  nclscreen reviews 1m7yxf33cw6dnp0t"),
        (
            second_looks.second_looks,
            "Examples:\n\n  nclscreen second-looks 1m7yxf33cw6dnp0t --share 0.2\n\n"
            "  nclscreen second-looks 1m7yxf33cw6dnp0t",
        ),
        (
            audit.audit,
            "Examples:\n\n  nclscreen audit 1m7yxf33cw6dnp0t --size 200\n\n  nclscreen audit 1m7yxf33cw6dnp0t",
        ),
        (
            replay.replay,
            "Examples:\n\n  nclscreen replay 1m7yxf33cw6dnp0t --threshold 0.9\n\n"
            "  nclscreen replay 1m7yxf33cw6dnp0t --threshold 0.9 --min-area 0.02 --json",
        ),
        (
            export.export,
            "Examples:\n\n  nclscreen export --job 1m7yxf33cw6dnp0t --out verdicts.parquet\n\n"
            "  nclscreen export --job 1m7yxf33cw6dnp0t --failed --out failed.csv\n\n"
            "  nclscreen export --format jsonl --out - | head",
        ),
        (score.score, "Example:\n\n  nclscreen score a.jpg b.png"),
        (
            evaluate.evaluate,
            "Examples:\n\n  nclscreen evaluate --data casia1/test/index.csv --out figures\n\n"
            "  nclscreen evaluate --weights new.safetensors --data casia1/test --data nist16/test --out figures",
        ),
        (
            train.train,
            "Examples:\n\n  nclscreen train small --data casia1/train --data authentic/bsds500 --out run\n\n"
            "  nclscreen train paper.yaml --data PACK --out s3://models/run1 --workers 4 --gpus\n\n"
            "  nclscreen train small --set network.width=32 --set loss.omega=.03 --data PACK --out run",
        ),
        (
            release.release,
            "Example:\n\n  nclscreen release run/weights.safetensors --data casia1/train --data authentic/bsds500 "
            "--out mine.safetensors --name mine",
        ),
        (
            release.calibration,
            "Examples:\n\n  nclscreen calibration\n\n"
            "  nclscreen calibration --weights mine.safetensors --max-fpr 0.01 --json",
        ),
        (
            serve.serve,
            "Examples:\n\n  nclscreen serve\n\n  curl 'http://127.0.0.1:8080/v1/verdicts?flagged=true&limit=10'",
        ),
        (
            runs.retrain,
            "Examples:\n\n  nclscreen retrain --data casia1/train --data authentic/bsds500 --evaluate casia1/test "
            "--minutes 30\n\n  nclscreen retrain --data PACK --evaluate held-out --rules gate.yaml --no-promotion",
        ),
        (runs.runs, "Example:\n\n  nclscreen runs"),
        (runs.run, "Examples:\n\n  nclscreen run 1m7yxf33cw6dnp0t\n\n  nclscreen run 1m7yxf33cw6dnp0t --cancel"),
        (models.models, "Example:\n\n  nclscreen models --json"),
        (models.model, "Examples:\n\n  nclscreen model b062dfc08a02\n\n  nclscreen model --at 2026-05-17"),
        (models.register, "Example:\n\n  nclscreen register mine.safetensors"),
        (models.promote, "Example:\n\n  nclscreen promote b062dfc08a02 --reason 'fewer false alarms on scans'"),
        (models.rollback, "Example:\n\n  nclscreen rollback --reason 'misses copies'"),
        (keys.audit_log, "Example:\n\n  nclscreen audit-log --project desk"),
        (top.top, "Examples:\n\n  nclscreen top\n\n  nclscreen top --once"),
        (doctor.doctor, "Example:\n\n  nclscreen doctor --source s3://archive"),
        (demo.demo, "Example:\n\n  nclscreen demo --out demo-output"),
        (demo_loop.demo_loop, "Example:\n\n  nclscreen demo-loop --minutes 2"),
    ):
        # `prioritize ID -1`: a number, not an option
        settings = {"ignore_unknown_options": command is control.prioritize}
        app.command(epilog=epilog, context_settings=settings)(command)
    for group in (data_app(data), db_app(db), keys_app(keys), projects_app(keys), schedules_app(schedules)):
        app.add_typer(group)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"nclscreen {__version__}")  # noqa: T201
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
    api: Annotated[
        str | None,
        typer.Option("--api", metavar="URL", help="Before the command: ask the API there instead of a database."),
    ] = None,
) -> None:
    """Options of the program itself."""
    for name, meant in unknown_settings(os.environ):
        hint = f"; did you mean {meant}?" if meant else "; the README's table has all settings"
        output.err.print(f"note: {visible_text(name)} is no setting and changes nothing{hint}", markup=False)


def main() -> NoReturn:
    """Entry point of the program."""
    signal.signal(signal.SIGTERM, terminate)
    code = run(sys.argv[1:])
    if code in (output.INTERRUPTED, output.TERMINATED):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not change how the program ends
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line; gives the exit code and never raises for what a user can cause."""
    with masked_streams():
        start_tracing()
        try:
            return _run(arguments)
        finally:
            stop_tracing()


def _invoke(app: typer.Typer, arguments: list[str]) -> Any:
    return typer.main.get_command(app).main(arguments, prog_name="nclscreen", standalone_mode=False)


def _run(arguments: list[str]) -> int:
    try:
        address, rest = remote_address(arguments)
        result = _invoke(build_app(), rest) if address is None else asked_from_afar(address, _invoke, rest)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where it can still be told
    except typer.Abort:
        return output.INTERRUPTED
    except _ClickException as error:
        error.show()
        return int(error.exit_code)
    except KeyboardInterrupt:
        return output.INTERRUPTED
    except Terminated:
        return output.TERMINATED
    except InvalidRequest as error:
        return _told(told(error), output.WRONG_USAGE)
    except _USAGE_ERRORS as error:
        return _told(error, output.WRONG_USAGE)
    except (JobsError, NclModelError) as error:
        return _told(with_advice(error), output.FAILED)
    except DATABASE_AWAY as error:
        return _told(reason(error), output.FAILED, "the database does not answer: ")
    except BrokenPipeError:
        # the reader went away (`| head`): say nothing, and keep Python from trying once more at exit
        _forget_output()
        return output.FAILED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _forget_output()
        return _told(error.strerror or error, output.FAILED, "what was to be said or written could not be: ")
    return result if isinstance(result, int) else output.DONE


def _forget_output() -> None:
    """What is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: BaseException | str, code: int, context: str = "") -> int:
    # messages quote names of files, which are untrusted; their own lines stay
    lines = [visible_text(line) for line in f"error: {context}{error}".split("\n")]
    output.err.print("\n".join(lines), style="red", markup=False)
    return code
