from llama_cpp import llama_cpp as llama_cpp
from llama_cpp import mtmd_cpp as mtmd_cpp
