"""What every store must do, in checks that name it."""
