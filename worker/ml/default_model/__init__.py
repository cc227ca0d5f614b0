"""How the default model was made: the pairs it learned from, alignment, face space, voice regression."""
