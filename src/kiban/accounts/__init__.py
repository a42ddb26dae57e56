"""People who sign in: accounts with roles that end with the fiscal year, sessions, limits on trying, and a log of what was done.

Accounts are versioned records of the store; sessions and the audit log are files of their own beside it. What a page shows is left to web.
"""

from kiban.accounts.audit import ACTIONS, AuditLog, Digest, Entry, open_log
from kiban.accounts.limits import Bucket, Waits
from kiban.accounts.people import Accounts
from kiban.accounts.room import Room, open_accounts
from kiban.accounts.sessions import Sessions

__all__ = ["ACTIONS", "Accounts", "AuditLog", "Bucket", "Digest", "Entry", "Room", "Sessions", "Waits", "open_accounts", "open_log"]
