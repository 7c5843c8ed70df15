"""``python -m rota``: the same as the command ``rota``."""

from rota.cli.main import main

if __name__ == "__main__":
    main()
