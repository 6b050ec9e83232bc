-- The one sequence that pages, waiters, webhooks and the audit log read.

-- Every change of state appends one row in its own transaction. `autoincrement` never gives a number twice, and with one
-- writer at a time the numbers become visible in their order, so that "everything after seq" misses nothing.
create table events (
    seq integer constraint events_seq primary key autoincrement,
    at integer not null,
    -- Kebab-case, past tense: `staged`, `leased`, `judged`, `approved`, `released`, …; listed in `src/store/events.rs`.
    kind text not null,
    -- What it is about. Without foreign keys: the log outlives what it tells of.
    verification text,
    package text,
    -- Who caused it: a maintainer, a token's id, a worker, `operator`, or `countersign` for what time brings.
    actor text not null,
    -- JSON object, for people and machines that read the log. Never a secret.
    data text not null
) strict;

create index events_by_verification on events (verification, seq) where verification is not null;

-- Answers kept for `Idempotency-Key`, so that a repeated request is answered and not done again.
create table idempotency_keys (
    -- Whose key it is: two callers may choose the same.
    caller text not null,
    key text not null,
    -- SHA-256 of the whole request. The same key with another body is refused.
    request_sha256 text not null,
    -- The answer; null while the first request is still under way.
    status integer,
    body text,
    created_at integer not null,
    constraint idempotency_keys_key primary key (caller, key),
    constraint idempotency_keys_whole_answer check ((status is null) = (body is null))
) strict;
