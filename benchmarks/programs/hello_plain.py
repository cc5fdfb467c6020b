"""Four functions in a row, with nothing around them."""

import json


def greet() -> str:
    """Return a greeting."""
    return "hello"


def capitalise(text: str) -> str:
    """Return it with a capital."""
    return text.capitalize()


def address(text: str) -> str:
    """Return it with somebody to greet."""
    return f"{text}, world"


def exclaim(text: str) -> str:
    """Return it louder."""
    return f"{text}!"


if __name__ == "__main__":
    print(json.dumps({"greetings": [exclaim(address(capitalise(greet())))]}))
