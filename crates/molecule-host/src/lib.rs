//! Files of a Molecule AI remote agent: the private store, its modes, its lock.
