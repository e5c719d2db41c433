"""`python -m p2vprep` is the same as the `p2vprep` command."""

from p2vprep.cli.main import main

if __name__ == "__main__":
    main()
