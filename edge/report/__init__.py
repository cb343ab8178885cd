"""The report: one HTML file that shows a recorded session to people.

It holds everything it shows, names no other host, runs no script, and escapes every text: what was heard and read comes from
the world, and the file is sent around.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edge.bundle import read_bundle
from edge.errors import StorageError
from edge.report.story import tell

__all__ = ["write_report"]


def write_report(bundle_path: Path, out_html: Path) -> None:
    """Writes the report of a session bundle.

    Raises InputError for what is no bundle, StorageError where the file cannot be written.
    """
    import jinja2

    story = tell(read_bundle(bundle_path))
    here = files(__package__)
    # Jinja2 escapes whatever a template puts in; the style sheet alone is our own text and goes in as it is.
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    template = environment.from_string(here.joinpath("page.html").read_text(encoding="utf-8"))
    page = template.render(story=story, style=here.joinpath("style.css").read_text(encoding="utf-8"))
    try:
        out_html.parent.mkdir(parents=True, exist_ok=True)
        # Lone surrogates can come out of JSON escapes, and cannot be written.
        out_html.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise StorageError(f"{out_html}: cannot be written: {error.strerror or error}") from error
