"""What all rooms stand on: errors of one sentence, whole files, downloads, memory and threads."""
