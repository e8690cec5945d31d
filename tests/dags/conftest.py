"""An Airflow of its own for these tests: own home, own database, the project's DAGs and plugins."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
DAGS = PROJECT / "dags"

HOME = tempfile.mkdtemp(prefix="guiji-airflow-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Airflow reads its settings when it is imported, which happens while test modules are collected.
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(DAGS / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Shanghai",
}
for folder in (DAGS / "local_airflow", DAGS / "plugins"):
    sys.path.insert(0, str(folder))
