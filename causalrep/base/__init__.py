"""What every estimator is made of: parameters and repr, checks of user input, the printed summary."""
