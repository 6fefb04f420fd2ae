"""What a training will take, known before it starts: time, memory, and which model to begin with."""
