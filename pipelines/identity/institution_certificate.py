"""Certificate numbers of public institutions (事业单位证书号): 事证第 + 12 digits + 号.

The form is general knowledge, no published standard was found: a rule on it may warn, it should not reject. Since 2016
the certificate shows the unified social credit code: 18 characters get the verdict of
:func:`pipelines.identity.uscc.uscc_verdict`.
"""

from __future__ import annotations

import re

from pipelines.identity.resident_id import is_legacy_resident_id
from pipelines.identity.uscc import uscc_verdict

_FORM = re.compile(r"(?:事证第)?([0-9]{12})号?")


def institution_certificate_verdict(code: str | None) -> str | None:
    """``valid``, ``person_number``, ``invalid`` or a verdict on 18 characters; None for None."""
    if code is None or len(code) == 18:
        return uscc_verdict(code)
    found = _FORM.fullmatch(code)
    if found and found[1] != found[1][0] * 12:
        return "valid"
    return "person_number" if is_legacy_resident_id(code) else "invalid"
