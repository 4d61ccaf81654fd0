"""What a node finds on its disk when it starts: configuration written anew, seeds written once."""

from __future__ import annotations

from harness.runtime.base import NodeSpec


def write_files(spec: NodeSpec, *, first: bool) -> None:
    """Write a node's configuration; before its first start its seeds, too."""
    spec.data_dir.mkdir(parents=True, exist_ok=True)
    for path, content in spec.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    for path, seed in spec.seeds.items() if first else ():
        path.write_bytes(seed)
