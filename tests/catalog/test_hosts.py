from __future__ import annotations

from trunkline.catalog.hosts import CUSTOMER_HOSTS, HOSTS, HUGGINGFACE_PARTNERS


def test_hosts_have_a_url_and_customers_hosts_show_what_theirs_looks_like() -> None:
    assert all(row.base_url and row.key_names for row in HOSTS)
    assert all(row.base_url is None and row.base_url_looks_like.startswith("https://") for row in CUSTOMER_HOSTS)


def test_each_partner_of_hugging_face_has_its_prices_under_its_suffix() -> None:
    (huggingface,) = [row for row in HOSTS if row.id == "huggingface"]
    assert {(one.id, one.suffix) for one in huggingface.prices} == {
        (f"huggingface_{partner}", f":{partner}") for partner in HUGGINGFACE_PARTNERS
    }
