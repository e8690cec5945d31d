"""DuckDB sessions and the SQL macros; the only place that imports duckdb."""
