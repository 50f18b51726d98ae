"""`python -m real2sam2real` is `r2s2r`."""

from real2sam2real.cli.main import main

if __name__ == "__main__":
    main()
