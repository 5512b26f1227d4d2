"""Runs the migrations on the connection that `subjunctive_admin.schema` opened, or prints their SQL."""

from typing import Any

from alembic import context

from subjunctive_admin.models import OPS, Base

OPTIONS: dict[str, Any] = {
    "target_metadata": Base.metadata,
    "version_table_schema": OPS,
    "include_schemas": True,
    "transaction_per_migration": False,
}

if context.is_offline_mode():
    # Named parameters leave a % alone, which psql wants single.
    context.configure(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, literal_binds=True, **OPTIONS)
    context.static_output(f"CREATE SCHEMA IF NOT EXISTS {OPS};\n")
    context.run_migrations()
else:
    context.configure(connection=context.config.attributes["connection"], **OPTIONS)
    context.run_migrations()
