"""`data`: sets of labelled photographs, looked into and packed. No database, no cluster, no model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from nclscreen.cli import output
from nclscreen.cli.counting import counting
from nclscreen.quantities import size_in_words
from nclscreen.visible_text import visible_text

if TYPE_CHECKING:
    from ncl_model.data.inspection import Copy, Inspection, SourceReport
    from ncl_model.data.problems import Problem

#: problems and copies spelled out; --json has all
_SHOWN = 20

Sources = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE",
        help="An index.csv, a folder with one, a published layout, a folder of authentic photographs, or a PACK.",
    ),
]
GreyMasks = Annotated[bool, typer.Option("--grey-masks", help="Masks may be grey: above 127 counts as tampered.")]
Work = Annotated[Path | None, typer.Option(metavar="DIR", help="Where PACKs are unpacked; else the user's cache.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def inspect(sources: Sources, grey_masks: GreyMasks = False, work: Work = None, as_json: AsJson = False) -> None:
    """Look into every file: counts, sizes, tampered areas, faults, and copies across groups and sources.

    Exit code 1 when a file cannot be used as it is.
    """
    from ncl_model.data.inspection import inspect_sources

    with counting("photographs") as count:
        found = inspect_sources(
            sources, work=work, grey_masks=grey_masks, progress=lambda done, total: count(done, total, "looking")
        )
    if as_json:
        output.print_json(found.to_dict())
    else:
        _print(found)
    if found.problems:
        raise typer.Exit(output.FAILED)


def pack(
    sources: Sources,
    out: Annotated[Path, typer.Option(metavar="PACK", help="New folder for the shards, at most 60 MB each.")],
    leave_out_bad: Annotated[
        bool, typer.Option("--leave-out-bad", help="Leave out photographs whose files have a problem.")
    ] = False,
    grey_masks: GreyMasks = False,
    work: Work = None,
    as_json: AsJson = False,
) -> None:
    """Put everything a training run needs into a few tar shards, to carry to another machine.

    Every file is looked into first; nothing is written when one has a problem, unless it may be left out.
    """
    from ncl_model.data.checking import usable_sources
    from ncl_model.data.packing import check_free
    from ncl_model.data.packing import pack as write_pack

    check_free(out)

    with counting("photographs") as count:
        found, problems = usable_sources(
            sources,
            work=work,
            leave_out_bad=leave_out_bad,
            grey_masks=grey_masks,
            progress=lambda done, total: count(done, total, "looking"),
        )
    if problems:
        output.err.print("left out:")
        output.err.print(_lines(problems), soft_wrap=True)
    with counting("bytes") as count:
        contents = write_pack(found, out, progress=lambda done, total: count(done, total, "packing"))
    if as_json:
        output.print_json({"pack": str(out), "problems": len(problems), **contents})
        return
    samples = sum(source["samples"] for source in contents["sources"])
    shards = len(contents["shards"])
    said = f"{out}: {samples:,} photographs, {size_in_words(contents['bytes'])} in {shards} shard{'s' * (shards != 1)}"
    output.out.print(said, markup=False, soft_wrap=True)


def _print(found: Inspection) -> None:
    for source in found.sources:
        output.out.print(Text.assemble((visible_text(source.name), "bold"), f"  {source.layout}"))
        output.print_columns(_grid(source))
        output.out.print()
    for note in found.notes:
        output.out.print(output.visible(note), style="yellow")
    if found.copies:
        _print_copies(found)
        output.out.print()
    if found.problems:
        kinds = Counter(problem.kind for problem in found.problems)
        counts = ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in kinds.most_common())
        output.out.print(Text.assemble(("problems: ", "bold red"), counts), soft_wrap=True)
        output.out.print(_lines(found.problems), soft_wrap=True)
    else:
        output.out.print("every file can be used", style="green")


def _grid(source: SourceReport) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    formats = ", ".join(f"{name} {count:,}" for name, count in source.formats.items())
    rows = [
        ("photographs", f"{source.tampered:,} tampered, {source.authentic:,} authentic"),
        ("groups", f"{source.groups:,}, the largest of {source.largest_group:,}"),
        ("files", f"{formats or 'none can be read'}; {size_in_words(source.bytes)}"),
    ]
    if source.sizes:
        smallest, median, largest = (f"{width}x{height}" for width, height in source.sizes)
        rows.append(("sizes", f"median {median}; from {smallest} to {largest}"))
    if source.tampered_area:
        least, low, median, high, most = (f"{share:.1%}" for share in source.tampered_area)
        rows.append(
            ("tampered", f"median {median} of the pixels; a tenth below {low}, a tenth above {high}; {least} to {most}")
        )
    if source.regions:
        rows.append(("region maps", f"{source.regions:,}"))
    for name, value in rows:
        grid.add_row("", name, value)
    for note in source.notes:
        grid.add_row("", Text("note", style="bold yellow"), output.visible(note))
    return grid


def _print_copies(found: Inspection) -> None:
    output.out.print(Text("nearly equal photographs that a split could divide", style="bold"))
    for copy in found.copies[:_SHOWN]:
        output.out.print(output.visible(f"  {_told(copy)}"), soft_wrap=True)
    if len(found.copies) > _SHOWN:
        output.out.print(f"  ... and {len(found.copies) - _SHOWN:,} more (--json has all)")


def _told(copy: Copy) -> str:
    sign = "=" if copy.exact else "~"
    return f"{copy.first.image} ({copy.first.group}) {sign} {copy.second.image} ({copy.second.group})"


def _lines(problems: list[Problem]) -> Text:
    """The first problems, one a line; what they quote is untrusted."""
    from ncl_model.data.problems import tell

    return Text("\n".join(visible_text(line) for line in tell(problems, shown=_SHOWN).splitlines()))
