"""OpenAI's Responses to and from the neutral form."""
