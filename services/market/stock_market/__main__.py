"""The command `stock-market`, from its first moment."""

import signal


def main() -> None:
    """Run the market; until it has handlers of its own, SIGINT just ends it: Python's would print where it was."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from stock_market.main import main as run

    run()


if __name__ == "__main__":
    main()
