"""Judge any generator, ours and others' alike: from crystals to figures with their denominators."""

from explorer.evaluate.generation import evaluate_generation
from explorer.evaluate.hull import evaluate_hull
from explorer.evaluate.retrieval import evaluate_retrieval
from explorer.evaluate.roundtrip import evaluate_roundtrip

__all__ = ["evaluate_generation", "evaluate_hull", "evaluate_retrieval", "evaluate_roundtrip"]
