"""``python -m explorer`` is the command ``hullscape``, where its folder is not on the path."""

from explorer.cli import main

if __name__ == "__main__":
    main()
