"""Linear instrumental variables: Card's returns to schooling, other textbook data, weak instruments."""
