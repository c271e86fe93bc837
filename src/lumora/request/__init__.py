"""What a user asks for, independent of any model."""

from lumora.request.conditions import Condition, Shot
from lumora.request.spec import Request

__all__ = ["Condition", "Request", "Shot"]
