"""The sender's side: chains and reply blocks, made from the directory's keys."""
