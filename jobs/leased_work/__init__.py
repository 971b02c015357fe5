"""Work that is slow and no shard: preparing a corpus, writing a completion report, sending webhooks, deleting a job.

What flows through this room:

    enqueue ─────────> queued ──claim──> leased ──finish──> done
    (in the             ^  ^               │ │
    transaction that    │  └──release──────┘ │    given back: storage, model or database away, or about to stop;
    makes it due)       │                    │    costs nothing, may name a time before which nobody takes it again
                        ├──────fail──────────┤    tried, and went wrong on its own account: an attempt, then a pause
                        └──(lease expired)───┤    nobody was heard of again: counted apart, as vanished
                                             └──fail for good──> failed

One table holds all kinds. `enqueueing` puts a row in, in the transaction that makes the work due. `leases` are the
operations on it: every change names the fence of the claim, so that a holder of before changes nothing. `held` is what
this process has in its hands; the work reports its progress there. `keeper` is one thread of the process, which every
third of a lease prolongs, by the database's clock and in one statement, whatever made progress. What is silent for too
long is let go, for another process to take: nobody takes work again that one of his own threads still sits on. `task`
puts these together: threads that claim one piece at a time, do it, and tell how it ended.

Locks are taken in the order job, then work. A kind to come needs a name in `WorkKind`, an `enqueue` where it becomes
due, and a `Handler`.
"""
