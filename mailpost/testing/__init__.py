"""For the tests of others: the contract suite for stores."""
