"""Replays of recordings: does today's code still do what was recorded?"""

from resonate.testing.replaying.api import Functions, replay, replay_folder
from resonate.testing.replaying.verdict import Agreement, Side, Verdict

__all__ = ["Agreement", "Functions", "Side", "Verdict", "replay", "replay_folder"]
