"""A user's own program in the consumers' place: the program, and the recorder next to it that keeps its journal."""
