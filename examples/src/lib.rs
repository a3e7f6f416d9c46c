//! Programs of the README, run as doctests.
