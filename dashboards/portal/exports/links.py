"""Links to the files of what a page shows."""

from __future__ import annotations

from dashboards.portal.page import Choice, Visit, with_query

__all__ = ["export_links"]


def export_links(visit: Visit, dataset: str, **query: object) -> list[Choice]:
    """Return CSV, Excel and Parquet of a dataset with a page's own query, in its language."""
    path = f"/api/v1/s/{visit.site.code}/export/{dataset}"
    asked = {**query, "lang": visit.language}
    return [
        Choice("CSV", with_query(f"{path}.csv", {**asked, "bom": 1})),
        Choice("Excel", with_query(f"{path}.xlsx", asked)),
        Choice("Parquet", with_query(f"{path}.parquet", asked)),
    ]
