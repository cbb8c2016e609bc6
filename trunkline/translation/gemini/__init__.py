"""Google's Gemini (generateContent), to and from the neutral form."""
