"""`python -m subjunctive_admin` is `subjunctive-admin`."""

from subjunctive_admin.cli import main

if __name__ == "__main__":
    main()
