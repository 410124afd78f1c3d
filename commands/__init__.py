"""The command line, one small file per noun; ``cli`` says what each command is called."""
