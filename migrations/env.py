"""Runs the migrations on the connection that `subjunctive_admin.schema` opened, or prints their SQL."""

from alembic import context

from subjunctive_admin.models import OPS, Base

OPTIONS = {
    "target_metadata": Base.metadata,
    "version_table_schema": OPS,
    "include_schemas": True,
    "transaction_per_migration": False,
}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, **OPTIONS)
    context.static_output(f"CREATE SCHEMA IF NOT EXISTS {OPS};\n")
    context.run_migrations()
else:
    context.configure(connection=context.config.attributes["connection"], **OPTIONS)
    context.run_migrations()
