"""Chat: which provider answers which model, what a request may hold, what a call costs, what is logged of it.

Belongs here: rules and the service over Protocols. Not here: providers themselves (see
lakehouse/adapters/llama_cpp.py, openai_chat.py), routes (see lakehouse_api/routes/chat.py).
"""
