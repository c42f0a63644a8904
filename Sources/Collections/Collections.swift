// Deque, OrderedDictionary, OrderedSet.
