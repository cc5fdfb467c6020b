"""Video: reading, cutting into clips, filtering, embedding, captioning and writing them. Importing this imports no decoder."""
