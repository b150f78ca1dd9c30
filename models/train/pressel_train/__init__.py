"""Training of Pressel's built-in command recogniser: render, train, evaluate, export, card."""
