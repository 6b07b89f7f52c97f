"""`python -m resonate` is the `resonate` command."""

from resonate.cli import main

if __name__ == "__main__":
    main()
