"""What the text stages share: tokenisation, columns of a batch, checks of arguments."""
