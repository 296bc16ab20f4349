"""What Alembic runs: the steps, on the connection and in the transaction that it is given."""

from alembic import context

from explorer.migrate import REVISIONS

context.configure(
    connection=context.config.attributes["connection"],
    version_table=REVISIONS,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
