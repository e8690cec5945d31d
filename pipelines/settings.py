"""Where things are. Everything can be set by environment variables that start with ``GUIJI_``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Paths and limits of one installation.

    ``root`` holds what is configured (``schemas/``, ``expectations/``), ``home`` what is produced (landing,
    runs, records, ledger, reports), ``inbox`` what departments drop, ``subject_registry`` (optional) a CSV or Parquet
    file with the columns ``code`` and ``name`` of organisations. Nothing else is read or written. ``waiver_days`` is
    how many days a waiver may hold at most.
    """

    model_config = SettingsConfigDict(env_prefix="GUIJI_", extra="ignore")

    root: Path = PROJECT_ROOT
    home: Path = PROJECT_ROOT / "var"
    inbox: Path = PROJECT_ROOT / "data_samples"
    ledger_url: str | None = None
    subject_registry: Path | None = None
    waiver_days: int = Field(default=365, ge=1)
    threads: int = Field(default=2, ge=1)
    memory_limit: str = "2GB"
    data_docs_nights: int = Field(default=30, ge=1)

    @cached_property
    def home_path(self) -> Path:
        return self.home.resolve()

    @property
    def schemas(self) -> Path:
        return self.root / "schemas"

    @property
    def expectations(self) -> Path:
        return self.root / "expectations"

    @property
    def landing(self) -> Path:
        """Extract bytes as they came, named by their SHA-256."""
        return self.home_path / "landing"

    @property
    def runs(self) -> Path:
        """One folder per run: rows, rejects, verdicts, findings, repairs."""
        return self.home_path / "runs"

    @property
    def records(self) -> Path:
        """One Delta table per category."""
        return self.home_path / "records"

    @property
    def findings(self) -> Path:
        """One Delta table: every failing row of every batch with every reason."""
        return self.home_path / "findings"

    @property
    def reports(self) -> Path:
        return self.home_path / "reports"

    @property
    def answers(self) -> Path:
        """What departments are told about the corrected workbooks they sent back."""
        return self.home_path / "answers"

    @property
    def data_docs(self) -> Path:
        """What Great Expectations has to say, one folder per business date; the last ``data_docs_nights`` are kept."""
        return self.home_path / "data_docs"

    @property
    def locks(self) -> Path:
        return self.home_path / "locks"

    @property
    def scratch(self) -> Path:
        """Where DuckDB spills; safe to delete when nothing runs."""
        return self.home_path / "scratch"

    @property
    def ledger(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.ledger_url or f"sqlite:///{self.home_path / 'ledger.sqlite'}"
