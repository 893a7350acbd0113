"""Run by Alembic: brings the database of the connection at hand to the newest form."""

from alembic import context

from kuapin.data.sql.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
