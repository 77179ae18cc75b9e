"""Stock: on hand, reserved, and the movements behind them."""
