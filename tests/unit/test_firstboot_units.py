from __future__ import annotations

import pytest

from firstboot.units import UnitState, parse_unit_states
from hostlib.errors import StepError

# Printed by systemd 257 on Debian 13.
PRINTED = """\
LoadState=loaded
ActiveState=active
UnitFileState=enabled
ConditionResult=yes
ConditionTimestampMonotonic=3445128270

LoadState=loaded
ActiveState=inactive
UnitFileState=enabled
ConditionResult=no
ConditionTimestampMonotonic=3444806082

LoadState=loaded
ActiveState=failed
UnitFileState=enabled
ConditionResult=yes
ConditionTimestampMonotonic=3445417455

LoadState=not-found
ActiveState=inactive
UnitFileState=
ConditionResult=no
ConditionTimestampMonotonic=0

LoadState=masked
ActiveState=inactive
UnitFileState=masked
ConditionResult=no
ConditionTimestampMonotonic=0

LoadState=loaded
ActiveState=inactive
UnitFileState=disabled
ConditionResult=no
ConditionTimestampMonotonic=0

LoadState=loaded
ActiveState=activating
UnitFileState=enabled
ConditionResult=yes
ConditionTimestampMonotonic=3445417455
"""


def test_unit_states() -> None:
    assert parse_unit_states(
        PRINTED, ["ssh", "smartmontools", "chrony", "nosuch", "rsync", "off", "incus"]
    ) == {
        "ssh": UnitState(active=True, down=False, broken=False, disabled=False, skipped=False),
        "smartmontools": UnitState(active=False, down=True, broken=False, disabled=False, skipped=True),
        "chrony": UnitState(active=False, down=True, broken=True, disabled=False, skipped=False),
        "nosuch": UnitState(active=False, down=True, broken=True, disabled=False, skipped=False),
        "rsync": UnitState(active=False, down=True, broken=True, disabled=False, skipped=False),
        "off": UnitState(active=False, down=True, broken=False, disabled=True, skipped=False),
        "incus": UnitState(active=False, down=False, broken=False, disabled=False, skipped=False),
    }


def test_an_answer_of_another_length_is_refused() -> None:
    with pytest.raises(StepError, match="7 units in the answer, 2 were asked for"):
        parse_unit_states(PRINTED, ["ssh", "chrony"])
