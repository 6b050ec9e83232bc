-- What is to be verified, who works on it, and what came out.

-- One staged artifact, or one artifact that a registry asks about.
create table verifications (
    -- Where Countersign stages, this is npm's stage id too: the client accepts only the form of a uuid.
    id text not null constraint verifications_id primary key,
    -- `stage`: we hold it back and would release it. `api`: another registry does.
    origin text not null constraint verifications_origin check (origin in ('stage', 'api')),

    -- The subject (`countersign_core::artifact::Subject`), in columns because each part is asked for by itself.
    registry text not null,
    package text not null,
    version text not null,
    -- Hex. The bytes lie in the blob store under this name.
    sha512 text not null,
    -- Digest of the manifest as it would be released; null where a registry does not show it to us.
    manifest_sha256 text,
    dist_tag text,
    access text constraint verifications_access check (access in ('public', 'restricted')),

    -- What the report says of the bytes; null where they were never brought, since the package is not enrolled.
    bytes integer,
    shasum text,
    -- The version's manifest as it would be released, as JSON: what the release writes, and what the gate digests again.
    manifest text,
    -- JSON array of `countersign_core::source::Claim`: what somebody said about the commit. Evidence, never the source.
    claims text not null,
    -- Whether our verdict can be gone round, decided when it came in: a later change of the configuration must not
    -- change the digest of a report that was signed.
    enforcement text not null
        constraint verifications_enforcement check (enforcement in ('enforced', 'advisory')),

    -- Who brought it, as npm shows it (`actor`, `actorType`).
    actor text not null,
    actor_type text not null
        constraint verifications_actor_type check (actor_type in ('user', 'trusted automation')),
    -- When it was staged: by our clock for a stage, by the registry's word for the API. Shown, never counted with.
    staged_at integer not null,
    -- When it came in, by our clock.
    created_at integer not null,

    -- `countersign_core::report::State`.
    state text not null constraint verifications_state check (state in
        ('queued', 'waiting-for-tag', 'running', 'retrying', 'final', 'cancelled')),
    -- Begin of the present round: a rerun starts the clock of retries and of the wait for the tag anew.
    round_started_at integer not null,
    -- Attempts of this round that ended with a verdict or a lost worker. A look for a missing tag is none.
    attempts integer not null default 0,
    -- Not leased before. Null exactly where nothing is to be done.
    next_attempt_at integer,
    -- Until when the tag is waited for; null before it was first missed.
    tag_wait_until integer,
    -- Looks in vain, for the back-off.
    tag_looks integer not null default 0,
    -- The verdict that stands. Null until final, and again while a rerun goes on. (No foreign key: attempts refer here,
    -- and a circle could only be written deferred.)
    verdict_id text,

    -- When the stage was decided or withdrawn. While it is null, the stage is live and holds its name and version.
    closed_at integer,

    constraint verifications_waiting_has_a_time check (
        state not in ('queued', 'retrying') or next_attempt_at is not null),
    -- A verification that waits for its tag has no time while a worker looks for it.
    constraint verifications_nothing_to_do_has_no_time check (
        state not in ('running', 'final', 'cancelled') or next_attempt_at is null),
    constraint verifications_final_has_a_verdict check ((state = 'final') = (verdict_id is not null))
) strict;

-- "Staged twice" is decided here and not by a select before it.
create unique index verifications_one_live_stage on verifications (package, version)
    where origin = 'stage' and closed_at is null;
-- The queue.
create index verifications_due on verifications (next_attempt_at, created_at)
    where next_attempt_at is not null;
-- "What do you say about these bytes?"
create index verifications_by_sha512 on verifications (sha512, created_at);
-- Lists, newest first.
create index verifications_by_package on verifications (package, created_at);
create index verifications_by_time on verifications (created_at);

-- The commit that a tag named when we first saw it. The repository belongs to the key: an enrolment that moves to
-- another repository starts with tags that nobody has seen.
create table tag_sights (
    package text not null,
    repository text not null,
    tag text not null,
    commit_id text not null,
    seen_at integer not null,
    constraint tag_sights_tag primary key (package, repository, tag)
) strict;

-- A job in a worker's hands. Whoever knows the secret may renew, upload and report, and only while the lease lives.
create table leases (
    id text not null constraint leases_id primary key,
    verification text not null constraint leases_verification references verifications (id),
    -- The attempt that this lease works on. Several leases can have one number: looks for a missing tag count nothing.
    attempt integer not null constraint leases_attempt check (attempt >= 1),
    -- SHA-256 of the lease's secret: who reads the database cannot report.
    secret_sha256 text not null constraint leases_secret unique,
    -- The worker's own name, for people.
    worker text not null,
    -- The id of the token that took it: a lease cannot be used with another token.
    token text not null,
    -- What the worker was told to hold the artifact against. The report is judged under the same revision.
    enrolment_revision integer not null,
    granted_at integer not null,
    -- Moved on by each heartbeat.
    expires_at integer not null,
    -- The phase and what is being done, from the last heartbeat: what the page shows while it runs.
    phase text,
    detail text,
    -- What was uploaded under this lease: the rebuilt tarball (SHA-512) and the log (SHA-256), as names of blobs.
    rebuilt_sha512 text,
    log_sha256 text,
    ended_at integer,
    ending text constraint leases_ending check (ending in
        ('reported', 'refused', 'expired', 'withdrawn')),
    constraint leases_ended_with_an_ending check ((ended_at is null) = (ending is null))
) strict;

-- A second worker gets a job only after the first one's lease was ended: this is what fences a late report.
create unique index leases_one_live on leases (verification) where ended_at is null;
create index leases_by_expiry on leases (expires_at) where ended_at is null;

-- What each attempt came to, for ever. A verdict never changes.
create table attempts (
    verdict_id text not null constraint attempts_verdict_id primary key,
    verification text not null constraint attempts_verification references verifications (id),
    -- Counts from 1 over all rounds.
    attempt integer not null constraint attempts_attempt check (attempt >= 1),
    outcome text not null constraint attempts_outcome check (outcome in ('pass', 'fail', 'inconclusive')),
    class text constraint attempts_class check (class in ('archive', 'source', 'not-rebuilt', 'differs')),
    level text constraint attempts_level check (level in
        ('identical-tarball', 'identical-archive', 'identical-files', 'normalised', 'different')),
    -- The sentence.
    summary text not null,
    -- Of the source, where it was found: lists show it without reading every file of every comparison.
    tag text,
    commit_id text,
    -- JSON of `countersign_core::protocol::Judged`: everything that the report shows.
    judged text not null,
    -- JSON of `countersign_core::artifact::Subject` as it was judged; the gate holds it against what is stored now.
    subject text not null,
    -- Under what it was judged. Null only for a package that nobody enrolled.
    enrolment_revision integer,
    policy_sha256 text not null,
    -- `countersign_core::report::Report::rebuild.attempts` at that time, part of the digest that was signed.
    attempts_so_far integer not null,
    worker_version text,
    rebuilt_sha512 text,
    log_sha256 text,
    -- DSSE envelope as JSON; null where there is nothing to attest: inconclusive, or no enrolment.
    envelope text,
    judged_at integer not null,
    -- A worker or a key turned out to be compromised.
    revoked_at integer,
    constraint attempts_number unique (verification, attempt)
) strict;
