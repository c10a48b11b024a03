"""The version, which pyproject.toml says."""

from functools import cache


@cache
def version() -> str:
    """Look up the version when it is asked for: importlib.metadata takes as long to import as all the rest."""
    from importlib import metadata  # noqa: PLC0415  # see above

    return metadata.version("lazytiff")
