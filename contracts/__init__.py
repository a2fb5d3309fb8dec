"""The words that the rooms exchange: types, codec, tokens, errors, reasons. No I/O, no clock, no environment."""
