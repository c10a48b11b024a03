"""What arrays of a file's pages say of themselves, in words."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING

from lazytiff._recipe import PickledArray
from lazytiff.errors import NotMappableError

if TYPE_CHECKING:
    from lazytiff._cache import CacheInfo


class WordedArray(PickledArray):
    """Pages of a file that tell how they are stored and read."""

    @property
    @abstractmethod
    def _known_axes(self) -> str:
        """Return what `axes` can say without reading anything."""

    def cache_info(self) -> CacheInfo:
        """Tell what the file's cache of decoded chunks did and holds."""
        return self._file.cache.info()

    def _name(self) -> str:
        return repr(os.path.basename(self._file.source.name)) if self.path else self._file.source.name

    def _describe(self) -> str:
        return f"{self._name()} {self.dtype} {self.shape} {self._known_axes}, {self._ways()}"

    def _ways(self) -> str:
        numbers = self._numbers
        table = self._file.table
        return ", ".join(dict.fromkeys(table.layouts[number].codec for number in table.count_layouts(numbers)))

    def __repr__(self) -> str:
        closed = ", closed" if self.closed else ""
        return f"<{type(self).__name__} {self._describe()}{closed}>"

    def explain(self) -> str:
        """Tell in words how the pixels are stored and how they are read."""
        numbers = self._numbers
        table = self._file.table
        lines = [
            repr(self),
            f"file: {self._file.source.name}, {table.file_size} bytes, {table}",
        ]
        for number, count in table.count_layouts(numbers).items():
            lines.append(f"{count} of {len(numbers)} pages: {table.layouts[number]}")
        lines += self._explain_access()
        lines += [f"warning: {text}" for text in table.warnings]
        return "\n".join(lines)

    def _explain_access(self) -> list[str]:
        info, numbers = self.cache_info(), self._numbers
        table = self._file.table
        direct = all(table.layouts[number].direct for number in table.count_layouts(numbers))
        return [
            "read straight from the file" if direct else "decoded chunk by chunk where touched",
            *self._explain_mapping(),
            f"cache: {info.currsize} of {info.maxsize} bytes in use, {info.hits} hits, {info.misses} misses",
        ]

    def _explain_mapping(self) -> list[str]:
        if self.closed or self.path is None:
            return [] if self.closed else ["mmap=True is not possible: only files can be mapped"]
        numbers = self._numbers
        try:
            self._file.table.extents(numbers)
        except NotMappableError as error:
            return [f"mmap=True is not possible: {error}"]
        return ["mmap=True is possible"]
