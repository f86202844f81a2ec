from .launch import Interpreter as Interpreter
from .memory import Fault as Fault
from .parse import Unknown as Unknown

__all__ = ["Fault", "Interpreter", "Unknown"]
