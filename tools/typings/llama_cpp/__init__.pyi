from llama_cpp import llama_cpp as llama_cpp
