"""The clients that are programs. Each is a class whose methods are the cells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cell_checks import GIVEN, PORT, TEXT, check, check_fails, check_rows


class Dbt:
    """dbt, by dbt-clickhouse over HTTP."""

    def __init__(self, user: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        (self.folder / "models").mkdir()
        target = {"type": "clickhouse", "driver": "http", "host": "127.0.0.1", "port": PORT, "user": user}
        target |= {"password": GIVEN["passwords"][user], "schema": "segma", "threads": 1}
        profile = {"segma": {"target": "dev", "outputs": {"dev": target}}}
        project = {"name": "cells", "profile": "segma", "version": "1.0", "config-version": 2}
        (self.folder / "profiles.yml").write_text(json.dumps(profile))
        (self.folder / "dbt_project.yml").write_text(json.dumps(project))
        model = "{{ config(materialized='table') }} SELECT number AS x FROM numbers({{ var('rows') }})"
        (self.folder / "models" / "cell_model.sql").write_text(model)

    def _dbt(self, *words: str) -> str:
        command = [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", *words, "--profiles-dir", "."]
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout[-1_000:] + done.stderr[-500:])
        return done.stdout

    def connect(self) -> None:
        self._dbt("debug", "--connection")

    def metadata(self) -> None:
        self._dbt("compile", "--vars", "rows: 5")

    def parameters(self) -> None:
        check(
            "4242" in self._dbt("show", "--inline", "SELECT {{ var('rows') }} + 1 AS x", "--vars", "rows: 4241"), True
        )

    def insert(self) -> None:
        self._dbt("run", "--vars", "rows: 1000")


class Curl:
    """curl."""

    def __init__(self, user: str) -> None:
        self.user = user

    def _curl(self, sql: str, *options: str, data: bytes = b"", **url: str) -> str:
        where = "&".join(f"{name}={quote(value)}" for name, value in {"database": "segma", "query": sql, **url}.items())
        command = ["curl", "-sS", "--fail-with-body", "--data-binary", "@-", "--config", "-", *options]
        config = f'user = "{self.user}:{GIVEN["passwords"][self.user]}"\n'
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            command[command.index("@-")] = f"@{file.name}"
            done = subprocess.run(
                [*command, f"http://127.0.0.1:{PORT}/?{where}"],
                input=config.encode(),
                capture_output=True,
                check=False,
            )
        if done.returncode:
            raise RuntimeError((done.stdout[-500:] + done.stderr[-500:]).decode("utf-8", "replace"))
        return done.stdout.decode()

    def connect(self) -> None:
        check(self._curl("SELECT 1"), "1\n")

    def metadata(self) -> None:
        check([line.split("\t")[0] for line in self._curl("DESCRIBE TABLE cell_types").splitlines()], GIVEN["columns"])

    def types(self) -> None:
        text = self._curl(f"{GIVEN['select']} FORMAT JSONCompactEachRow", output_format_json_quote_64bit_integers="0")
        check_rows([_instants(row) for row in map(json.loads, text.splitlines())])

    def parameters(self) -> None:
        text = TEXT.replace("\\", "\\\\")
        found = self._curl("SELECT {n:UInt32} + 1, {t:String} FORMAT JSONCompactEachRow", param_n="41", param_t=text)
        check(json.loads(found), [42, TEXT])

    def insert(self) -> None:
        data = "".join(f"{json.dumps({'x': number, 's': TEXT})}\n" for number in range(1_000)).encode()
        self._curl("INSERT INTO cell_inserts FORMAT JSONEachRow", data=data)

    def stream(self) -> None:
        check(
            sum(map(int, self._curl(GIVEN["stream"], "--compressed", enable_http_compression="1").split())),
            GIVEN["sum"],
        )

    def cancel(self) -> None:
        check_fails(lambda: self._curl(GIVEN["endless"], "--max-time", "1"))

    def mid_stream(self) -> None:
        check_fails(lambda: self._curl(GIVEN["broken"]))


def _instants(row: list[Any]) -> list[Any]:
    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(each) for each in value]
        if isinstance(value, str) and len(value) == 23 and value[4] == "-":
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return value

    return [read(value) for value in row]
