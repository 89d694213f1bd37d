"""`python -m master`: the same as the command `pointsman`."""

from master.cli import main

if __name__ == "__main__":
    main()
