"""What a stand-in for pip reports of the file that it installed (``pip install --report``), as a word of the shell."""

from __future__ import annotations

import json

_FILE = {"url": "https://index/any-1.0.0.whl", "archive_info": {"hash": f"sha256={'a' * 64}"}}
PIP_REPORT = f"'{json.dumps({'install': [{'metadata': {'name': 'any', 'version': '1.0.0'}, 'download_info': _FILE}]})}'"
