#!/bin/sh
# Process 1 must end what its children leave behind; where the base has no tini, `docker run --init` adds one.
if [ $$ = 1 ] && command -v tini >/dev/null; then
    exec tini -- /opt/harness/venv/bin/python -m harness.commands.cli "$@"
fi
exec /opt/harness/venv/bin/python -m harness.commands.cli "$@"
