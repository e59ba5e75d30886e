# Unit tests of transport.
