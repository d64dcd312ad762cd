"""What others write over HTTP: production counts of an MES or ERP system (F12, D16)."""

from ingest.api.app import create_app
from ingest.api.tokens import Grant, Token, create_token, find_grant, revoke_token

__all__ = ["Grant", "Token", "create_app", "create_token", "find_grant", "revoke_token"]
