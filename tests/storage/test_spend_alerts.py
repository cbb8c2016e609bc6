from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from tests.storage.house import USD, House
from trunkline.errors import InvalidRequest, NotFound
from trunkline.money import Nanos
from trunkline.ports.pages import Cursor
from trunkline.ports.spend_alerts import SpendAlertDraft


def draft(account_id: str, **more: Any) -> SpendAlertDraft:
    return SpendAlertDraft(
        **{
            "account_id": account_id,
            "threshold_nanos": Nanos(100 * USD),
            "recipients": ("Ann@example.com", "bob@example.com", "ann@example.com"),
            **more,
        }
    )


def test_an_alert_is_kept_until_it_is_deleted(house: House) -> None:
    child = house.account("child")
    made = house.spend_alerts.create(draft(child.id, subject_prefix="[money]"))
    assert made.recipients == ("ann@example.com", "bob@example.com")
    assert house.spend_alerts.show(made.id) == made
    second = house.spend_alerts.create(draft(child.id))
    assert house.spend_alerts.page(child.id, Cursor()).items == (made, second)
    changed = house.spend_alerts.update(made.id, draft("acct_elsewhere", threshold_nanos=Nanos(USD)))
    assert changed == replace(made, threshold_nanos=USD, subject_prefix=None) == house.spend_alerts.show(made.id)
    house.spend_alerts.delete(made.id)
    assert house.spend_alerts.page(child.id, Cursor()).items == (second,)
    assert house.events(target_ids=(made.id,)) == [
        "spend_alert.created",
        "spend_alert.updated",
        "spend_alert.deleted",
    ]


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"threshold_nanos": 0}, "threshold_amount"),
        ({"recipients": ()}, "recipients"),
        ({"recipients": ("a@example.com",) * 21}, "recipients"),
        ({"recipients": ("nobody",)}, "email"),
        ({"subject_prefix": "x" * 101}, "subject_prefix"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(house: House, changed: dict[str, Any], param: str) -> None:
    child = house.account("child")
    with pytest.raises(InvalidRequest) as refused:
        house.spend_alerts.create(draft(child.id, **changed))
    assert refused.value.param == param


def test_another_subtree_is_unknown(house: House) -> None:
    ours, theirs = house.account("ours"), house.account("theirs")
    made = house.spend_alerts.create(draft(theirs.id))
    more: dict[str, Any] = {"by": house.manager(ours.id), "within": ours.id}
    attempts: list[Callable[[], object]] = [
        lambda: house.spend_alerts.show(made.id, within=ours.id),
        lambda: house.spend_alerts.page(theirs.id, Cursor(), within=ours.id),
        lambda: house.spend_alerts.create(draft(theirs.id), **more),
        lambda: house.spend_alerts.update(made.id, draft(ours.id), **more),
        lambda: house.spend_alerts.delete(made.id, **more),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert house.spend_alerts.show(made.id) == made
