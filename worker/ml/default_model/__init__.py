"""How the default model was made: the pairs it learned from, face space, voice regression, generator training."""
