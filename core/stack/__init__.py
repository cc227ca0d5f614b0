"""The single-machine stack: every server `voicesketch up` needs, as children of one supervisor.

Kept light on purpose: the supervisor lives as long as the stack does, so nothing here imports SQLAlchemy, boto3 or
Celery; what needs them runs in a child of its own.
"""
