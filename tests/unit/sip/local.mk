# Unit tests of sip.
