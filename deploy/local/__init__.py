"""A real Kafka and a real Postgres on this machine, from wheels and jars: no Docker, system Java or system Postgres.

stack = LocalStack(Path(".botpulse"))
info = stack.up()              # StackInfo with bootstrap_servers and database_url
stack.down()
"""

from deploy.local.stack import LocalStack
from deploy.local.state import Options, ServiceStatus, StackInfo, StackStatus

__all__ = ["LocalStack", "Options", "ServiceStatus", "StackInfo", "StackStatus"]
