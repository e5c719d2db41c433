"""A migration wave: many machines from one manifest, on this host or on several, resumed where it stopped.

The manifest says what is wanted, the ledger beside it what was done. Every machine is worked on
in a child process; one launch of the appliance may serve several of them.
"""
