"""``harness images``: the images of nodes in containers, built, listed and removed."""

from __future__ import annotations

import click

from harness.errors import ExitCode


@click.group()
def images() -> None:
    """Build, list and remove the images that nodes in containers run.

    They hold the same bits as the distributions of `harness fetch`, and are cached by content.
    """


@images.command("build")
@click.argument("names", nargs=-1)
def images_build(names: tuple[str, ...]) -> int:
    """Build images ahead of time.

    Without names: those of `harness fetch` that have images.

    Names are aliases (<kind>-<major>) or exact versions (<kind>-<version>). The name 'base' is the base
    image of Java software. The name 'harness' is the harness itself, with its scenarios, for CI and Kubernetes; it is
    built from a checkout of the repository.
    """
    from harness.distributions.image_store import build_images  # noqa: PLC0415

    for name, tag in build_images(names, lambda text: click.echo(text, err=True)):
        click.echo(f"{name}  {tag}")
    return ExitCode.PASS


@images.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def images_list(*, as_json: bool) -> int:
    """List the images built by this tool, with sizes and ages."""
    from harness.distributions.image_store import held_images, images_json, images_text  # noqa: PLC0415

    found = held_images()
    click.echo(images_json(found) if as_json else images_text(found))
    return ExitCode.PASS


@images.command("remove")
@click.option("--all", "everything", is_flag=True, help="Remove all images built by this tool.")
def images_remove(*, everything: bool) -> int:
    """Remove outdated images built by this tool.

    Other images are never touched.
    """
    from harness.distributions.image_store import remove_images  # noqa: PLC0415

    told = remove_images(everything=everything)
    for image, why in told:
        click.echo(f"could not remove {image.tag}: {why}" if why else f"removed {image.tag}")
    if not told:
        click.echo("nothing to remove")
    return ExitCode.ENVIRONMENT if any(why for _, why in told) else ExitCode.PASS
