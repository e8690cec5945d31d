"""Where things are. Everything can be set by environment variables that start with ``GUIJI_``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Paths and limits of one installation.

    ``root`` holds what is configured (``schemas/``, ``expectations/``), ``home`` what is produced (landing,
    runs, records, ledger, reports), ``inbox`` what departments drop, ``subject_registry`` (optional) a CSV or Parquet
    file with the columns ``code`` and ``name`` of organisations. Nothing else is read or written. ``waiver_days`` is
    how many days a waiver may hold at most; ``endpoints_at_once`` to how many endpoints is delivered side by side;
    ``batches_at_once`` how many batches are worked on side by side, unless given as many as the machine has room for;
    ``withdraw_expired`` whether records whose publication has ended are withdrawn without somebody looking at the list.
    A process that ``gives_way`` begins nothing at a feed that another one works on or waits for: backfills do.
    ``lake_key`` seals the restricted fields of the record store, ``lake_keys`` are older ones that only open them.
    ``min_free_gb`` below how many free gigabytes 'guiji doctor' calls the disk full.
    """

    model_config = SettingsConfigDict(env_prefix="GUIJI_", extra="ignore")

    root: Path = PROJECT_ROOT
    home: Path = PROJECT_ROOT / "var"
    inbox: Path = PROJECT_ROOT / "data_samples"
    ledger_url: str | None = None
    lake_key: SecretStr | None = None
    lake_keys: SecretStr | None = None
    subject_registry: Path | None = None
    waiver_days: int = Field(default=365, ge=1)
    threads: int = Field(default=2, ge=1)
    endpoints_at_once: int = Field(default=4, ge=1)
    memory_limit: str = "2GB"
    batches_at_once: int | None = Field(default=None, ge=1)
    withdraw_expired: bool = False
    gives_way: bool = False
    data_docs_nights: int = Field(default=30, ge=1)
    min_free_gb: float = Field(default=2, ge=0)

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
    def notices(self) -> Path:
        """Warnings about deadlines, one folder a day, as they were told."""
        return self.home_path / "notices"

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
