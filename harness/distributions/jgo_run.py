"""Runs inside a Python that has the package jgo: resolves Maven coordinates, or lists the versions of one artifact.

A script, started by ``jars.py`` with ``-I``: ``jgo_run.py PACKAGES REPOSITORY fetch OUT WITHOUT COORDINATE…`` copies
the jars of the coordinates and of all that they need at run time into ``OUT``, except artifacts that are named in
``WITHOUT``; ``… versions GROUP ARTIFACT`` prints the released versions. The repositories of the user's jgo
configuration are used (one named ``central`` takes the place of the default), and the proxy of the environment.
``REPOSITORY`` takes what is downloaded: jgo takes a file that is there for whole, even if it was killed while writing
it, so this is never a directory that outlives one fetch. Knows nothing of what is fetched.
"""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from typing import Any


def _understand_exact_versions(component: Any) -> None:
    """Let jgo read ``[1.53.0]``, Maven's way to say "this version and no other", as that version.

    It takes the brackets for a part of the version, and then finds no such file (gRPC's modules name each other so).
    """

    def version(self: Any) -> str:
        found: str = self._asked
        exact = re.fullmatch(r"\[([^,\[\]]+)\]", found)
        return exact[1] if exact else found

    def set_version(self: Any, asked: str) -> None:
        self._asked = asked

    component.version = property(version, set_version)


def main(packages: str, repository: str, action: str, *rest: str) -> None:
    """Carry one action out; whatever goes wrong is the last line of the traceback."""
    sys.path.insert(0, packages)
    constants, maven, parse = (importlib.import_module(f"jgo.{name}") for name in ("constants", "maven", "parse"))
    _understand_exact_versions(maven.Component)
    settings = importlib.import_module("jgo.config").GlobalSettings.load()
    repositories = {"central": constants.MAVEN_CENTRAL_URL, **settings.repositories}
    context = maven.MavenContext(repo_cache=Path(repository), remote_repos=repositories, timeout=60)
    if action == "versions":
        project = context.project(*rest)
        project.update()
        print(*project.metadata.versions)  # noqa: T201 - what the caller reads
        return
    out, without, *coordinates = rest
    asked = []
    for word in coordinates:
        group, artifact, version = word.split(":")
        coordinate = parse.Coordinate(groupId=group, artifactId=artifact, version=version, scope="compile")
        asked.append(context.create_dependency(coordinate))
    direct, transitive = context.resolver.resolve(asked)
    for dependency in [*direct, *(other for other in transitive if other.scope in {"compile", "runtime"})]:
        if dependency.artifact.artifactId not in without.split(","):
            jar = dependency.artifact.resolve()
            shutil.copy(jar, Path(out) / jar.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
