#!/bin/sh
# Makes a small Debian with Python from Debian's packages, where no image with Python can be pulled, and imports it into the
# Docker engine. Needs root and debootstrap. Usage: base.sh TAG SUITE
set -eu
tag=$1
suite=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The mirror that this machine is set up for.
debootstrap --variant=minbase --include=python3,tini "$suite" "$work/root" >&2
rm -rf "$work"/root/var/cache/apt "$work"/root/var/lib/apt/lists "$work"/root/usr/share/doc \
    "$work"/root/usr/share/man "$work"/root/usr/share/locale "$work"/root/var/log/*
tar -C "$work/root" -c . | docker import --change 'LABEL broker-chaos-harness.image=base' - "$tag"
