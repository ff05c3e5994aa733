"""The computation graph of an expression or a function: values forward, the chain rule backward.

graph = edunn.graph.build("(2*a + b)*(c - d)", a=3, b=4, c=5, d=6)
print(graph)                 # step by step
graph.gradients["a"]         # −2
"""

from ..runtime.guesses import public
from .expressions import Expression, parse
from .nodes import Graph, Node, build

__all__ = ["Expression", "Graph", "Node", "build", "parse"]
__getattr__, __dir__ = public(__name__, __all__)
