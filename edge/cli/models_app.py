"""The words of ``nearsight models``; ``edge.cli.models`` does what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.options import Json, Profile
from edge.errors import UsageError

models_app = typer.Typer(help="Lists, fetches, checks, carries and exports the models.", no_args_is_help=True)


@models_app.command("list")
def models_list(profile: Profile = None, json: Json = False) -> None:
    """What is here, and what a profile needs."""
    from edge.cli import models

    models.list_models(profile, as_json=json)


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Names of the catalogue.")] = None,
    profile: Profile = None,
    trust: Annotated[
        str, typer.Option("--trust", help="Whose hashes to take where the catalogue has none: latest, or a commit.")
    ] = "",
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="Agree to licences with conditions.")] = False,
    translate: Annotated[
        str, typer.Option("--translate", help="What translates between two languages, such as es-en, instead of names.")
    ] = "",
    engine: Annotated[
        str,
        typer.Option("--engine", help="With --translate: apertium or ctranslate2; by default Apertium where Debian has it."),
    ] = "",
    json: Json = False,
) -> None:
    """Fetches models, checks their hashes, goes on after a cut."""
    from edge.cli import models

    agreed = models.Agreed(trust, accept_licence)
    if not translate:
        models.pull(names or [], profile, agreed, as_json=json)
    elif names or profile:
        raise UsageError("--translate stands alone: pull models by name, or a profile's, on their own")
    else:
        models.pull_pair(translate, engine, agreed, as_json=json)


@models_app.command("export")
def models_export(
    name: Annotated[str, typer.Argument(help="sam2.1-hiera-tiny, -small, -base-plus or -large.")],
    size: Annotated[int, typer.Option("--size", help="Side of the pictures it will see: 512 or 1024.")] = 512,
    checkpoint: Annotated[Path | None, typer.Option("--checkpoint", help="Its weights, as Meta publishes them.")] = None,
    random: Annotated[int | None, typer.Option("--random", help="Random weights from this seed instead; for trials.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; by default beside the other models.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Also in fp16, if its masks stay the same.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Also in int8, if its masks stay the same.")] = False,
    gate_frames: Annotated[
        Path | None, typer.Option("--gate-frames", help="Video or folder of pictures to compare masks on; else drawn ones.")
    ] = None,
    json: Json = False,
) -> None:
    """Writes SAM 2.1 as ONNX graphs. Needs the extra sam2."""
    from edge.cli import models

    smaller = models.Smaller(half, int8, gate_frames)
    models.export(name, size, models.Source(checkpoint, random), out, smaller, as_json=json)


@models_app.command("verify")
def models_verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names of the catalogue; all that are here by default.")] = None,
    json: Json = False,
) -> None:
    """Hashes the files again; what is wrong is deleted."""
    from edge.cli import models

    models.verify(names or [], as_json=json)


@models_app.command("add")
def models_add(
    path: Annotated[Path, typer.Argument(help="A model file, a folder with its files, or a bundle.")],
    name: Annotated[str, typer.Option("--name", help="Its name in the catalogue, or a new one; a bundle has its own.")] = "",
    task: Annotated[str, typer.Option("--task", help="With a new name: the port it serves, such as language_model.")] = "",
    json: Json = False,
) -> None:
    """Takes models from this machine, without a network."""
    from edge.cli import models

    models.add(path, name, task, as_json=json)


@models_app.command("bundle")
def models_bundle(
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    names: Annotated[list[str] | None, typer.Argument(help="Names of the catalogue.")] = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Writes the models of a profile into one file, to be added on a machine without a network."""
    from edge.cli import models

    models.bundle(out, names or [], profile, as_json=json)


@models_app.command("remove")
def models_remove(
    names: Annotated[list[str], typer.Argument(help="Names of the catalogue.")],
    json: Json = False,
) -> None:
    """Takes models off this machine."""
    from edge.cli import models

    models.remove(names, as_json=json)
