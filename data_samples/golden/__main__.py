"""Write the case of every rule and the table of golden cases anew: ``python -m data_samples.golden``."""

from __future__ import annotations

from data_samples.golden.every_rule import write_every_rule
from data_samples.golden.table import write_table
from pipelines.catalogue.catalogue import load_catalogue
from pipelines.settings import Settings

for written in (*write_every_rule(load_catalogue(Settings())), write_table()):
    print(f"wrote {written}")
