# Unit tests of rpc.
