"""Reading people for ``segma import``: what email platforms export, row by row, with what each row says of consent."""
