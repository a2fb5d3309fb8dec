"""Settings an analyst's request may change, and how far: ClickHouse's ``CHANGEABLE_IN_READONLY`` with a maximum."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from analytics.embedded.engine import engine_error

LOWERED: Final = frozenset({"max_execution_time", "max_memory_usage", "max_threads"})
"""Limits of the analyst's own: they may be made smaller. 0 is ClickHouse's word for none."""
FREE: Final = frozenset(
    {
        *("max_result_rows", "max_result_bytes", "result_overflow_mode", "max_rows_to_read", "max_bytes_to_read"),
        *("read_overflow_mode", "timeout_overflow_mode", "max_block_size", "max_rows_to_group_by"),
        *("group_by_overflow_mode", "join_use_nulls", "joined_subquery_requires_alias", "union_default_mode"),
        *(
            "join_algorithm",
            "date_time_input_format",
            "date_time_output_format",
            "session_timezone",
            "use_client_time_zone",
        ),
        *("extremes", "limit", "offset", "optimize_read_in_order", "prefer_column_name_to_alias", "final"),
        *(
            "aggregate_functions_null_for_empty",
            "group_by_use_nulls",
            "cast_keep_nullable",
            "log_queries",
            "log_comment",
        ),
        *("bool_true_representation", "bool_false_representation", "allow_experimental_analyzer", "enable_analyzer"),
        *("format_csv_delimiter", "format_csv_null_representation", "format_tsv_null_representation"),
        *("formatdatetime_f_prints_single_zero", "formatdatetime_parsedatetime_m_is_month_name"),
        *("async_insert", "wait_for_async_insert", "allow_experimental_json_type", "allow_experimental_variant_type"),
        *("allow_experimental_dynamic_type", "enable_json_type", "connect_timeout", "receive_timeout", "send_timeout"),
        *("network_compression_method", "network_zstd_compression_level"),
        *("http_receive_timeout", "http_send_timeout", "priority", "max_columns_to_read", "use_query_cache"),
    }
)
_OUTPUT: Final = re.compile(
    r"output_format_(?:json|csv|tsv|pretty|arrow|parquet|native|binary|decimal|float|bson)_[a-z0-9_]+"
)


def check_settings(given: Mapping[str, str], limits: Mapping[str, str]) -> None:
    """Raise :class:`EngineError` (164 or 452) where an analyst's request changes what it may not.

    Args:
        given: the request's settings.
        limits: the analyst's own limits, as text; whole numbers.
    """
    for name, value in given.items():
        if name in LOWERED:
            _check_lowered(name, value, limits.get(name, ""))
        elif name == "readonly" and value in {"1", "2"}:
            # NOTE: what clients send to say that they only read. It stays 1 whatever they say.
            continue
        else:
            check_name(name)


def check_name(name: str) -> None:
    """Raise :class:`EngineError` (164) where this is no setting of an analyst's."""
    if name not in FREE | LOWERED and not _OUTPUT.fullmatch(name):
        raise engine_error(164, f"Cannot modify '{name[:80]}' setting in readonly mode", "READONLY")


def _check_lowered(name: str, value: str, limit: str) -> None:
    try:
        wanted = float(value)
    except ValueError:
        raise engine_error(72, f"Setting {name} is a number", "CANNOT_PARSE_NUMBER") from None
    if not wanted > 0 or (limit and wanted > float(limit)):
        text = f"Setting {name} shouldn't be greater than {limit}, nor 0"
        raise engine_error(452, text, "SETTING_CONSTRAINT_VIOLATION")
