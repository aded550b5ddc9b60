"""Fixed lists of the answer file's format: countries, keyboard layouts, time zones."""

from __future__ import annotations

import zoneinfo
from functools import cache
from pathlib import Path
from typing import Final

COUNTRIES: Final = frozenset(
    """
    ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn bo bq br bs bt bv bw by
    bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg eh er es et fi fj fk
    fm fo fr ga gb gd ge gf gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir
    is it je jm jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mf mg mh mk
    ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm
    pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf
    tg th tj tk tl tm tn to tr tt tv tw tz ua ug um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw
    """.split()  # noqa: SIM905 - 249 quoted words would hide the list
)
"""ISO 3166-1 alpha-2, lower case."""

KEYBOARDS: Final[dict[str, tuple[str, str]]] = {
    "de": ("de", "nodeadkeys"),
    "de-ch": ("ch", "de_nodeadkeys"),
    "dk": ("dk", "nodeadkeys"),
    "en-gb": ("gb", ""),
    "en-us": ("us", ""),
    "es": ("es", "nodeadkeys"),
    "fi": ("fi", "nodeadkeys"),
    "fr": ("fr", "nodeadkeys"),
    "fr-be": ("be", "nodeadkeys"),
    "fr-ca": ("ca", "fr-legacy"),
    "fr-ch": ("ch", "fr_nodeadkeys"),
    "hu": ("hu", ""),
    "is": ("is", ""),  # the variant of the peer is not in Debian 13
    "it": ("it", "nodeadkeys"),
    "jp": ("jp", ""),
    "lt": ("lt", "std"),
    "mk": ("mk", "nodeadkeys"),
    "nl": ("nl", ""),
    "no": ("no", "nodeadkeys"),
    "pl": ("pl", ""),
    "pt": ("pt", "nodeadkeys"),
    "pt-br": ("br", "nodeadkeys"),
    "se": ("se", "nodeadkeys"),
    "si": ("si", ""),
    "tr": ("tr", ""),
}
"""Layout id -> XKB layout and variant, as /etc/default/keyboard wants them."""


@cache
def known_timezones() -> frozenset[str]:
    """Give the zones an answer may name: those of a country, and UTC. Empty where the system has no zone table.

    zone.tab and not all that this system knows: Debian 13 keeps older names in a package that a node lacks.
    """
    for table in (Path(folder) / "zone.tab" for folder in zoneinfo.TZPATH):
        if table.is_file():
            lines = table.read_text(encoding="utf-8").splitlines()
            rows = (line.split("\t") for line in lines if not line.startswith("#"))
            return frozenset({"UTC", *(row[2] for row in rows if len(row) > 2)})
    return frozenset()
