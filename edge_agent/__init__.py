"""Reads meters over Modbus and keeps every reading until the platform confirms it."""

from edge_agent.blocks import plan_blocks
from edge_agent.decode import decode, encode
from edge_agent.outbox import Outbox
from edge_agent.plan import ReadPlan, plan_for_agent
from edge_agent.profile import Profile, load_profile, profile_codes

__all__ = [
    "Outbox",
    "Profile",
    "ReadPlan",
    "decode",
    "encode",
    "load_profile",
    "plan_blocks",
    "plan_for_agent",
    "profile_codes",
]
